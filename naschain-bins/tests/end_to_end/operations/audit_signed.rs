//! `genomaster audit` requires that each event of a signed run has its own signature, made for its
//! genomaster. Nothing else reveals a journal that was rewritten with a valid hash chain.
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use crate::programs::{folder, genomaster, text};
use naschain_bins::{
    Access, Authenticator, Coordinator, JournalPlace, Listening, create_or_check, read_spec,
    router, unix_nanos,
};
use naschain_consensus::{Event, Millis, MinerId};
use naschain_identity::{Auth, Hotkey, SignedParts};
use naschain_run::{Entry, JobReply, JournalHead, Proof, RunSpec};
use serde_json::{Value, json};

pub(crate) fn key(seed: u8) -> Hotkey {
    Hotkey::from_seed(&[seed; 32])
}

/// Seed of the genomaster's key; those of the miners are 1, 2 and 3.
pub(crate) const GENOMASTER: u8 = 9;

/// A signed request as the journal keeps it.
fn proof(miner: u8, genomaster: u8, path: &str, body: &Value, nonce: u64) -> Option<Proof> {
    let body = body.to_string();
    let message = SignedParts {
        method: "POST",
        path,
        body: body.as_bytes(),
    };
    let receiver = key(genomaster);
    let auth = Auth::sign(&key(miner), message, Some(receiver.address()), nonce);
    Proof::new(&auth, message)
}

/// A finished run in which every miner signed.
pub(crate) async fn signed_run(dir: &Path) -> RunSpec {
    let spec = crate::operations::simulated::spec(2, 2, 3);
    create_or_check(spec.clone(), dir).unwrap();
    let place = JournalPlace::of_run(dir);
    let coordinator = Coordinator::open(place, spec.clone()).await.unwrap();
    let sign = |miner: u8, path: &str, mut body: Value| {
        body["run"] = json!(spec.digest());
        proof(miner, GENOMASTER, path, &body, unix_nanos())
    };
    let name = |seed: u8| -> MinerId { key(seed).address().parse().unwrap() };
    for seed in 1..=3 {
        let signed = sign(seed, "/v1/join", json!({"miner": name(seed)}));
        let join = Event::Join { miner: name(seed) };
        coordinator.handle(join, signed).await.unwrap();
    }
    while !coordinator.with_state(|state| state.is_finished()).await {
        for seed in 1..=3 {
            let miner = name(seed);
            let ask = sign(seed, "/v1/jobs", json!({"miner": miner, "wait_ms": 0}));
            let asked = coordinator.request(&miner, Duration::ZERO, ask);
            let JobReply::Job(job) = asked.await.unwrap() else {
                continue;
            };
            let row = crate::operations::simulated::answer(&spec, &job);
            let path = format!("/v1/leases/{}/result", job.lease.0);
            let body = json!({"miner": miner, "row": row});
            let signed = sign(seed, &path, body);
            let submit = coordinator.submit(&miner, job.lease, row, signed);
            submit.await.unwrap();
        }
    }
    coordinator.close().await.unwrap();
    spec
}

/// Copies a run with a changed journal whose hash chain is valid.
async fn forge(from: &Path, to: &Path, change: impl Fn(&mut Vec<Entry>)) {
    let spec = read_spec(&from.join("run.json")).unwrap();
    create_or_check(spec.clone(), to).unwrap();
    let mut store = JournalPlace::of_run(from)
        .read(spec.digest())
        .await
        .unwrap();
    let mut entries = store.entries(0, 10_000).await.unwrap();
    store.close().await.unwrap();
    change(&mut entries);
    let mut chain = JournalHead::root(spec.digest());
    let relinked: Vec<Entry> = entries
        .into_iter()
        .map(|entry| chain.entry(Millis(entry.now_ms), entry.event, entry.proof))
        .collect();
    let lead = JournalPlace::of_run(to)
        .lead(spec.digest(), false)
        .await
        .unwrap();
    let mut store = lead.unwrap();
    store
        .append(JournalHead::root(spec.digest()), &relinked)
        .await
        .unwrap();
    store.close().await.unwrap();
}

