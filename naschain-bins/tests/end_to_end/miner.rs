//! What a miner does besides training: self-test, reports of failed trainings, and resuming after
//! it was killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::programs::{Process, folder, genomaster, read, search, succeeded, text, wait_until};
use naschain_bins::{
    Coordinator, JournalPlace, Miner, Trainer, Transport, create_or_check, read_spec,
};
use naschain_consensus::Row;
use naschain_core::Recipe;
use naschain_run::RunState;
use naschain_train::Options;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

fn miner(args: &[&str]) -> Command {
    let mut command = crate::programs::miner();
    command.args(args);
    command
}

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&succeeded(miner(args).output().unwrap())).unwrap()
}

#[test]
fn the_selftest_passes() {
    let report = json(&["selftest", "--json"]);
    let digest = report["digest"].as_str().unwrap();
    assert_eq!((digest.len(), &report["device"]), (64, &Value::from("cpu")));
    assert_eq!(report["recorded"], digest, "{report}");
    assert_eq!(report["grade"], "D2");
    assert!(report["images_per_second"].as_f64().unwrap() > 0.0);
    let checks = report["checks"].as_array().unwrap();
    assert_eq!(
        (&checks[0]["holds"], &checks[1]["holds"]),
        (&true.into(), &true.into())
    );
}

#[test]
fn a_selftest_of_zero_trainings_is_refused() {
    let output = miner(&["selftest", "--random=0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("0 is not in 1.."));
}

#[test]
fn speed_is_that_of_one_network() {
    let args = [
        "speed",
        "--json",
        "--input=1x8x8",
        "--batch-size=8",
        "--at-once=2",
        "1110-1110",
    ];
    let report = json(&args);
    assert_eq!(report["digests_equal"], true);
    assert_eq!(report["genome"], "1110-1110");
    assert!(report["images_per_second"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_missing_gpu_is_named_with_exit_code_2() {
    for command in ["selftest", "speed"] {
        let output = miner(&[command, "--device=cuda:7"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let error = text(&output.stderr);
        assert!(error.contains("device cuda:7 cannot be used"), "{error}");
        assert!(!error.contains("panicked"), "{error}");
    }
}

/// The answers of in-process miners with this memory limit in a small run. `change` may set values
/// of the recipe that flags do not accept.
async fn answers(dir: &Path, limit: Option<u64>, change: fn(&mut Recipe)) -> Vec<Row> {
    let flags = ["--generations=1", "--population=2"];
    succeeded(search(&dir.join("template"), &flags).output().unwrap());
    let mut spec = read_spec(&dir.join("template/run.json")).unwrap();
    change(&mut spec.recipe);
    spec.rules.epochs = spec.recipe.epochs;
    let run = dir.join("run");
    create_or_check(spec.clone(), &run).unwrap();
    let coordinator = Coordinator::open(JournalPlace::of_run(&run), spec)
        .await
        .unwrap();
    let (_stop, stopped) = watch::channel(false);
    let mut miners = JoinSet::new();
    for name in ["ada", "bob", "eve"] {
        let miner = Miner {
            name: name.parse().unwrap(),
            transport: Transport::Local(coordinator.clone()),
            trainer: Trainer {
                options: {
                    let mut options = Options::default();
                    options.memory_limit_bytes = limit;
                    options
                },
                checkpoints: None,
            },
            data_dir: None,
            keep_images: 0,
            jobs: 1,
            outbox: None,
            dataset_cache: Arc::default(),
            known: Arc::default(),
            witnessing: Arc::default(),
            stop: stopped.clone(),
        };
        miners.spawn(miner.work(None));
    }
    while let Some(ended) = miners.join_next().await {
        ended.unwrap().unwrap();
    }
    let rows = |state: &RunState| {
        let all = state.ended_jobs().iter().flat_map(|job| job.rows.clone());
        all.map(|(_, row)| row).collect()
    };
    let rows = coordinator.with_state(rows).await;
    coordinator.close().await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
    rows
}

#[track_caller]
fn assert_failed(rows: &[Row], reason: &str) {
    // Two jobs, each of which ends at its second failure or later.
    assert!(rows.len() >= 4, "{rows:#?}");
    for row in rows {
        assert!(
            matches!(row, Row::Failed(found) if found.contains(reason)),
            "{row:?}"
        );
    }
}

#[tokio::test]
async fn a_diverging_training_is_reported_as_failed() {
    let wild = |recipe: &mut Recipe| {
        (recipe.learning_rate, recipe.weight_decay, recipe.epochs) = (100.0, 1.0, 30);
    };
    let rows = answers(&folder("diverging"), None, wild).await;
    assert_failed(&rows, "the training diverged: ");
}

#[tokio::test]
async fn a_network_above_the_memory_limit_is_reported_as_failed() {
    let rows = answers(&folder("too-large"), Some(1 << 20), |_| ()).await;
    assert_failed(&rows, "MiB of memory; the limit is 1 MiB");
}

#[test]
fn a_killed_miner_resumes_from_its_checkpoint() {
    let dir = folder("checkpoints");
    let run = dir.join("run");
    let mut serve = genomaster();
    serve.arg("serve").args(crate::programs::SMALL).args([
        "--listen=127.0.0.1:0",
        "--unsigned",
        "--epochs=200",
        "--population=2",
        "--generations=1",
        "--replication=2",
        "--lease-seconds=2",
    ]);
    let mut server = Process::start(serve.arg("--run").arg(&run).stdout(Stdio::piped()));
    let mut lines = BufReader::new(server.0.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let url = first.strip_prefix("listening on ").unwrap().to_owned();
    std::thread::spawn(move || lines.for_each(drop));

    let kept = dir.join("kept");
    let log = dir.join("log");
    let start = || {
        let mut ada = miner(&["--name=ada", "--genomaster", &url]);
        let log = std::fs::File::create(&log).unwrap();
        ada.arg("--checkpoints").arg(&kept).stderr(log);
        Process::start(&mut ada)
    };
    let files = || {
        let trainings = std::fs::read_dir(kept.join("ada")).into_iter().flatten();
        let trainings = trainings.map(|training| training.unwrap().path());
        let files =
            trainings.flat_map(|training| std::fs::read_dir(training).into_iter().flatten());
        let paths = files.map(|file| file.unwrap().path());
        paths
            .filter(|path| path.extension().is_some_and(|e| e == "safetensors"))
            .count()
    };
    let mut ada = start();
    wait_until("an epoch is finished", || files() > 0);
    ada.kill();
    assert!(files() >= 1);
    let again = start();
    wait_until("ada resumes", || {
        read(&log).contains("resuming after epoch")
    });
    assert!(!read(&log).contains('\u{1b}'), "a file has no colours");
    // Both have the same digest: ada with two processes, bob with one.
    let mut bob = miner(&["--name=bob", "--genomaster", &url]);
    let bob = Process::start(bob.stderr(Stdio::null()));
    let history = run.join("history.jsonl");
    wait_until("a job has ended", || read(&history).contains('\n'));
    let first = read(&history);
    let job: Value = serde_json::from_str(first.lines().next().unwrap()).unwrap();
    let [a, b] = [0, 1].map(|seat| &job["rows"][seat]);
    assert_ne!(a[0], b[0], "{job}");
    assert!(a[1]["measured"]["digest"].is_string(), "{job}");
    assert_eq!(a[1], b[1]);
    // The miner still writes to the folder, so it is stopped first.
    drop((again, bob, server));
    std::fs::remove_dir_all(dir).unwrap();
}
