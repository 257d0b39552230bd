//! Readers of the journal do not delay its writer.

use std::time::{Duration, Instant};

use crate::operations::feed::public_entries;
use crate::programs::folder;
use naschain_bins::{Coordinator, JournalPlace};
use naschain_consensus::Event;

/// Median duration of 30 events.
#[allow(clippy::disallowed_methods)] // a test may look at the clock
async fn write(coordinator: &Coordinator) -> Duration {
    let first = coordinator.with_state(|state| state.events()).await;
    let mut took = Vec::new();
    for number in 0..30 {
        // New names, so that each event is written.
        let miner = format!("writer-{first}-{number}").parse().unwrap();
        let began = Instant::now();
        coordinator
            .handle(Event::Join { miner }, None)
            .await
            .unwrap();
        took.push(began.elapsed());
    }
    took.sort();
    took[took.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::disallowed_methods)] // a test may look at the clock
async fn readers_of_the_journal_do_not_delay_its_writer() {
    let dir = folder("readers");
    let spec = crate::operations::simulated::spec(20, 8, 1);
    let coordinator = Coordinator::open(JournalPlace::of_run(&dir), spec)
        .await
        .unwrap();
    crate::operations::simulated::mine(&coordinator, 4, 130)
        .await
        .unwrap();
    let mut tries = Vec::new();
    for _ in 0..5 {
        let calm = write(&coordinator).await;
        let began = Instant::now();
        let (page, _) = public_entries(&coordinator, 1_000).await;
        let reading = began.elapsed();
        assert_eq!(page.len(), 1_000);
        let numbers: Vec<u64> = page.iter().map(|entry| entry.number).collect();
        assert_eq!(numbers, (1..=1_000).collect::<Vec<u64>>());
        let readers: Vec<_> = (0..12)
            .map(|_| {
                let coordinator = coordinator.clone();
                tokio::spawn(async move {
                    loop {
                        public_entries(&coordinator, 1_000).await;
                    }
                })
            })
            .collect();
        let held_up = write(&coordinator).await;
        readers.iter().for_each(|reader| reader.abort());
        // It would be twelve pages if the readers were served one after another.
        if held_up < calm * 2 + reading * 2 {
            coordinator.close().await.unwrap();
            std::fs::remove_dir_all(dir).unwrap();
            return;
        }
        tries.push((calm, reading, held_up));
    }
    panic!("calm, one page, with readers: {tries:?}");
}