fn audit(dir: &Path, more: &[&str]) -> Output {
    let mut command = genomaster();
    command.arg("audit").arg(dir).arg("--json").args(more);
    command.output().unwrap()
}

fn fault(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let report: Value = serde_json::from_str(&text(&output.stdout)).unwrap();
    report["faults"][0].as_str().unwrap().to_owned()
}

fn is_of(entry: &Entry, event: &str) -> bool {
    entry.event.contains(&format!("\"event\":\"{event}\""))
}

/// Changes every answer and removes its signature.
fn unsigned_answers(entries: &mut [Entry]) {
    for entry in entries.iter_mut().filter(|entry| is_of(entry, "submit")) {
        let mut event: Value = serde_json::from_str(&entry.event).unwrap();
        event["row"]["measured"]["accuracy"] = json!(99.0);
        // Events are serialised in the order of their fields.
        let event: Event = serde_json::from_value(event).unwrap();
        entry.event = serde_json::to_string(&event).unwrap();
        entry.proof = None;
    }
}

#[tokio::test]
async fn a_signed_run_needs_a_fresh_signature_for_its_genomaster_on_every_event() {
    let all = folder("audit-signed");
    let honest = all.join("honest");
    let spec = signed_run(&honest).await;
    let output = audit(&honest, &[]);
    let report: Value = serde_json::from_str(&text(&output.stdout)).unwrap();
    assert_eq!(output.status.code(), Some(0), "{report}");
    assert_eq!(
        (&report["unsigned"], &report["finished"]),
        (&0.into(), &true.into())
    );

    let unsigned = all.join("unsigned");
    forge(&honest, &unsigned, |entries| unsigned_answers(entries)).await;
    let found = fault(&audit(&unsigned, &[]));
    assert!(found.contains("did not sign it"), "{found}");
    // A genomaster that accepts unsigned requests may have journaled these.
    assert_eq!(audit(&unsigned, &["--unsigned"]).status.code(), Some(0));

    // A join that was signed for another genomaster.
    let other = all.join("other");
    forge(&honest, &other, |entries| {
        let body = json!({"miner": key(2).address(), "run": spec.digest()});
        entries[1].proof = proof(2, 8, "/v1/join", &body, 2).map(|proof| proof.to_json());
    })
    .await;
    let found = fault(&audit(&other, &[]));
    let expected = format!("event 2: the request was signed for {}", key(8).address());
    assert!(found.contains(&expected), "{found}");
    let named = format!("--genomaster-hotkey={}", key(GENOMASTER).address());
    assert_eq!(audit(&honest, &[&named]).status.code(), Some(0));
    let stranger = format!("--genomaster-hotkey={}", key(8).address());
    assert!(fault(&audit(&honest, &[&stranger])).contains("event 1: the request was signed for"));

    // Replays the request for the first job while its miner trains, which would end the lease.
    let again = all.join("again");
    forge(&honest, &again, |entries| {
        let asks = entries.iter().position(|entry| is_of(entry, "request"));
        let asks = asks.unwrap();
        entries.insert(asks + 1, entries[asks].clone());
    })
    .await;
    let found = fault(&audit(&again, &[]));
    assert!(found.contains("each nonce is valid once"), "{found}");
    drop(spec);
    std::fs::remove_dir_all(all).unwrap();
}

/// Serves a run; read requests need no signature.
pub(crate) async fn serve(dir: &Path) -> String {
    let access = Access {
        hotkey: Some(key(GENOMASTER)),
        open_reads: true,
        ..Access::default()
    };
    serve_at(dir, access, 0, std::future::pending()).await
}

