//! Repeated and invalid requests do not grow the journal.

use std::time::Duration;

use crate::programs::{Server, call, folder};
use naschain_bins::{CallError, Coordinator, JournalPlace};
use naschain_consensus::Event;
use naschain_run::JobReply;
use serde_json::Value;

#[tokio::test]
async fn requests_that_change_nothing_are_not_journaled() {
    let dir = folder("growth");
    let mut spec = crate::operations::simulated::spec(2, 1, 1);
    spec.rules.lease_ms = 2_000;
    let coordinator = Coordinator::open(JournalPlace::of_run(&dir), spec)
        .await
        .unwrap();
    let events = || coordinator.with_state(|state| state.events());
    let ada = crate::operations::simulated::miner(0);
    let register = |capacity| Event::Register {
        miner: ada.clone(),
        owner: None,
        capacity,
    };
    for _ in 0..100 {
        coordinator.handle(register(1), None).await.unwrap();
        let miner = ada.clone();
        coordinator
            .handle(Event::Join { miner }, None)
            .await
            .unwrap();
    }
    assert_eq!(events().await, 1);
    coordinator.handle(register(2), None).await.unwrap();
    assert_eq!(events().await, 2);

    let JobReply::Job(job) = coordinator
        .request(&ada, Duration::ZERO, None)
        .await
        .unwrap()
    else {
        panic!("there is work");
    };
    let before = events().await;
    let beat = |epoch| coordinator.heartbeat(&ada, job.lease, epoch, None);
    for _ in 0..100 {
        beat(1).await.unwrap();
    }
    assert_eq!(events().await, before + 1);
    for epoch in [0, 3, 4_000_000_000] {
        let error = beat(epoch).await.unwrap_err();
        assert!(matches!(error, CallError::WrongEpoch { .. }), "{error}");
        let expected = format!("epoch is {epoch}; it must be from 1,");
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
    // A heartbeat for another miner's lease is still refused.
    let bob = crate::operations::simulated::miner(1);
    let miner = bob.clone();
    coordinator
        .handle(Event::Join { miner }, None)
        .await
        .unwrap();
    let others = coordinator
        .heartbeat(&bob, job.lease, 1, None)
        .await
        .unwrap_err();
    assert!(matches!(others, CallError::Rejected(_)), "{others}");
    // A repeated heartbeat renews the lease.
    let before = events().await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    beat(1).await.unwrap();
    assert_eq!(events().await, before + 1);
    coordinator.close().await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn miners_are_limited_and_epochs_are_checked() {
    let dir = folder("many");
    let run = dir.join("run");
    let server = Server::start_with(&run, 0, &["--max-miners=2", "--lease-seconds=60"]);
    let post = |path: &str, body: &str| {
        let answer = call(&server, "POST", path, "", body);
        (answer.status, answer.body)
    };
    let join = |name: &str| post("/v1/join", &format!("{{\"miner\":\"{name}\"}}"));
    assert_eq!((join("ada").0, join("bob").0), (204, 204));
    let (status, body) = join("eve");
    assert_eq!(status, 403);
    assert!(
        body.contains("too_many_miners") && body.contains("2 miners"),
        "{body}"
    );
    assert_eq!(join("ada").0, 204);

    let (_, job) = post("/v1/jobs", r#"{"miner":"ada","wait_ms":0}"#);
    let job: Value = serde_json::from_str(&job).unwrap();
    let path = format!("/v1/leases/{}/heartbeat", job["lease"]);
    let beat = |epoch: u64| post(&path, &format!("{{\"miner\":\"ada\",\"epoch\":{epoch}}}"));
    assert_eq!(beat(1).0, 204);
    for epoch in [0, 3, 4_000_000_000] {
        let (status, body) = beat(epoch);
        assert_eq!(status, 422, "{body}");
        assert!(body.contains("wrong_epoch"), "{body}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}
