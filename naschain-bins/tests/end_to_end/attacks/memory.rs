//! Requests and responses that once filled the memory of their receiver.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use naschain_bins::{Access, Authenticator, Client, Coordinator, JournalPlace, router};
use naschain_consensus::{Event, LeaseId, MinerId, Row};
use naschain_core::Digest;
use naschain_run::{JobReply, JournalPage};

use crate::programs::{Process, Server, call, folder, genomaster, miner, refused};

/// JSON allows whitespace, and signed bodies are kept in the journal.
#[test]
fn a_padded_body_is_too_large() {
    let dir = folder("padded");
    let server = Server::start(&dir.join("run"), 0);
    let beat = "/v1/leases/1/heartbeat";
    let result = "/v1/leases/1/result";
    for (path, body, limit) in [
        ("/v1/join", r#"{"miner":"ada"}"#, 1024),
        ("/v1/jobs", r#"{"miner":"ada","wait_ms":0}"#, 512),
        (beat, r#"{"miner":"ada","epoch":1}"#, 512),
        (result, r#"{"miner":"ada","row":{"failed":"x"}}"#, 8192),
    ] {
        let padded = |bytes: usize| format!("{body}{}", " ".repeat(bytes - body.len()));
        let fits = call(&server, "POST", path, "", &padded(limit));
        assert_ne!(fits.status, 413, "{path}: {fits:?}");
        let large = call(&server, "POST", path, "", &padded(limit + 1));
        assert_eq!(large.status, 413, "{path}: {large:?}");
        let named = format!("limit of {limit} bytes");
        assert!(large.body.contains(&named), "{path}: {large:?}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}

/// Names are free, so a response must not grow with them.
#[test]
fn metrics_do_not_grow_with_names() {
    let dir = folder("metrics-names");
    let server = Server::start(&dir.join("run"), 0);
    let join = |name: &str| {
        let body = format!("{{\"miner\":\"{name}\"}}");
        assert_eq!(call(&server, "POST", "/v1/join", "", &body).status, 204);
    };
    let metrics = || call(&server, "GET", "/metrics", "", "").body;
    join("ada");
    metrics();
    let before = metrics().lines().count();
    for number in 0..200 {
        join(&format!("name-{number}"));
    }
    let after = metrics();
    assert_eq!(after.lines().count(), before, "{after}");
    assert!(after.contains("naschain_miners_present 201\n"), "{after}");
    std::fs::remove_dir_all(dir).unwrap();
}

/// Answers of 2 KB each: pages are limited in bytes, and lead on to the end of the journal.
#[tokio::test(flavor = "multi_thread")]
async fn pages_of_the_journal_are_limited_in_bytes() {
    let dir = folder("large-entries");
    let mut spec = crate::operations::simulated::spec(400, 3, 1);
    spec.rules.reputation = None;
    let coordinator = Coordinator::open(JournalPlace::of_run(&dir), spec)
        .await
        .unwrap();
    let reason = "\u{10348}".repeat(500);
    let miners = ["ada", "bob", "eve"].map(|name| name.parse::<MinerId>().unwrap());
    for miner in &miners {
        let miner = miner.clone();
        let join = Event::Join { miner };
        coordinator.handle(join, None).await.unwrap();
    }
    let mut answers = 0;
    'all: loop {
        for miner in &miners {
            let reply = coordinator.request(miner, Duration::ZERO, None).await;
            let JobReply::Job(job) = reply.unwrap() else {
                break 'all;
            };
            let row = Row::Failed(reason.clone());
            let submitted = coordinator.submit(miner, job.lease, row, None).await;
            submitted.unwrap();
            answers += 1;
            if answers == 900 {
                break 'all;
            }
        }
    }
    assert!(answers > 600, "{answers}");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let auth = Authenticator::new(Access::default(), coordinator.nonces());
    let router = router(coordinator.clone(), auth.into(), None);
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let last = coordinator.public_entries(0, 1).await.unwrap().last;
    let client = Client::new(&url).unwrap();
    let (mut after, mut pages) = (0, 0);
    loop {
        let text = reqwest::get(format!("{url}/v1/journal?after={after}")).await;
        let text = text.unwrap().text().await.unwrap();
        assert!(text.len() < (1 << 20) + (1 << 17), "{}", text.len());
        let page: JournalPage = serde_json::from_str(&text).unwrap();
        assert_eq!(page, client.journal(after).await.unwrap());
        assert_eq!(page.last, last);
        let Some(end) = page.entries.last() else {
            break;
        };
        let numbers = page.entries.iter().map(|entry| entry.number);
        assert!(numbers.eq(after + 1..=end.number));
        (after, pages) = (end.number, pages + 1);
    }
    assert_eq!(after, last);
    assert!(pages > 1, "{pages}");
    server.abort();
    coordinator.close().await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}

/// A server that answers every request with this head and then a body without end.
fn endless(head: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || answer(stream.unwrap(), head));
        }
    });
    url
}

fn answer(mut stream: TcpStream, head: &str) {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            return;
        }
        request.push(byte[0]);
    }
    // The identity is valid, so that other calls are made.
    if request.starts_with(b"GET /identity") && !head.contains("302") {
        let body = r#"{"hotkey":null}"#;
        let length = body.len();
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        return;
    }
    let spaces = [b' '; 1 << 16];
    let mut sent = write!(stream, "HTTP/1.1 {head}\r\nConnection: close\r\n\r\n");
    let mut bytes = 0_u64;
    while sent.is_ok() {
        sent = stream.write_all(&spaces);
        bytes += spaces.len() as u64;
        assert!(bytes < 200 << 20, "the client reads {bytes} bytes");
    }
    let kind = sent.unwrap_err().kind();
    assert!(
        matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset),
        "{kind}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_reads_no_response_without_end() {
    let ada: MinerId = "ada".parse().unwrap();
    let run = Digest([0; 32]);
    for head in [
        "200 OK",
        "200 OK\r\nContent-Encoding: gzip",
        "500 Oh",
        "404 No\r\nContent-Type: application/problem+json",
        "302 Found\r\nLocation: /v1/run",
    ] {
        let client = Client::new(&endless(head)).unwrap();
        let mut errors = vec![
            client.run().await.unwrap_err(),
            client.request(&ada, run, 0).await.unwrap_err(),
            client.jobs(0).await.unwrap_err(),
            client.front().await.unwrap_err(),
            client.journal(0).await.unwrap_err(),
        ];
        // These need no body.
        if !head.starts_with("200") {
            errors.push(client.join(&ada, run).await.unwrap_err());
            errors.push(client.leave(&ada, run).await.unwrap_err());
            let beat = client.heartbeat(&ada, run, LeaseId(1), 1).await;
            errors.push(beat.unwrap_err());
        }
        for error in errors {
            let error = error.to_string();
            assert!(error.contains("longer than the limit"), "{head}: {error}");
        }
    }
}

