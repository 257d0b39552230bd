//! Whatever a genomaster accepts, an audit accepts too: one request that only the genomaster accepts
//! would make the journal of the whole run invalid.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use naschain_bins::{
    Access, Authenticator, Coordinator, JournalPlace, create_or_check, router, unix_nanos,
};
use naschain_identity::{Auth, Hotkey, SignedParts};
use naschain_run::{Auditor, JobReply, RunSpec, Signers};
use proptest::prelude::*;
use serde_json::json;
use tower::ServiceExt;

use crate::operations::simulated;
use crate::programs::folder;

/// What a miner does.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Join,
    Request,
    Heartbeat,
    Answer,
    Leave,
}

/// One request, and how it differs from an honest one.
#[derive(Clone, Debug)]
struct Step {
    miner: u8,
    deed: Deed,
    path: usize,
    body: usize,
    nonce: usize,
}

const PATHS: usize = 10;
const BODIES: usize = 16;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let deed = proptest::sample::select(vec![
        Deed::Join,
        Deed::Join,
        Deed::Request,
        Deed::Request,
        Deed::Heartbeat,
        Deed::Answer,
        Deed::Answer,
        Deed::Leave,
    ]);
    // Half of all requests are honest in each respect, so that a run makes progress.
    let odd = |count: usize| prop_oneof![Just(0), 0..count];
    let step = (1u8..=4, deed, odd(PATHS), odd(BODIES), odd(5)).prop_map(
        |(miner, deed, path, body, nonce)| Step {
            miner,
            deed,
            path,
            body,
            nonce,
        },
    );
    proptest::collection::vec(step, 20..80)
}

fn key(seed: u8) -> Hotkey {
    Hotkey::from_seed(&[seed; 32])
}

const GENOMASTER: u8 = 9;

/// A genomaster, and what its miners remember.
struct Attack {
    router: Router,
    spec: RunSpec,
    jobs: [Option<naschain_run::Job>; 5],
    last_nonce: u64,
    accepted: usize,
}

