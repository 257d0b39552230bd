//! Genomasters that exhaust the memory or the time of validators, auditors and miners, and true rows
//! that were called wrong.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::routing::get;
use axum::{Json, Router};
use naschain_bins::{Access, Coordinator, JournalPlace, create_or_check};
use naschain_consensus::{Event, JobId, MinerId, Row, Rule, judge};
use naschain_core::Digest;
use naschain_nsga::Mode;
use naschain_run::{EndedJob, EndedJobs, Identity, Job, JobReply, JournalPage, RunSpec};
use naschain_train::{Dataset, Options};
use serde_json::json;

use super::validators::{Shown, refused, report, tell, validator};
use crate::operations::audit_signed::{GENOMASTER, key, serve, serve_at, signed_run};
use crate::operations::simulated;
use crate::programs::{folder, genomaster, miner, succeeded, text};

/// A change of a specification, and what the error says of it.
type Change = (fn(&mut RunSpec), &'static str);

/// One answer to `/v1/run` once took terabytes.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_exhausts_the_memory_is_refused_by_all() {
    let dir = folder("huge-run");
    signed_run(&dir.join("run")).await;
    let honest = Shown::of(&serve(&dir.join("run")).await).await;
    let changes: [Change; 3] = [
        (
            |spec| (spec.search.population, spec.search.genome_len) = (1_000_000, 1 << 24),
            "the search's genomes have 16777216 bits",
        ),
        (
            |spec| spec.search.population = 1_000_000,
            "population is 1000000; it must be at most",
        ),
        (
            |spec| spec.search.objectives.truncate(1),
            "the objectives are accuracy (Maximize); they must be",
        ),
    ];
    for (change, expected) in changes {
        let mut shown = honest.clone();
        shown.spec.search.mode = Mode::Nsga2;
        change(&mut shown.spec);
        let url = tell(&Arc::new(Mutex::new(shown))).await;
        let commands = [
            validator(&dir, &url, &[]).output(),
            genomaster().args(["audit", &url]).output(),
            miner().args(["--genomaster", &url]).output(),
        ];
        for output in commands {
            refused(&output.unwrap(), expected);
        }
    }
    std::fs::remove_dir_all(dir).unwrap();
}

/// A job that nobody trained, of about this many bytes.
fn invented(number: usize, bytes: usize) -> EndedJob {
    let row = Row::Failed("x".repeat(bytes));
    EndedJob {
        job: JobId(number as u64),
        genome: "01".parse().unwrap(),
        verdict: judge(std::slice::from_ref(&row), &Default::default()),
        rows: vec![("ada".parse().unwrap(), row)],
        failure: None,
        proofs: Vec::new(),
    }
}

