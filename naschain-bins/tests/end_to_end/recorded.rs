//! Journals and responses recorded before the job system was renamed are reproduced byte for byte.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::programs::{Server, folder, genomaster, read, succeeded, wait_until};

fn fixture(run: &str) -> PathBuf {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    fixtures.join("recorded").join(run)
}

/// A writable copy of a recorded run.
fn copy(test: &str, run: &str) -> PathBuf {
    let dir = folder(&format!("recorded-{test}-{run}"));
    for file in ["run.json", "journal.sqlite", "history.jsonl", "front.json"] {
        std::fs::copy(fixture(run).join(file), dir.join(file)).unwrap();
    }
    dir
}

#[test]
fn recorded_journals_are_replayed_to_the_same_audit() {
    for run in ["unsigned", "signed", "disagreeing"] {
        let dir = copy("audit", run);
        let mut audit = genomaster();
        audit.arg("audit").arg(&dir).arg("--json");
        let found = succeeded(audit.output().unwrap());
        assert_eq!(found, read(fixture(run).join("audit.json")), "{run}");
        std::fs::remove_dir_all(dir).unwrap();
    }
}

/// Serves a recorded run with the flags of the recording.
fn serve(dir: &Path, run: &str) -> Server {
    let wallets = fixture(run).join("wallets");
    let flags: Vec<String> = match run {
        "signed" => vec![
            format!("--wallet.path={}", wallets.display()),
            "--wallet.name=g".to_owned(),
        ],
        "disagreeing" => [
            "--mode=surrogate",
            "--population=5",
            "--generations=5",
            "--seed=7",
            "--lease-seconds=1",
            "--agreement=tolerance",
        ]
        .map(str::to_owned)
        .to_vec(),
        _ => Vec::new(),
    };
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    Server::start_with(dir, 0, &flags)
}

/// The beginning of a response, as long as `expected`: the event stream does not end, and the
/// journal may have grown since the recording.
fn get(server: &Server, path: &str, expected: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    let timeout = Some(Duration::from_secs(20));
    stream.set_read_timeout(timeout).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 65_536];
    loop {
        let text = String::from_utf8_lossy(&answer);
        if let Some((_, body)) = text.split_once("\r\n\r\n")
            && body.len() >= expected.len()
        {
            return body.to_owned();
        }
        match stream.read(&mut buffer).unwrap() {
            0 => return text.split_once("\r\n\r\n").unwrap().1.to_owned(),
            length => answer.extend_from_slice(&buffer[..length]),
        }
    }
}

#[test]
fn recorded_runs_are_served_with_the_same_bytes() {
    for run in ["unsigned", "signed", "disagreeing"] {
        let dir = copy("serve", run);
        let server = serve(&dir, run);
        let health = || crate::programs::call(&server, "GET", "/healthz", "", "").status == 200;
        wait_until("the genomaster leads", health);
        for file in [
            "run.json",
            "batches.json",
            "front.json",
            "journal.json",
            "events.txt",
        ] {
            let expected = fixture(run).join("served").join(file);
            // Without a signature, a genomaster with a hotkey serves only journal and events.
            if !expected.exists() && run == "signed" {
                continue;
            }
            let expected = read(expected);
            assert!(expected.len() > 500, "{run}: {file}");
            let name = file.split('.').next().unwrap();
            let found = get(&server, &format!("/v1/{name}"), &expected);
            if name == "journal" {
                let entries = |text: &str| -> Vec<Value> {
                    let page: Value = serde_json::from_str(text).unwrap();
                    page["entries"].as_array().unwrap().clone()
                };
                let (expected, found) = (entries(&expected), entries(&found));
                assert_eq!(found[..expected.len()], expected[..], "{run}");
            } else {
                assert_eq!(found[..expected.len()], expected, "{run}: {file}");
            }
        }
        drop(server);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
