//! Two genomasters of one run on one PostgreSQL server: one leads, and when it is killed the
//! other takes over.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::operations::stores::postgres;
use crate::programs::wallets::{Wallets, join};
use crate::programs::{Process, Server, call, folder, read, search, succeeded, wait_until};
use naschain_bins::{JournalPlace, unix_nanos as now};
use serde_json::Value;

fn genomaster(run: &Path, store: &str) -> Server {
    Server::start_with(run, 0, &["--store", store, "--seed=7"])
}

fn miner(urls: &str, name: &str) -> Process {
    let mut command = crate::programs::miner();
    command.args(["--genomaster", urls, "--name", name]);
    Process::start(&mut command)
}

fn health(server: &Server) -> (u16, String) {
    let answer = call(server, "GET", "/healthz", "", "");
    (answer.status, answer.body)
}

#[test]
#[allow(clippy::disallowed_methods)] // a test may look at the clock
fn a_standby_takes_over_from_a_killed_leader_and_nothing_is_lost_or_doubled() {
    let Some(JournalPlace::Postgres(url)) = postgres() else {
        return;
    };
    let dir = folder("failover");
    let store = crate::programs::database(&url, "failover");
    let (a, b) = (dir.join("a"), dir.join("b"));
    let mut first = genomaster(&a, &store);
    let second = genomaster(&b, &store);
    assert_eq!(health(&first), (200, "ok\n".to_owned()));
    assert_eq!(health(&second), (503, "standby\n".to_owned()));
    let refused = call(&second, "POST", "/v1/join", "", r#"{"miner":"ada"}"#);
    assert_eq!(refused.status, 503);
    assert!(refused.head.contains("retry-after: 1"), "{}", refused.head);
    let problem: Value = serde_json::from_str(&refused.body).unwrap();
    assert_eq!(problem["type"], "standby");

    let urls = format!("{},{}", first.url, second.url);
    let _miners = ["ada", "bob", "eve"].map(|name| miner(&urls, name));
    let closed = |run: &Path| read(run.join("history.jsonl")).lines().count();
    wait_until("three jobs have ended", || closed(&a) >= 3);
    let acknowledged = closed(&a);
    first.process.kill();
    let began = Instant::now();
    wait_until("the standby leads", || health(&second).0 == 200);
    assert!(began.elapsed() < Duration::from_secs(10));
    wait_until("it has the history", || closed(&b) >= acknowledged);
    // The killed one restarts as a standby.
    let third = genomaster(&a, &store);
    assert_eq!(health(&third).0, 503);
    wait_until("the front is written", || b.join("front.json").exists());

    let mut jobs: Vec<u64> = Vec::new();
    for line in read(b.join("history.jsonl")).lines() {
        let job: Value = serde_json::from_str(line).unwrap();
        jobs.push(job["batch"].as_u64().unwrap());
    }
    jobs.sort();
    assert_eq!(jobs, (0..12).collect::<Vec<u64>>());
    let alone = dir.join("alone");
    succeeded(search(&alone, &["--seed=7"]).output().unwrap());
    let front = read(b.join("front.json"));
    assert!(front.len() > 100);
    assert_eq!(front, read(alone.join("front.json")));
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_replayed_request_is_refused_also_by_the_next_leader() {
    let Some(JournalPlace::Postgres(url)) = postgres() else {
        return;
    };
    let dir = folder("failover-replay");
    let wallets = Wallets(dir.join("wallets"));
    let (key, ada) = (wallets.make("genomaster"), wallets.make("ada"));
    // Another seed is another run, so that the tests can share a server.
    let seed = format!("--seed={}", 1_000_000 + std::process::id());
    let start = |name: &str| {
        let flags = ["--store", &url, &seed, "--no-exam"];
        Server::spawn(&mut wallets.serve(&dir.join(name), 0, &flags))
    };
    let mut first = start("a");
    let second = start("b");
    // One clock is right, the other is ahead by nearly the accepted maximum.
    let (early, ahead) = (now(), now() + 1_900_000_000);
    for nonce in [early, ahead] {
        let answer = join(&first, &dir.join("a"), &key, &ada, nonce);
        assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    }
    first.process.kill();
    wait_until("the standby leads", || health(&second).0 == 200);
    for nonce in [early, ahead] {
        let again = join(&second, &dir.join("a"), &key, &ada, nonce);
        let slow = again.contains("before this genomaster started");
        assert!(again.contains("replayed_request") || slow, "{again}");
        assert!(again.starts_with("HTTP/1.1 401"), "{again}");
    }
    let new = join(&second, &dir.join("a"), &key, &ada, now());
    assert!(new.starts_with("HTTP/1.1 204"), "{new}");
    std::fs::remove_dir_all(dir).unwrap();
}