impl Attack {
    async fn step(&mut self, step: &Step) {
        let lease = self.jobs[usize::from(step.miner)]
            .as_ref()
            .map_or(1, |job| job.lease.0);
        let path = self.path(step, lease);
        let body = self.body(step);
        let now = unix_nanos();
        let nonce = match step.nonce {
            1 => now + 500_000_000,
            2 => self.last_nonce,
            3 => now - 11_000_000_000,
            _ => now,
        };
        self.last_nonce = nonce;
        let message = SignedParts {
            method: "POST",
            path: &path,
            body: body.as_bytes(),
        };
        let receiver = key(GENOMASTER);
        let auth = Auth::sign(&key(step.miner), message, Some(receiver.address()), nonce);
        let Ok(mut request) = Request::builder()
            .method(Method::POST)
            .uri(&path)
            .header("content-type", "application/json")
            .body(Body::from(body))
        else {
            return;
        };
        for (name, value) in auth.headers() {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let text = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        assert!(status.as_u16() < 500, "{step:?}: {status} {text:?}");
        if status.is_success() {
            self.accepted += 1;
        }
        if status == StatusCode::OK
            && let Ok(JobReply::Job(job)) = serde_json::from_slice(&text)
        {
            self.jobs[usize::from(step.miner)] = Some(job);
        }
    }

    fn path(&self, step: &Step, lease: u64) -> String {
        let lease = match step.path {
            1 => format!("0{lease}"),
            2 => format!("+{lease}"),
            3 => format!("%3{lease}"),
            4 => format!("{lease}.0"),
            _ => lease.to_string(),
        };
        let path = match step.deed {
            Deed::Join => "/v1/join".to_owned(),
            Deed::Request => "/v1/jobs".to_owned(),
            Deed::Heartbeat => format!("/v1/leases/{lease}/heartbeat"),
            Deed::Answer => format!("/v1/leases/{lease}/result"),
            Deed::Leave => "/v1/leave".to_owned(),
        };
        match step.path {
            5 => path + "?x=1",
            6 => path + "?",
            7 => path.replace("v1", "%761"),
            8 => path + "/",
            9 => path.replace("/v1", "//v1"),
            _ => path,
        }
    }

    fn body(&self, step: &Step) -> String {
        let miner = key(step.miner).address().to_owned();
        let other = key(step.miner % 4 + 1).address().to_owned();
        let job = self.jobs[usize::from(step.miner)].as_ref();
        let row = job.map_or(json!({"failed": "no job"}), |job| {
            json!(simulated::answer(&self.spec, job))
        });
        let mut body = match step.deed {
            Deed::Join => json!({"miner": miner}),
            Deed::Request => json!({"miner": miner, "wait_ms": 0}),
            Deed::Heartbeat => json!({"miner": miner, "epoch": 1}),
            Deed::Answer => json!({"miner": miner, "row": row}),
            Deed::Leave => json!({"miner": miner}),
        };
        body["run"] = json!(self.spec.digest());
        match step.body {
            1 => body["run"] = json!(null),
            2 => drop(body.as_object_mut().unwrap().remove("run")),
            3 => body["run"] = json!("00".repeat(32)),
            4 => body["jobs"] = json!(null),
            5 => body["jobs"] = json!(1),
            6 => body["jobs"] = json!(3),
            7 => body["name"] = json!("x"),
            8 => body["miner"] = json!(other),
            9 => body["epoch"] = json!(2),
            10 => body["row"] = json!({"failed": "e".repeat(600)}),
            11 => body["row"] = json!([1, 2, 3]),
            _ => {}
        }
        let text = body.to_string();
        match step.body {
            12 => text.replace(':', " :  \n"),
            13 => format!("  {text}\n\n"),
            14 => text.replacen('5', "\\u0035", 1),
            15 => text.replacen('{', "{\"run\":null,", 1),
            _ => text,
        }
    }
}

async fn attack(dir: &Path, steps: &[Step]) -> (usize, usize) {
    let spec = simulated::spec(3, 2, 5);
    create_or_check(spec.clone(), dir).unwrap();
    let place = JournalPlace::of_run(dir);
    let coordinator = Coordinator::open(place.clone(), spec.clone())
        .await
        .unwrap();
    let access = Access {
        hotkey: Some(key(GENOMASTER)),
        rate_per_key: 0,
        ..Access::default()
    };
    let auth = Arc::new(Authenticator::new(access, coordinator.nonces()));
    let mut attack = Attack {
        router: router(coordinator.clone(), auth, None),
        spec: spec.clone(),
        jobs: Default::default(),
        last_nonce: 1,
        accepted: 0,
    };
    for step in steps {
        attack.step(step).await;
    }
    coordinator.close().await.unwrap();
    let mut store = place.read(spec.digest()).await.unwrap();
    let entries = store.entries(0, 10_000).await.unwrap();
    store.close().await.unwrap();
    let mut signers = Signers::default();
    signers.genomaster = Some(key(GENOMASTER).address().to_owned());
    let mut auditor = Auditor::new(spec, signers).unwrap();
    for (at, entry) in entries.iter().enumerate() {
        let following = &entries[at + 1..];
        if let Err(fault) = auditor.verify_next(entry, following) {
            panic!("{fault}: {entry:?}");
        }
    }
    (attack.accepted, entries.len())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn mutated_requests_are_refused_or_audited(steps in steps(), number in any::<u64>()) {
        let dir = folder(&format!("accepted-{number}"));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (accepted, entries) = runtime.block_on(attack(&dir, &steps));
        prop_assert!(entries <= accepted + steps.len());
        std::fs::remove_dir_all(dir).unwrap();
    }
}

/// The requests of the report: each was answered with 204, and no audit accepted the run afterwards.
#[tokio::test]
async fn other_spellings_of_a_path_are_refused() {
    let dir = folder("spellings");
    let honest = |deed, path| Step {
        miner: 1,
        deed,
        path,
        body: 0,
        nonce: 0,
    };
    let mut steps = vec![honest(Deed::Join, 5), honest(Deed::Join, 0)];
    steps.push(honest(Deed::Request, 0));
    for path in [1, 2, 3] {
        steps.push(honest(Deed::Heartbeat, path));
        steps.push(honest(Deed::Answer, path));
    }
    let (accepted, _) = attack(&dir, &steps).await;
    assert_eq!(accepted, 2, "only the honest join and request");
    std::fs::remove_dir_all(dir).unwrap();
}
