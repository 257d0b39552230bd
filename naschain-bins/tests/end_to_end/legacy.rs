//! The reference network's endpoints, called with Python's requests and pandas.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::programs::{Process, Server, cifar10, folder, read, succeeded, text, wait_until};
use serde_json::Value;

/// Python with `requests` and `pandas`, from python/install; `None` if it is missing.
fn python() -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    for venv in ["target/python", "target/python-bittensor"] {
        let python = root.join(venv).join("bin/python");
        let check = Command::new(&python)
            .args(["-c", "import requests, pandas"])
            .output();
        if check.is_ok_and(|output| output.status.success()) {
            return Some(python);
        }
    }
    crate::programs::skipped(
        "Python's requests and pandas are not in target/python; python/install gets them",
    );
    None
}

fn client(python: &PathBuf, args: &[&str]) -> Command {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../python/legacy_client.py");
    let mut command = Command::new(python);
    command
        .arg(script)
        .args(args)
        .env("GENOMASTER", env!("CARGO_BIN_EXE_genomaster"));
    command
}

const SPACE: [&str; 4] = ["--phases=3", "--nodes=3", "--input=3x32x32", "--classes=10"];

#[test]
fn python_miners_and_their_validator_work_unchanged() {
    let Some(python) = python() else { return };
    let dir = folder("legacy");
    let (run, tokens) = (dir.join("run"), dir.join("tokens"));
    std::fs::write(&tokens, "1:token-of-1\n2:token-of-2\n7:token-of-7\n").unwrap();
    let tokens = format!("--legacy-credentials={}", tokens.display());
    let data = cifar10(&dir.join("data"));
    let mut flags: Vec<&str> = data.iter().map(String::as_str).collect();
    flags.extend(["--unsigned", "--legacy", &tokens]);
    let mut server = Server::start_with(&run, 0, &flags);
    let port = server.port();
    let url = |user: &str| format!("http://{user}@127.0.0.1:{port}");

    let stranger = client(&python, &["mine", &url("2:token-of-1"), "2", "1"])
        .output()
        .unwrap();
    assert!(
        text(&stranger.stderr).contains("HTTP Basic credentials"),
        "{stranger:?}"
    );
    let plain = format!("http://127.0.0.1:{port}");
    let nobody = client(&python, &["mine", &plain, "1", "1"])
        .output()
        .unwrap();
    assert!(!nobody.status.success());

    // Twelve genomes for three miners; the genomaster is killed in between.
    let mine = |uid: &str, jobs: &str| {
        let url = url(&format!("{uid}:token-of-{uid}"));
        let args = [&["mine", &url, uid, jobs][..], &SPACE].concat();
        Process::start(client(&python, &args).stdout(Stdio::null()))
    };
    let together = |jobs: &str| {
        let mut miners = ["1", "2", "7"].map(|uid| mine(uid, jobs));
        for miner in &mut miners {
            assert!(miner.0.wait().unwrap().success());
        }
    };
    together("5");
    server.process.kill();
    server = Server::start_with(&run, port, &flags);
    together("7");
    wait_until("the front is written", || run.join("front.json").exists());
    assert_eq!(read(run.join("history.jsonl")).lines().count(), 12);

    let scored = succeeded(client(&python, &["validate", &plain]).output().unwrap());
    let scored: Value = serde_json::from_str(&scored).unwrap();
    assert_eq!(scored["rows"], 36);
    assert_eq!(
        scored["points"],
        serde_json::json!({"1": 12, "2": 12, "7": 12})
    );

    // Our validator computes the same from exact numbers; it needs no list of uids for the vector.
    let weights = dir.join("weights.json");
    let mut validator = crate::programs::validator();
    validator.args(["--genomaster", &server.url, "--json", "--legacy"]);
    validator.arg("--unsigned");
    let output = validator
        .arg("--weights-out")
        .arg(&weights)
        .output()
        .unwrap();
    let report: Value = serde_json::from_str(&succeeded(output)).unwrap();
    assert_eq!(
        (&report["accepted"], &report["unsigned_rows"]),
        (&12.into(), &36.into())
    );
    assert_eq!(report["miners"]["uid-7"]["points"], 12);
    let record: Value = serde_json::from_str(&read(&weights)).unwrap();
    assert_eq!(record["uids"], serde_json::json!([1, 2, 7]));
    assert_eq!(
        record["values"],
        serde_json::json!([65_535, 65_535, 65_535])
    );
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn runs_with_training_digests_are_refused() {
    let dir = folder("legacy-exact");
    let mut command = crate::programs::genomaster();
    command.arg("serve").args(crate::programs::SMALL).args([
        "--listen=127.0.0.1:0",
        "--unsigned",
        "--legacy",
        "--agreement=exact",
    ]);
    let output = command.arg("--run").arg(dir.join("run")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--legacy needs --agreement tolerance"));
    std::fs::remove_dir_all(dir).unwrap();
}