/// Serves a list of jobs without end, each on a page, and an empty journal. Returns the address and
/// the number of pages that were read.
async fn endless_list(spec: RunSpec, bytes: usize) -> (String, Arc<AtomicUsize>) {
    let pages = Arc::new(AtomicUsize::new(0));
    let counter = pages.clone();
    let jobs = async move || {
        let number = counter.fetch_add(1, Ordering::SeqCst);
        Json(EndedJobs {
            jobs: vec![invented(number, bytes)],
            total: usize::MAX,
            finished: false,
            training_seeds: Vec::new(),
            head: None,
        })
    };
    let (entries, last) = (Vec::new(), 0);
    let journal = JournalPage { entries, last };
    let identity = Identity {
        hotkey: None,
        has_many_runs: false,
    };
    let router = Router::new()
        .route("/identity", get(async move || Json(identity)))
        .route("/v1/run", get(async move || Json(spec)))
        .route("/v1/batches", get(jobs))
        .route("/v1/journal", get(async move || Json(journal)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
    (url, pages)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_more_jobs_than_the_search_has_is_not_read() {
    let dir = folder("endless-list");
    let (url, pages) = endless_list(simulated::spec(4, 5, 1), 10).await;
    let output = validator(&dir, &url, &["--unsigned"]).output().unwrap();
    refused(&output, "21 jobs are listed, but the search has at most 20");
    assert_eq!(pages.load(Ordering::SeqCst), 21);
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn few_jobs_that_the_journal_does_not_contain_are_kept() {
    let dir = folder("unproven-list");
    let (url, pages) = endless_list(simulated::spec(1_000, 1_000, 1), 4 << 20).await;
    let output = validator(&dir, &url, &["--unsigned"]).output().unwrap();
    // Nothing is wrong yet: an honest journal may be late.
    let report = report(&output);
    assert_eq!(report["unproven"], json!(8), "{output:?}");
    assert_eq!(report["history"], json!(null), "{output:?}");
    assert_eq!(pages.load(Ordering::SeqCst), 8);
    std::fs::remove_dir_all(dir).unwrap();
}

/// An auditor once asked for the missing jobs for ever.
#[tokio::test(flavor = "multi_thread")]
async fn an_audit_ends_where_a_list_of_jobs_promises_more() {
    let dir = folder("short-list");
    signed_run(&dir.join("run")).await;
    let mut shown = Shown::of(&serve(&dir.join("run")).await).await;
    shown.jobs.jobs.pop();
    let url = tell(&Arc::new(Mutex::new(shown))).await;
    let mut audit = genomaster();
    audit.args(["audit", "--genomaster-hotkey"]);
    let output = audit.args([key(GENOMASTER).address(), &url]).output();
    refused(
        &output.unwrap(),
        "list of jobs ends after 3 jobs, but has 4",
    );
    std::fs::remove_dir_all(dir).unwrap();
}

/// The right result of a training, as a miner of the reference network sends it.
fn without_digest(spec: &RunSpec, job: &Job) -> Row {
    let architecture = spec.space.decode(&job.genome).unwrap();
    let dataset = Dataset::digits();
    let options = Options::default();
    let proceed = &mut |_: &naschain_train::Epoch| std::ops::ControlFlow::Continue(());
    let trained =
        naschain_train::train(&architecture, &dataset, &spec.recipe, options, proceed).unwrap();
    let mut measurement = trained.measurement;
    measurement.digest = Digest([0; 32]);
    Row::Measured(measurement)
}

async fn run_without_digests(dir: &Path) -> RunSpec {
    let mut spec = simulated::spec(2, 1, 3);
    spec.rules.agreement.rule = Rule::Tolerance;
    create_or_check(spec.clone(), dir).unwrap();
    let place = JournalPlace::of_run(dir);
    let coordinator = Coordinator::open(place, spec.clone()).await.unwrap();
    let miners = [1, 2, 3].map(|uid| format!("uid-{uid}").parse::<MinerId>().unwrap());
    for miner in miners.clone() {
        let join = Event::Join { miner };
        coordinator.handle(join, None).await.unwrap();
    }
    while !coordinator.with_state(|state| state.is_finished()).await {
        for miner in &miners {
            let asked = coordinator.request(miner, Duration::ZERO, None).await;
            if let JobReply::Job(job) = asked.unwrap() {
                let row = without_digest(&spec, &job);
                let submit = coordinator.submit(miner, job.lease, row, None);
                submit.await.unwrap();
            }
        }
    }
    coordinator.close().await.unwrap();
    spec
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_row_without_a_digest_is_no_proof_against_its_miner() {
    let dir = folder("no-digests");
    run_without_digests(&dir.join("run")).await;
    let never = std::future::pending();
    let url = serve_at(&dir.join("run"), Access::default(), 0, never).await;
    let flags = ["--unsigned", "--legacy", "--retrain=1/1"];
    let output = validator(&dir, &url, &flags).output().unwrap();
    succeeded(output.clone());
    let report = report(&output);
    assert_eq!(
        (&report["retrained"], &report["wrong"]),
        (&json!(2), &json!([]))
    );
    let files = std::fs::read_dir(dir.join("state")).unwrap();
    for file in files {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(!name.contains("wrong-batch"), "{name}");
    }
    assert!(!text(&output.stderr).contains("wrong rows"), "{output:?}");
    std::fs::remove_dir_all(dir).unwrap();
}
