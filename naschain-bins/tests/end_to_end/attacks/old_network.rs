//! What strangers and unlucky timing did to the miners and validators of the reference network.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use naschain_bins::{Coordinator, JournalPlace};
use naschain_consensus::{Event, Rule};
use naschain_run::{JobReply, RunSpec};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::operations::simulated;
use crate::programs::{Server, call, cifar10, folder, genomaster, legacy_router, read, refused};

/// A genomaster that serves the old paths, in this process.
async fn serve(dir: &Path, spec: RunSpec) -> (Arc<Coordinator>, Router) {
    let coordinator = Coordinator::open(JournalPlace::of_run(dir), spec)
        .await
        .unwrap();
    let router = legacy_router(coordinator.clone(), None);
    (coordinator, router)
}

fn spec(seed: u64) -> RunSpec {
    let mut spec = simulated::spec(2, 2, seed);
    spec.rules.agreement.rule = Rule::Tolerance;
    spec.rules.silent_uids = true;
    spec
}

async fn send(
    router: &Router,
    method: &str,
    path: &str,
    body: impl Into<Body>,
) -> (StatusCode, Value) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .body(body.into())
        .unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let text = String::from_utf8_lossy(&body);
    let json = serde_json::from_slice(&body);
    (
        status,
        json.unwrap_or_else(|_| panic!("{path}: {status} {text}")),
    )
}

/// What a miner of the reference network answers for a job.
fn finished(spec: &RunSpec, uid: u32, job: &Value) -> Value {
    let genome = job["Genome_String"].as_str().unwrap();
    let network = spec.space.decode(&genome.parse().unwrap()).unwrap();
    let costs = network.costs().unwrap();
    let mflops = (costs.flops as f64 / 1e6 * 1e4).round() / 1e4;
    let values = json!([
        70.5,
        costs.params as f64 / 1e6,
        mflops,
        210.5,
        "NVIDIA A4000",
        16e9,
        "0.0.1"
    ]);
    json!({"user_name": uid, "genome_string": genome, "response_values": values})
}

