//! What changes nothing is not journaled: a journal grows with the work of a run, not with the
//! number of requests.

use std::sync::Arc;
use std::time::Duration;

use naschain_bins::{CallError, Coordinator, JournalPlace};
use naschain_consensus::{Event, MinerId, Row};

use crate::operations::simulated;
use crate::programs::folder;

async fn open(name: &str) -> (std::path::PathBuf, Arc<Coordinator>) {
    let dir = folder(name);
    std::fs::create_dir_all(&dir).unwrap();
    let spec = simulated::spec(2, 2, 3);
    let coordinator = Coordinator::open(JournalPlace::of_run(&dir), spec).await;
    (dir, coordinator.unwrap())
}

async fn join(coordinator: &Coordinator) -> MinerId {
    let miner: MinerId = "ada".parse().unwrap();
    let join = Event::Join {
        miner: miner.clone(),
    };
    coordinator.handle(join, None).await.unwrap();
    miner
}

async fn events(coordinator: &Coordinator) -> u64 {
    coordinator.with_state(|state| state.events()).await
}

#[tokio::test]
async fn idle_requests_are_not_journaled() {
    let (dir, coordinator) = open("idle-requests").await;
    let miner = join(&coordinator).await;
    // A miner that has answered both jobs gets no more work before others have.
    for _ in 0..2 {
        let reply = coordinator.request(&miner, Duration::ZERO, None).await;
        if let naschain_run::JobReply::Job(job) = reply.unwrap() {
            let row = simulated::answer(coordinator.spec(), &job);
            let submitted = coordinator.submit(&miner, job.lease, row, None).await;
            submitted.unwrap();
        }
    }
    let _ = coordinator.request(&miner, Duration::ZERO, None).await;
    let before = events(&coordinator).await;
    for _ in 0..500 {
        let reply = coordinator.request(&miner, Duration::ZERO, None).await;
        assert_eq!(reply.unwrap(), naschain_run::JobReply::Wait);
    }
    // The time at which others hold the jobs up may have come; that is recorded once.
    assert!(events(&coordinator).await <= before + 1);
    coordinator.close().await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn joins_that_alternate_are_limited() {
    let (dir, coordinator) = open("alternating-joins").await;
    let miner: MinerId = "ada".parse().unwrap();
    let mut refused = 0;
    for capacity in (1..=2).cycle().take(200) {
        let register = Event::Register {
            miner: miner.clone(),
            owner: None,
            capacity,
        };
        match coordinator.handle(register, None).await {
            Ok(_) => {}
            Err(CallError::JoinsTooOften { .. }) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    // The minute may have changed once.
    assert!(events(&coordinator).await <= 12 && refused >= 90);
    coordinator.close().await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}

/// A snapshot has no answers, and the state after a restart is that of the snapshot.
#[tokio::test]
async fn one_lease_has_one_answer_after_a_restart_too() {
    let (dir, coordinator) = open("one-answer-restart").await;
    let miner = join(&coordinator).await;
    let reply = coordinator.request(&miner, Duration::ZERO, None).await;
    let naschain_run::JobReply::Job(job) = reply.unwrap() else {
        panic!("no job");
    };
    let row = simulated::answer(coordinator.spec(), &job);
    let submitted = coordinator.submit(&miner, job.lease, row.clone(), None);
    submitted.await.unwrap();
    // As many events as closing with a snapshot takes.
    for number in 0..1_000 {
        let miner: MinerId = format!("miner-{number}").parse().unwrap();
        coordinator
            .handle(Event::Join { miner }, None)
            .await
            .unwrap();
    }
    let spec = coordinator.spec().clone();
    coordinator.close().await.unwrap();
    drop(coordinator);
    let coordinator = Coordinator::open(JournalPlace::of_run(&dir), spec).await;
    let coordinator = coordinator.unwrap();
    let submitted = coordinator.submit(&miner, job.lease, row, None);
    submitted.await.unwrap();
    let other = Row::Failed("another answer".to_owned());
    let submitted = coordinator.submit(&miner, job.lease, other, None).await;
    assert!(
        matches!(submitted, Err(CallError::OtherAnswer { .. })),
        "{submitted:?}"
    );
    coordinator.close().await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn one_lease_has_one_answer() {
    let (dir, coordinator) = open("one-answer").await;
    let miner = join(&coordinator).await;
    let reply = coordinator.request(&miner, Duration::ZERO, None).await;
    let naschain_run::JobReply::Job(job) = reply.unwrap() else {
        panic!("no job");
    };
    let row = simulated::answer(coordinator.spec(), &job);
    for _ in 0..2 {
        let row = row.clone();
        let submitted = coordinator.submit(&miner, job.lease, row, None).await;
        submitted.unwrap();
    }
    for number in 0..40 {
        let row = Row::Failed(format!("another answer {number}"));
        let submitted = coordinator.submit(&miner, job.lease, row, None).await;
        assert!(
            matches!(submitted, Err(CallError::OtherAnswer { .. })),
            "{submitted:?}"
        );
    }
    coordinator.close().await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}

/// The genomaster repeats a waiting request. If its miner is full and backed off meanwhile, the
/// repetition must not end the lease that it keeps: no audit accepts that.
#[tokio::test]
async fn a_repeated_request_ends_no_lease() {
    let dir = folder("repeated-request");
    std::fs::create_dir_all(&dir).unwrap();
    let mut spec = simulated::spec(12, 1, 3);
    spec.rules.lease_ms = 3_000;
    let mut reputation = naschain_consensus::Reputation::default();
    reputation.backoff_ms = 500;
    spec.rules.reputation = Some(reputation);
    let coordinator = Coordinator::open(JournalPlace::of_run(&dir), spec).await;
    let coordinator = coordinator.unwrap();
    let [ada, others @ ..] =
        ["ada", "bob", "cyd", "dan"].map(|name| name.parse::<MinerId>().unwrap());
    let register = async |capacity| {
        let event = Event::Register {
            miner: ada.clone(),
            owner: None,
            capacity,
        };
        coordinator.handle(event, None).await.unwrap();
    };
    let take = async |miner: &MinerId| {
        let reply = coordinator.request(miner, Duration::ZERO, None).await;
        match reply.unwrap() {
            naschain_run::JobReply::Job(job) => Some(job),
            _ => None,
        }
    };
    register(4).await;
    for miner in &others {
        let miner = miner.clone();
        coordinator
            .handle(Event::Join { miner }, None)
            .await
            .unwrap();
    }
    // Until two accepted answers give ada credits for four leases.
    for _ in 0..2 {
        for miner in [&ada, &others[0], &others[1]] {
            let job = take(miner).await.expect("a job");
            let row = simulated::answer(coordinator.spec(), &job);
            let submitted = coordinator.submit(miner, job.lease, row, None);
            submitted.await.unwrap();
        }
    }
    // Three leases are forgotten, which uses up the credits; a later one is kept.
    for _ in 0..3 {
        take(&ada).await.expect("a job");
    }
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let kept = take(&ada).await.expect("a job").lease;
    tokio::time::sleep(Duration::from_millis(700)).await;
    register(1).await;
    let wait = Duration::from_millis(1_000);
    let reply = coordinator.request(&ada, wait, None).await;
    assert_eq!(reply.unwrap(), naschain_run::JobReply::Wait);
    let beat = coordinator.heartbeat(&ada, kept, 1, None).await;
    beat.unwrap();
    coordinator.close().await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}
