//! Miners with several concurrent jobs, and with undelivered answers stored on disk.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;

use naschain_bins::{Answer, JournalPlace, read_spec};
use naschain_consensus::{Event, JobId, LeaseId, Row};
use naschain_run::PublicEvent;
use serde_json::json;

use crate::programs::{Process, Server, call, folder, text, wait_until};

fn miner(url: &str, more: &[&str]) -> Process {
    let mut command = crate::programs::miner();
    Process::start(command.args(["--genomaster", url]).args(more))
}

async fn journal(run: &Path) -> (Vec<Event>, Vec<PublicEvent>) {
    let spec = read_spec(&run.join("run.json")).unwrap();
    let mut store = JournalPlace::of_run(run).read(spec.digest()).await.unwrap();
    let entries = store.entries(0, 100_000).await.unwrap();
    store.close().await.unwrap();
    let event = |text: &String| serde_json::from_str(text).unwrap();
    let published = entries.iter().filter_map(|entry| entry.feed.as_ref());
    let published =
        published.flat_map(|text| serde_json::from_str::<Vec<PublicEvent>>(text).unwrap());
    (
        entries.iter().map(|entry| event(&entry.event)).collect(),
        published.collect(),
    )
}

#[tokio::test]
async fn a_miner_trains_several_jobs_at_once() {
    let dir = folder("jobs");
    let run = dir.join("run");
    let flags = ["--replication=2", "--generations=1", "--population=6"];
    let mut server = Server::start_with(&run, 0, &flags);
    let _ada = miner(&server.url, &["--name=ada", "--jobs=3"]);
    let _bob = miner(&server.url, &["--name=bob", "--device=cpu,cpu"]);
    wait_until("the front is written", || run.join("front.json").exists());
    server.process.kill();
    let (_, published) = journal(&run).await;
    let mut now: BTreeMap<String, usize> = BTreeMap::new();
    let mut most = now.clone();
    for message in published {
        match message {
            PublicEvent::SeatTaken { miner, .. } => {
                let jobs = now.entry(miner.to_string()).or_default();
                *jobs += 1;
                let most = most.entry(miner.to_string()).or_default();
                *most = (*most).max(*jobs);
            }
            PublicEvent::Answered { miner, .. } | PublicEvent::SeatLost { miner, .. } => {
                *now.get_mut(miner.as_str()).unwrap() -= 1;
            }
            _ => {}
        }
    }
    let expected = [("ada".to_owned(), 3), ("bob".to_owned(), 2)];
    assert_eq!(most, BTreeMap::from(expected));
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn an_undelivered_answer_is_delivered_by_the_next_process() {
    let dir = folder("outbox");
    let (run, kept) = (dir.join("run"), dir.join("kept"));
    let flags = ["--epochs=60", "--lease-seconds=30"];
    let mut server = Server::start_with(&run, 0, &flags);
    let port = server.port();
    let outbox = format!("--outbox={}", kept.display());
    let mut ada = miner(&server.url, &["--name=ada", &outbox]);
    let metrics = || call(&server, "GET", "/metrics", "", "").body;
    let leased = "naschain_actions_total{kind=\"leased\"} 1";
    wait_until("ada trains", || metrics().contains(leased));
    server.process.kill();
    let is_whole = |entry: &std::fs::DirEntry| {
        let path = entry.path();
        path.extension().is_none_or(|ending| ending != "partial")
    };
    let files = || {
        let entries = std::fs::read_dir(&kept).into_iter().flatten().flatten();
        entries.filter(is_whole).count()
    };
    wait_until("the answer is kept", || files() == 1);
    ada.kill();
    assert_eq!(files(), 1);

    let mut server = Server::start_with(&run, port, &flags);
    let _ada = miner(&server.url, &["--name=ada", &outbox]);
    let answered = "naschain_actions_total{kind=\"answered\"}";
    wait_until("it is delivered", || {
        call(&server, "GET", "/metrics", "", "")
            .body
            .contains(answered)
    });
    server.process.kill();
    let (events, _) = journal(&run).await;
    let submit = |event: &&Event| matches!(event, Event::Submit { .. });
    let Some(Event::Submit { lease, .. }) = events.iter().find(submit) else {
        panic!("nothing was delivered")
    };
    assert_eq!(
        lease.0, 1,
        "the answer under the lease of the first process"
    );
    std::fs::remove_dir_all(dir).unwrap();
}

/// A fake genomaster that lets every miner join and refuses every answer.
fn refusing(run: String, status: &'static str, kind: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut first, mut length) = (String::new(), 0);
            stream.read_line(&mut first).unwrap();
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                let line = line.to_lowercase();
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            stream.read_exact(&mut vec![0; length]).unwrap();
            let code: u16 = status[..3].parse().unwrap();
            let (status, body) = match first.split(' ').nth(1).unwrap() {
                "/identity" => ("200 OK", r#"{"hotkey":null}"#.to_owned()),
                "/v1/run" => ("200 OK", run.clone()),
                "/v1/join" => ("204 No Content", String::new()),
                _ => (
                    status,
                    json!({"type": kind, "status": code, "detail": "no"}).to_string(),
                ),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let _ = stream.get_mut().write_all((head + &body).as_bytes());
        }
    });
    url
}

#[test]
fn an_answer_is_kept_until_the_genomaster_has_judged_it() {
    let dir = folder("not-heard");
    let spec = crate::operations::simulated::spec(2, 1, 1);
    let answer = Answer {
        miner: "ada".parse().unwrap(),
        run: spec.digest(),
        job: JobId(1),
        lease: LeaseId(7),
        row: Row::Failed("it".to_owned()),
    };
    let run = serde_json::to_string(&spec).unwrap();
    for (status, kind, kept) in [
        ("401 Unauthorized", "wrong_receiver", 1),
        ("403 Forbidden", "not_allowed", 1),
        ("409 Conflict", "refused", 0),
    ] {
        answer.store(&dir).unwrap();
        let url = refusing(run.clone(), status, kind);
        let mut miner = crate::programs::miner();
        miner.args(["--genomaster", &url, "--name=ada", "--outbox"]);
        let output = miner.arg(&dir).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let said = format!("HTTP {}", &status[..3]);
        assert!(text(&output.stderr).contains(&said), "{output:?}");
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), kept, "{kind}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}
