//! Genomasters and miners that cheat a validator: an empty journal, another history after a restart
//! or for another validator, no hotkey, and answers without a training.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use naschain_bins::{Access, Client};
use naschain_run::{EndedJobs, Entry, Equivocation, Identity, JournalPage, RunSpec};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::operations::audit_signed::{GENOMASTER, key, serve, serve_at, signed_run, unsigned_run};
use crate::programs::wallets::Wallets;
use crate::programs::{Process, Server, eventually, folder, succeeded, text, wait_until};

/// What a genomaster shows. A liar takes it from an honest one and changes it.
#[derive(Clone)]
pub(super) struct Shown {
    pub(super) hotkey: Option<String>,
    pub(super) spec: RunSpec,
    pub(super) jobs: EndedJobs,
    pub(super) entries: Vec<Entry>,
}

pub(super) type Lie = Arc<Mutex<Shown>>;

#[derive(Deserialize)]
struct After {
    after: usize,
}

impl Shown {
    /// All that an honest genomaster shows of a small run.
    pub(super) async fn of(url: &str) -> Shown {
        let client = Client::new(url).unwrap();
        Shown {
            hotkey: client.genomaster().await.unwrap().map(str::to_owned),
            spec: client.run().await.unwrap(),
            jobs: client.jobs(0).await.unwrap(),
            entries: client.journal(0).await.unwrap().entries,
        }
    }
}

/// Serves a lie; returns its address.
pub(super) async fn tell(lie: &Lie) -> String {
    let identity = async |State(lie): State<Lie>| {
        let hotkey = lie.lock().unwrap().hotkey.clone();
        Json(Identity {
            hotkey,
            has_many_runs: false,
        })
    };
    let run = async |State(lie): State<Lie>| Json(lie.lock().unwrap().spec.clone());
    let batches = async |State(lie): State<Lie>, Query(After { after }): Query<After>| {
        let mut jobs = lie.lock().unwrap().jobs.clone();
        jobs.jobs = jobs.jobs.split_off(after.min(jobs.jobs.len()));
        Json(jobs)
    };
    let journal = async |State(lie): State<Lie>, Query(After { after }): Query<After>| {
        let mut entries = lie.lock().unwrap().entries.clone();
        let last = entries.len() as u64;
        let entries = entries.split_off(after.min(entries.len()));
        Json(JournalPage { entries, last })
    };
    let router = Router::new()
        .route("/identity", get(identity))
        .route("/v1/run", get(run))
        .route("/v1/batches", get(batches))
        .route("/v1/journal", get(journal))
        .route("/v1/front", get(async || Json(json!([]))))
        .with_state(lie.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
    url
}

/// A validator that remembers in this folder, and writes weights there.
pub(super) fn validator(dir: &Path, url: &str, more: &[&str]) -> Command {
    let mut command = crate::programs::validator();
    command.args(["--json", "--genomaster", url, "--epoch-jobs=1"]);
    command.arg("--state").arg(dir.join("state"));
    command.arg("--weights-out").arg(dir.join("weights"));
    command.args(more);
    command
}

pub(super) fn report(output: &Output) -> Value {
    serde_json::from_str(&text(&output.stdout)).unwrap_or_else(|_| panic!("{output:?}"))
}

/// Asserts that the validator failed for this reason.
pub(super) fn refused(output: &Output, reason: &str) {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output.stderr).contains(reason), "{output:?}");
}