/// The same of the program, in all of its memory.
#[test]
fn a_validator_survives_a_response_without_end() {
    let mut validator = crate::programs::validator();
    let url = endless("200 OK");
    let error = refused(validator.args(["--genomaster", &url]));
    assert!(error.contains("longer than the limit"), "{error}");
}

/// Reasons of a genomaster are shown by miners, on a terminal.
#[test]
fn the_text_of_a_problem_controls_no_terminal() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let body =
                r#"{"type":"x\u001b[2J","status":403,"detail":"a\u001b]0;b\u0007\rc\nd\u009b2J"}"#;
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 403 No\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
            );
        }
    });
    let mut miner = miner();
    let error = refused(miner.args(["--genomaster", &url]).env("RUST_LOG", "trace"));
    let shown = r"a\u{1b}]0;b\u{7}\rc\nd\u{9b}2J (x\u{1b}[2J, HTTP 403)";
    assert!(error.contains(shown), "{error}");
    let controls = |c: char| c.is_control() && c != '\n';
    assert!(!error.contains(controls), "{error:?}");
}

/// The limit of memory is on by default.
#[test]
fn a_miner_refuses_a_run_with_networks_that_are_too_large() {
    let dir = folder("wide-networks");
    let mut serve = genomaster();
    serve
        .args(["serve", "--unsigned", "--listen=127.0.0.1:0"])
        .args(["--init-channels=4096", "--run"])
        .arg(dir.join("run"))
        .stdout(Stdio::piped());
    let server = Server::spawn(&mut serve);
    for (flags, limit) in [
        (&["--jobs=64"][..], "MiB of memory; --memory-limit is "),
        (
            &["--memory-limit=7"],
            "MiB of memory; --memory-limit is 7 MiB",
        ),
    ] {
        let mut miner = miner();
        let error = refused(miner.args(["--genomaster", &server.url]).args(flags));
        assert!(error.contains("networks of run "), "{error}");
        assert!(error.contains(limit), "{error}");
    }
    drop(server);
    // With room for its networks, a run is not refused.
    let server = Server::start(&dir.join("small"), 0);
    let mut ada: Process = server.miner("ada");
    crate::programs::wait_until("ada has joined", || {
        let metrics = call(&server, "GET", "/metrics", "", "").body;
        metrics.contains("naschain_miners_present 1\n")
    });
    ada.kill();
    std::fs::remove_dir_all(dir).unwrap();
}