/// The reference network's validator reads a uid as an index: one of 4294967295 made it ignore all
/// other miners for ever.
#[tokio::test]
async fn a_uid_beyond_the_subnet_is_neither_served_nor_shown() {
    let dir = folder("old-uids");
    let (coordinator, router) = serve(&dir, spec(3)).await;
    for (uid, status) in [(255_u32, 200), (256, 422), (u32::MAX, 422)] {
        let body = json!({"user_name": uid}).to_string();
        let (found, reply) = send(&router, "POST", "/request_job", body).await;
        assert_eq!(found, status, "{uid}: {reply}");
        if status != 200 {
            let message = reply["message"].as_str().unwrap();
            assert!(message.contains("a uid from 0 to 255"), "{message}");
        }
    }
    // Under /v1, without signatures, such a name is like any other.
    let names = ["uid-1", "uid-2", "uid-4294967295"].map(|name| name.parse().unwrap());
    for miner in names.iter().cloned() {
        coordinator
            .handle(Event::Join { miner }, None)
            .await
            .unwrap();
    }
    while coordinator
        .with_state(|state| state.ended_jobs().is_empty())
        .await
    {
        for miner in &names {
            let reply = coordinator.request(miner, Duration::ZERO, None).await;
            if let JobReply::Job(job) = reply.unwrap() {
                let row = simulated::answer(coordinator.spec(), &job);
                coordinator
                    .submit(miner, job.lease, row, None)
                    .await
                    .unwrap();
            }
        }
        // The first one has forgotten its job.
        let leave = Event::Leave {
            miner: "uid-255".parse().unwrap(),
        };
        let _ = coordinator.handle(leave, None).await;
    }
    let (status, rows) = send(&router, "GET", "/handle_valid_request", "").await;
    assert_eq!(status, 200, "{rows}");
    let users: Vec<u64> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["Assigned_User"].as_u64().unwrap())
        .collect();
    assert!(
        !users.is_empty() && users.iter().all(|uid| *uid < 256),
        "{users:?}"
    );
    coordinator.close().await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn every_refusal_carries_a_message() {
    let dir = folder("old-messages");
    let (coordinator, router) = serve(&dir, spec(4)).await;
    let long = "x".repeat(70_000);
    for (method, path, body, status) in [
        ("GET", "/request_job", "", 405),
        ("POST", "/handle_valid_request", "", 405),
        ("POST", "/request_job", long.as_str(), 413),
        ("POST", "/finish_job", &long, 413),
        ("POST", "/finish_job", "{}", 400),
    ] {
        let (found, reply) = send(&router, method, path, body.to_owned()).await;
        assert_eq!(found, status, "{path}: {reply}");
        assert!(
            reply["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{reply}"
        );
    }
    let (found, reply) = send(&router, "POST", "/request_job", vec![0xff_u8, 0xfe]).await;
    assert_eq!(found, 400, "{reply}");
    assert!(reply["message"].is_string(), "{reply}");
    // Other paths keep their problem documents.
    let (found, reply) = send(&router, "DELETE", "/v1/join", "").await;
    assert_eq!(
        (found, &reply["type"]),
        (StatusCode::METHOD_NOT_ALLOWED, &json!("method_not_allowed"))
    );
    coordinator.close().await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}

/// The genomaster wrote heartbeats in the names of these miners, three for each lease and term.
#[tokio::test]
async fn a_lease_lasts_without_heartbeats_in_the_journal() {
    let dir = folder("old-leases");
    let mut spec = spec(5);
    spec.rules.lease_ms = 200;
    let (coordinator, router) = serve(&dir, spec.clone()).await;
    let (status, job) = send(&router, "POST", "/request_job", r#"{"user_name":7}"#).await;
    assert_eq!(status, 200, "{job}");
    let events = async || coordinator.with_state(|state| state.events()).await;
    let before = events().await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(events().await, before);
    let answer = finished(&spec, 7, &job).to_string();
    let (status, reply) = send(&router, "POST", "/finish_job", answer).await;
    assert_eq!(status, 200, "{reply}");
    coordinator.close().await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}

/// Any answer for the same genome was acknowledged once, and wrong costs were called counted.
#[tokio::test]
async fn one_answer_counts_and_wrong_costs_are_malformed() {
    let dir = folder("old-answers");
    let spec = spec(6);
    let (coordinator, router) = serve(&dir, spec.clone()).await;
    let ask = async |uid: u32| {
        let body = json!({"user_name": uid}).to_string();
        let (status, job) = send(&router, "POST", "/request_job", body).await;
        assert_eq!(status, 200, "{job}");
        job
    };
    let answer = async |body: &Value| {
        let (status, reply) = send(&router, "POST", "/finish_job", body.to_string()).await;
        let message = reply["message"].as_str().unwrap().to_owned();
        (status.as_u16(), message)
    };
    let first = finished(&spec, 7, &ask(7).await);
    let counted = (200, "the answer was counted".to_owned());
    assert_eq!(answer(&first).await, counted);
    assert_eq!(answer(&first).await, counted);
    for accuracy in 0..40 {
        let mut other = first.clone();
        other["response_values"][0] = json!(accuracy);
        let (status, message) = answer(&other).await;
        assert_eq!(status, 409, "{message}");
        assert!(message.contains("the first answer counts"), "{message}");
    }
    let mut invented = finished(&spec, 8, &ask(8).await);
    invented["response_values"][1] = json!(0.000001);
    for _ in 0..2 {
        let (status, message) = answer(&invented).await;
        assert_eq!(status, 422, "{message}");
        assert!(message.contains("counted as malformed: "), "{message}");
        assert!(message.contains("those of another network"), "{message}");
    }
    coordinator.close().await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn runs_that_their_miner_cannot_train_are_refused() {
    let dir = folder("old-settings");
    let flags = cifar10(&dir.join("data"));
    let two_phases: Vec<&str> = flags[..2]
        .iter()
        .map(String::as_str)
        .chain(["--phases=2"])
        .collect();
    for more in [&["--phases=3"][..], &two_phases] {
        let mut command = genomaster();
        command.arg("serve").args(crate::programs::SMALL).args(more);
        command.args(["--unsigned", "--legacy", "--listen=127.0.0.1:0", "--run"]);
        let error = refused(command.arg(dir.join("run")));
        assert!(
            error.contains("--legacy needs --data cifar10 and --phases 3"),
            "{error}"
        );
    }
    assert!(!dir.join("run").exists());
    std::fs::remove_dir_all(dir).unwrap();
}

fn signal(server: &Server, name: &str) {
    let id = server.process.0.id().to_string();
    let sent = Command::new("kill").args([name, &id]).status();
    assert!(sent.unwrap().success());
}

/// A process that is stopped, as by a debugger or a frozen container, answers nobody: its leases
/// must not end meanwhile. Also for naschain's own miners.
#[test]
#[cfg(unix)]
fn a_stopped_genomaster_accepts_work_that_was_finished_meanwhile() {
    let dir = folder("old-stopped");
    let data = cifar10(&dir.join("data"));
    let mut flags: Vec<&str> = data.iter().map(String::as_str).collect();
    flags.extend(["--legacy", "--lease-seconds=1"]);
    let run = dir.join("run");
    let server = Server::start_with(&run, 0, &flags);
    let spec = naschain_bins::read_spec(&run.join("run.json")).unwrap();
    let post = |path: &str, body: &str| {
        let answer = call(&server, "POST", path, "", body);
        assert!(answer.status < 300, "{path}: {answer:?}");
        answer.body
    };
    let old: Value = serde_json::from_str(&post("/request_job", r#"{"user_name":7}"#)).unwrap();
    let named = |mut body: Value| {
        body["run"] = json!(spec.digest().to_string());
        body.to_string()
    };
    post("/v1/join", &named(json!({"miner": "ada"})));
    let own = post("/v1/jobs", &named(json!({"miner": "ada", "wait_ms": 0})));
    let own: Value = serde_json::from_str(&own).unwrap();
    let lease = own["lease"].as_u64().unwrap_or_else(|| panic!("{own}"));
    signal(&server, "-STOP");
    std::thread::sleep(Duration::from_secs(4));
    signal(&server, "-CONT");
    let failed = named(json!({"miner": "ada", "row": {"failed": "x"}}));
    post(&format!("/v1/leases/{lease}/result"), &failed);
    post("/finish_job", &finished(&spec, 7, &old).to_string());

    // What it sent besides is kept.
    let report: Value =
        serde_json::from_str(read(run.join("legacy_reports.jsonl")).trim()).unwrap();
    assert_eq!(
        (&report["uid"], &report["average_watts"]),
        (&json!(7), &json!(210.5))
    );
    assert_eq!(
        (&report["gpu"], &report["miner_version"]),
        (&json!("NVIDIA A4000"), &json!("0.0.1"))
    );
    assert_eq!(report["gpu_memory_bytes"], json!(16_000_000_000_u64));
    drop(server);
    std::fs::remove_dir_all(dir).unwrap();
}

/// A uid in a file of credentials beyond the subnet's size, and what is said at the start.
#[test]
fn the_startup_log_names_the_rule_and_the_limit() {
    let dir = folder("old-start");
    let data = cifar10(&dir.join("data"));
    let tokens = dir.join("tokens");
    std::fs::write(&tokens, "300:token-of-300\n").unwrap();
    let tokens = format!("--legacy-credentials={}", tokens.display());
    let serve = |more: &[&str]| {
        let mut command = genomaster();
        command
            .arg("serve")
            .args(crate::programs::SMALL)
            .args(&data)
            .args(more);
        command.args([
            "--unsigned",
            "--legacy",
            &tokens,
            "--listen=127.0.0.1:0",
            "--run",
        ]);
        command.arg(dir.join("run"));
        command
    };
    let error = refused(&mut serve(&[]));
    assert!(
        error.contains("uid 300; uids must be below --legacy-uids, which is 256"),
        "{error}"
    );
    let log = dir.join("log");
    let mut command = serve(&["--legacy-uids=301"]);
    command.stdout(std::process::Stdio::piped());
    command.stderr(std::fs::File::create(&log).unwrap());
    drop(Server::spawn(&mut command));
    let log = read(log);
    assert!(
        log.contains("answers agree pairwise") && log.contains("--agreement chained"),
        "{log}"
    );
    std::fs::remove_dir_all(dir).unwrap();
}