/// Number of epochs whose weights were set.
fn epochs_set(dir: &Path) -> usize {
    std::fs::read_dir(dir.join("weights")).map_or(0, Iterator::count)
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_are_not_in_the_journal_pay_nobody() {
    let dir = folder("empty-journal");
    signed_run(&dir.join("run")).await;
    let mut shown = Shown::of(&serve(&dir.join("run")).await).await;
    shown.entries.clear();
    let lie = Arc::new(Mutex::new(shown));
    let url = tell(&lie).await;
    let output = validator(&dir, &url, &[]).output().unwrap();
    refused(
        &output,
        "4 jobs are listed as finished, but the journal has only 0",
    );
    // As if an open job hid the journal's end.
    lie.lock().unwrap().jobs.finished = false;
    let output = validator(&dir, &url, &[]).output().unwrap();
    let report = report(&output);
    assert_eq!(
        (&report["unproven"], &report["epochs"]),
        (&json!(4), &json!(0))
    );
    assert_eq!(epochs_set(&dir), 0);
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_validator_refuses_a_history_that_does_not_continue_the_verified_one() {
    let dir = folder("rewritten");
    let (first, second) = (dir.join("first"), dir.join("second"));
    let spec = signed_run(&first).await;
    // The same run with other signatures: each history is valid for itself.
    assert_eq!(signed_run(&second).await, spec);
    let (first, second) = (serve(&first).await, serve(&second).await);
    let shorter = Arc::new(Mutex::new(Shown::of(&first).await));
    shorter.lock().unwrap().entries.pop();
    let shorter = tell(&shorter).await;
    succeeded(validator(&dir, &first, &[]).output().unwrap());
    let record = dir.join("state").join(format!("{}.json", spec.digest()));
    let verified = std::fs::read(&record).unwrap();

    let output = validator(&dir, &shorter, &[]).output().unwrap();
    refused(&output, "events were removed");
    let output = validator(&dir, &second, &[]).output().unwrap();
    refused(&output, "has signed two histories");
    assert!(
        text(&output.stdout).contains("the journal was rewritten"),
        "{output:?}"
    );
    let proof = format!("{}-two-histories.json", spec.digest());
    let proof = std::fs::read_to_string(dir.join("state").join(proof)).unwrap();
    let proof: Equivocation = serde_json::from_str(&proof).unwrap();
    proof.check().unwrap();
    assert_eq!(proof.first.hotkey, key(GENOMASTER).address());
    // What was verified is kept, and the genomaster is not trusted again.
    assert_eq!(std::fs::read(&record).unwrap(), verified);
    let output = validator(&dir, &first, &[]).output().unwrap();
    refused(&output, "has signed two histories");
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_genomaster_without_a_hotkey_pays_nobody() {
    let dir = folder("no-hotkey");
    unsigned_run(&dir.join("run"), 8, 100).await;
    let never = std::future::pending();
    let url = serve_at(&dir.join("run"), Access::default(), 0, never).await;
    let output = validator(&dir, &url, &[]).output().unwrap();
    refused(&output, "no weights are set: the genomaster has no hotkey");
    assert_eq!(epochs_set(&dir), 0);
    succeeded(validator(&dir, &url, &["--unsigned"]).output().unwrap());
    assert_eq!(epochs_set(&dir), 4);
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_genomaster_keeps_the_hotkey_that_it_had_first() {
    let dir = folder("lost-hotkey");
    signed_run(&dir.join("run")).await;
    let lie = Shown::of(&serve(&dir.join("run")).await).await;
    let lie = Arc::new(Mutex::new(lie));
    let url = tell(&lie).await;
    succeeded(validator(&dir, &url, &[]).output().unwrap());
    lie.lock().unwrap().hotkey = None;
    let output = validator(&dir, &url, &["--unsigned"]).output().unwrap();
    refused(&output, "is now without a hotkey");
    // The same run at another address.
    let elsewhere = tell(&lie).await;
    let output = validator(&dir, &elsewhere, &["--unsigned"])
        .output()
        .unwrap();
    refused(&output, "and is now by nobody");
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn miners_that_agree_without_training_are_found_by_retraining() {
    let dir = folder("retrained-lies");
    // These miners derive their digests from the genome.
    let spec = signed_run(&dir.join("run")).await;
    let url = serve(&dir.join("run")).await;
    let output = validator(&dir, &url, &["--retrain=1/1"]).output().unwrap();
    refused(&output, "12 rows differ from this validator's own training");
    let found = report(&output);
    assert_eq!(
        (&found["retrained"], &found["accepted"]),
        (&json!(4), &json!(0))
    );
    assert_eq!(found["wrong"].as_array().unwrap().len(), 12);
    for (_, miner) in found["miners"].as_object().unwrap() {
        assert_eq!(miner["weight"], 0);
    }
    let proof = format!("{}-wrong-batch-0.json", spec.digest());
    let proof = std::fs::read_to_string(dir.join("state").join(proof)).unwrap();
    let proof: Value = serde_json::from_str(&proof).unwrap();
    let claimed = &proof["batch"]["rows"][0][1]["measured"]["digest"];
    assert_ne!(claimed, &proof["recomputed"]["measured"]["digest"]);
    assert_eq!(proof["batch"]["proofs"].as_array().unwrap().len(), 3);
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn honest_miners_pass_the_retraining() {
    let dir = folder("retrained-honest");
    let wallets = Wallets(dir.join("wallets"));
    let names = ["ada", "bob", "eve"];
    for name in ["genomaster", "validator"].iter().chain(&names) {
        wallets.make(name);
    }
    let run = dir.join("run");
    let server = Server::spawn(&mut wallets.serve(&run, 0, &[]));
    let start = |name: &str| Process::start(&mut wallets.miner(&server.url, name));
    let _miners = names.map(start);
    wait_until("the front is written", || run.join("front.json").exists());
    let output = wallets.validator(&server.url, &["--retrain=1/2"]).output();
    let report: Value = serde_json::from_str(&succeeded(output.unwrap())).unwrap();
    assert_eq!(
        (&report["wrong"], &report["accepted"]),
        (&json!([]), &json!(12))
    );
    assert!(report["retrained"].as_u64().unwrap() > 0, "{report}");
    drop(server);
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn validators_that_were_shown_two_histories_find_it_out() {
    let dir = folder("two-histories");
    let runs: [PathBuf; 2] = ["left", "right"].map(|name| dir.join(name));
    let spec = signed_run(&runs[0]).await;
    signed_run(&runs[1]).await;
    let left = serve(&runs[0]).await;
    let right = serve(&runs[1]).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let (one, other) = (dir.join("one"), dir.join("other"));
    let listen = format!("--listen={address}");
    let mut watching = validator(&one, &left, &["--watch", &listen]);
    let _watching = Process::start(watching.stdout(Stdio::null()));
    let http = format!("http://{address}");
    eventually(async || {
        let shown = reqwest::get(format!("{http}/v1/heads")).await.ok()?;
        let shown = shown.text().await.ok()?;
        shown.contains("\"batches\":4").then_some(())
    })
    .await;
    // Without its peer, the right validator cannot know.
    succeeded(validator(&dir.join("alone"), &right, &[]).output().unwrap());
    let peer = format!("--peer={http}");
    let output = validator(&other, &right, &[&peer]).output().unwrap();
    refused(&output, "has signed two histories");
    assert_eq!(epochs_set(&other), 0);
    let proof = format!("{}-two-histories.json", spec.digest());
    let proof = std::fs::read_to_string(other.join("state").join(proof)).unwrap();
    serde_json::from_str::<Equivocation>(&proof)
        .unwrap()
        .check()
        .unwrap();
    // A peer that does not answer changes nothing.
    let silent = validator(&dir.join("silent"), &right, &["--peer=http://127.0.0.1:1"]);
    let mut silent = silent;
    succeeded(silent.output().unwrap());
    std::fs::remove_dir_all(dir).unwrap();
}