/// The same on a given port, until `stop`.
pub(crate) async fn serve_at(
    dir: &Path,
    access: Access,
    port: u16,
    stop: impl Future<Output = ()> + Send + 'static,
) -> String {
    let spec = read_spec(&dir.join("run.json")).unwrap();
    let coordinator = Coordinator::open(JournalPlace::of_run(dir), spec)
        .await
        .unwrap();
    let auth = Arc::new(Authenticator::new(access, coordinator.nonces()));
    let router = router(coordinator, auth, None);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port))
        .await
        .unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let listening = Listening {
        tls: None,
        max_connections: 64,
        behind_proxy: false,
    };
    tokio::spawn(naschain_bins::serve(listener, router, listening, stop));
    url
}

/// The genomaster serves signed jobs whose answers are not in its journal.
#[tokio::test(flavor = "multi_thread")]
async fn auditors_and_validators_read_the_public_journal() {
    let all = folder("audit-served");
    let (honest, forged) = (all.join("honest"), all.join("forged"));
    signed_run(&honest).await;
    forge(&honest, &forged, |entries| {
        // An unsigned join, which affects no verdict, row or job.
        entries[2].proof = None;
    })
    .await;
    let honest = serve(&honest).await;
    let forged = serve(&forged).await;
    let validate = |url: &str| {
        let mut command = crate::programs::validator();
        command
            .args(["--json", "--genomaster", url])
            .output()
            .unwrap()
    };
    for (url, code) in [(&honest, 0), (&forged, 2)] {
        let audited = audit(Path::new(url), &[]);
        assert_eq!(audited.status.code(), Some(code), "{audited:?}");
        let output = validate(url);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let report: Value = serde_json::from_str(&text(&output.stdout)).unwrap();
        assert_eq!(
            (&report["forged"], &report["history"]),
            (&json!([]), &Value::Null)
        );
        if code == 0 {
            assert_eq!(report["journal"], Value::Null);
            assert!(report["events"].as_u64().unwrap() > 20, "{report}");
        } else {
            let problem = report["journal"].as_str().unwrap();
            assert!(problem.contains("event 3: ") && problem.contains("did not sign it"));
        }
    }
    std::fs::remove_dir_all(all).unwrap();
}

/// An unsigned run by miners whose names are not addresses.
pub(crate) async fn unsigned_run(dir: &Path, seed: u64, jobs: usize) -> RunSpec {
    let spec = crate::operations::simulated::spec(2, 2, seed);
    create_or_check(spec.clone(), dir).unwrap();
    let coordinator = Coordinator::open(JournalPlace::of_run(dir), spec.clone());
    let coordinator = coordinator.await.unwrap();
    let mined = crate::operations::simulated::mine(&coordinator, 3, jobs);
    mined.await.unwrap();
    coordinator.close().await.unwrap();
    spec
}

