//! A genomaster restarts from its snapshot or from the whole journal with the same state.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::operations::stores::{places, tamper};
use crate::programs::folder;
use naschain_bins::{Coordinator, JournalPlace};
use naschain_consensus::Event;
use naschain_run::{JobReply, RunSpec};

async fn stored(coordinator: &Coordinator) -> Vec<u8> {
    coordinator
        .with_state(|state| state.stored().unwrap())
        .await
}

#[tokio::test]
async fn a_snapshot_and_the_whole_journal_give_the_same_state() {
    let dir = folder("restart");
    let spec = crate::operations::simulated::spec(20, 8, u64::from(std::process::id()));
    for place in places(&dir) {
        let open = async || {
            let coordinator = Coordinator::open(place.clone(), spec.clone());
            let coordinator = coordinator.await.unwrap();
            // A database notices a little later that the coordinator before has closed its connection.
            coordinator.with_state(|_| ()).await;
            coordinator
        };
        let coordinator = open().await;
        // More than a thousand events, so that closing makes a snapshot.
        crate::operations::simulated::mine(&coordinator, 6, 120)
            .await
            .unwrap();
        let state = stored(&coordinator).await;
        coordinator.close().await.unwrap();
        let mut reader = place.read(spec.digest()).await.unwrap();
        let snapshot = reader.snapshot().await.unwrap().unwrap();
        assert_eq!(snapshot.bytes, state);
        reader.close().await.unwrap();

        let coordinator = open().await;
        assert_eq!(stored(&coordinator).await, state);
        crate::operations::simulated::mine(&coordinator, 6, 125)
            .await
            .unwrap();
        let state = stored(&coordinator).await;
        coordinator.close().await.unwrap();
        // With events after the snapshot, with a damaged snapshot, and with none.
        for statement in [
            "",
            "UPDATE SNAPSHOT SET bytes = digest WHERE OF_RUN",
            "DELETE FROM SNAPSHOT WHERE OF_RUN",
        ] {
            if let (false, JournalPlace::File(_)) = (statement.is_empty(), &place) {
                tamper(&place, spec.digest(), statement).await;
            }
            let coordinator = open().await;
            assert_eq!(stored(&coordinator).await, state, "{place} {statement}");
            coordinator.close().await.unwrap();
        }
        let coordinator = open().await;
        crate::operations::simulated::mine(&coordinator, 6, 1_000)
            .await
            .unwrap();
        assert!(coordinator.with_state(|state| state.is_finished()).await);
        coordinator.close().await.unwrap();
    }
    std::fs::remove_dir_all(dir).unwrap();
}

/// Requests jobs, sends heartbeats and answers until the journal has `events` events.
async fn work(coordinator: Arc<Coordinator>, number: usize, events: u64) {
    let miner = crate::operations::simulated::miner(number);
    let join = Event::Join {
        miner: miner.clone(),
    };
    coordinator.handle(join, None).await.unwrap();
    while coordinator.with_state(|state| state.events()).await < events {
        let wait = Duration::from_millis(500);
        match coordinator.request(&miner, wait, None).await.unwrap() {
            JobReply::Job(job) => {
                for epoch in 1..=10 {
                    let beat = coordinator.heartbeat(&miner, job.lease, epoch, None).await;
                    if beat.is_err() {
                        break;
                    }
                }
                let row = crate::operations::simulated::answer(coordinator.spec(), &job);
                let _ = coordinator.submit(&miner, job.lease, row, None).await;
            }
            JobReply::Wait => {}
            JobReply::Finished => return,
        }
    }
}

fn large(seed: u64) -> RunSpec {
    let mut spec = crate::operations::simulated::spec(300, 400, seed);
    if let naschain_core::SearchSpace::Macro(space) = &mut spec.space {
        space.nodes = 6;
    }
    spec.recipe.epochs = 10;
    spec.rules.epochs = 10;
    spec.search.genome_len = spec.space.genome_len();
    spec
}

/// Prints how long a start takes after `NASCHAIN_EVENTS` events, a million by default.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes a million events, which takes minutes"]
#[allow(clippy::disallowed_methods)] // it measures
async fn a_start_after_a_million_events_takes_seconds() {
    let events = std::env::var("NASCHAIN_EVENTS").map_or(1_000_000, |n| n.parse().unwrap());
    let dir = folder("million");
    let spec = large(u64::from(std::process::id()));
    for place in places(&dir) {
        let open = async || {
            let began = Instant::now();
            let coordinator = Coordinator::open(place.clone(), spec.clone())
                .await
                .unwrap();
            (coordinator, began.elapsed())
        };
        let (coordinator, _) = open().await;
        let began = Instant::now();
        let miners: Vec<_> = (0..500)
            .map(|number| tokio::spawn(work(coordinator.clone(), number, events)))
            .collect();
        for miner in miners {
            miner.await.unwrap();
        }
        let all = coordinator.with_state(|state| state.events()).await;
        let rate = all as f64 / began.elapsed().as_secs_f64();
        println!("{place}: {all} events written, {rate:.0} a second");
        let state = stored(&coordinator).await;
        // As after kill -9: no snapshot on closing.
        drop(coordinator);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (coordinator, by_snapshot) = open().await;
        assert_eq!(stored(&coordinator).await, state);
        coordinator.close().await.unwrap();
        tamper(&place, spec.digest(), "DELETE FROM SNAPSHOT WHERE OF_RUN").await;
        let (coordinator, by_journal) = open().await;
        assert_eq!(stored(&coordinator).await, state);
        println!(
            "{place}: start {by_snapshot:?} with a snapshot of a state of {} MiB, {by_journal:?} without",
            state.len() >> 20
        );
        coordinator.close().await.unwrap();
        assert!(by_snapshot < Duration::from_secs(10));
    }
    std::fs::remove_dir_all(dir).unwrap();
}
