//! Graceful shutdown: waiting requests are answered, and the journal is closed.

use std::time::Duration;

use crate::programs::{Server, call, folder, wait_until};

#[test]
fn a_termination_signal_answers_waiting_requests_and_exits_cleanly() {
    let dir = folder("shutdown");
    let run = dir.join("run");
    let mut server = Server::start(&run, 0);
    let join = call(
        &server,
        "POST",
        "/v1/join",
        "",
        r#"{"miner":"ada","jobs":9}"#,
    );
    assert_eq!(join.status, 204);
    let ask = |server: &Server, wait_ms: u64| {
        let body = format!("{{\"miner\":\"ada\",\"wait_ms\":{wait_ms}}}");
        call(server, "POST", "/v1/jobs", "", &body)
    };
    // The miner gets a seat of each of the four jobs, and then there is no work for it.
    for _ in 0..4 {
        assert!(ask(&server, 0).body.contains("\"job\""));
    }
    assert!(ask(&server, 0).body.contains("\"wait\""));
    let metrics = call(&server, "GET", "/metrics", "", "").body;
    for line in [
        "naschain_leads 1",
        "naschain_leases 4",
        "naschain_jobs{state=\"open\"} 4",
        "naschain_actions_total{kind=\"leased\"} 4",
        "naschain_http_requests_total{route=\"/v1/jobs\",status=\"200\"} 5",
        "naschain_commit_seconds_count{} 6",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}\n{metrics}"
        );
    }
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| ask(&server, 30_000));
        std::thread::sleep(Duration::from_millis(500));
        let pid = server.process.0.id().to_string();
        let mut kill = std::process::Command::new("kill");
        assert!(kill.args(["-TERM", &pid]).status().unwrap().success());
        let answer = waiting.join().unwrap();
        assert_eq!(answer.status, 200);
        assert!(answer.body.contains("\"wait\""), "{answer:?}");
    });
    let mut status = None;
    wait_until("the genomaster has ended", || {
        status = server.process.0.try_wait().unwrap();
        status.is_some()
    });
    assert!(status.unwrap().success());
    // The write-ahead log of a closed journal is empty.
    let log = std::fs::metadata(run.join("journal.sqlite-wal"));
    assert!(log.is_err() || log.unwrap().len() == 0);
    std::fs::remove_dir_all(dir).unwrap();
}