#[tokio::test(flavor = "multi_thread")]
async fn unsigned_names_fail_the_audit_of_a_genomaster_with_a_hotkey() {
    let dir = folder("audit-names");
    unsigned_run(&dir, 5, 100).await;
    // Without a known genomaster, it is a run without signatures.
    assert_eq!(audit(&dir, &[]).status.code(), Some(0));
    let named = format!("--genomaster-hotkey={}", key(GENOMASTER).address());
    let found = fault(&audit(&dir, &[&named]));
    assert!(
        found.contains("event 1: miner-0 did not sign it"),
        "{found}"
    );
    let url = serve(&dir).await;
    let found = fault(&audit(Path::new(&url), &[]));
    assert!(
        found.contains("event 1: miner-0 did not sign it"),
        "{found}"
    );
    let allowed = audit(Path::new(&url), &["--unsigned"]);
    assert_eq!(allowed.status.code(), Some(0), "{allowed:?}");
    let mut validator = crate::programs::validator();
    let output = validator.args(["--json", "--genomaster", &url]).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let report: Value = serde_json::from_str(&text(&output.stdout)).unwrap();
    let problem = report["journal"].as_str().unwrap();
    assert!(problem.contains("miner-0 did not sign it"), "{problem}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_sets_the_weights_of_a_run_that_takes_the_address_over() {
    let all = folder("validator-next-run");
    let (first, second) = (all.join("first"), all.join("second"));
    unsigned_run(&first, 6, 3).await;
    let next = unsigned_run(&second, 7, 100).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async { drop(stopped.await) };
    let url = serve_at(&first, Access::default(), 0, stopped).await;
    let weights = all.join("weights");
    let mut validator = crate::programs::validator();
    validator
        .args(["--watch", "--json", "--epoch-batches=1", "--unsigned"])
        .args(["--genomaster", &url, "--weights-out"])
        .arg(&weights)
        .stdout(std::process::Stdio::null());
    let mut validator = crate::programs::Process::start(&mut validator);
    let exists = async |path: std::path::PathBuf| path.exists().then_some(());
    crate::programs::eventually(async || exists(weights.join("epoch-000003.json")).await).await;
    stop.send(()).unwrap();
    let port = url.rsplit(':').next().unwrap().parse().unwrap();
    crate::programs::eventually(async || {
        let free = tokio::net::TcpListener::bind(("127.0.0.1", port)).await;
        free.ok().map(drop)
    })
    .await;
    serve_at(&second, Access::default(), port, std::future::pending()).await;
    let ended = crate::programs::eventually(async || validator.0.try_wait().unwrap()).await;
    assert!(ended.success(), "{ended}");
    let own = weights.join(next.digest().to_string());
    for epoch in 1..=4 {
        let record = std::fs::read_to_string(own.join(format!("epoch-{epoch:06}.json")));
        let record: Value = serde_json::from_str(&record.unwrap()).unwrap();
        assert_eq!(record["run"], json!(next.digest()));
    }
    std::fs::remove_dir_all(all).unwrap();
}

/// Two requests of a miner with capacity 1 wait. When there is work, one gets it, and the other
/// must not end that lease.
#[tokio::test]
async fn a_waiting_request_does_not_end_a_lease() {
    let dir = folder("waiting");
    let spec = crate::operations::simulated::spec(2, 2, 3);
    let coordinator = Coordinator::open(JournalPlace::of_run(&dir), spec.clone());
    let coordinator = coordinator.await.unwrap();
    let names = [0, 1, 2].map(crate::operations::simulated::miner);
    for miner in names.clone() {
        coordinator
            .handle(Event::Join { miner }, None)
            .await
            .unwrap();
    }
    let first = &names[0];
    let answer_all = async |miner: &MinerId| {
        while let JobReply::Job(job) = coordinator
            .request(miner, Duration::ZERO, None)
            .await
            .unwrap()
        {
            let row = crate::operations::simulated::answer(&spec, &job);
            coordinator
                .submit(miner, job.lease, row, None)
                .await
                .unwrap();
            if coordinator
                .with_state(|state| state.ended_jobs().len())
                .await
                == 2
            {
                return;
            }
        }
    };
    answer_all(first).await;
    let ask = || {
        let (coordinator, miner) = (coordinator.clone(), first.clone());
        tokio::spawn(async move {
            let wait = Duration::from_secs(3);
            coordinator.request(&miner, wait, None).await.unwrap()
        })
    };
    let waiting = [ask(), ask()];
    tokio::time::sleep(Duration::from_millis(300)).await;
    answer_all(&names[1]).await;
    answer_all(&names[2]).await;
    let mut jobs = Vec::new();
    for reply in waiting {
        if let JobReply::Job(job) = reply.await.unwrap() {
            jobs.push(job);
        }
    }
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    let leases = coordinator.with_state(|state| {
        state
            .leases_of(first)
            .map(|(lease, _)| lease)
            .collect::<Vec<_>>()
    });
    assert_eq!(leases.await, [jobs[0].lease]);
    coordinator.close().await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}
