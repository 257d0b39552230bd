//! `genomaster audit` detects and names every manipulation of a journal.

use std::path::Path;
use std::process::Output;

use crate::operations::stores::{places, tamper};
use crate::programs::{folder, genomaster, text};
use naschain_bins::{Coordinator, JournalPlace, create_or_check};
use naschain_run::RunSpec;
use serde_json::Value;

async fn run(dir: &Path, place: &JournalPlace, seed: u64) -> RunSpec {
    let spec = crate::operations::simulated::spec(4, 3, seed);
    create_or_check(spec.clone(), dir).unwrap();
    let coordinator = Coordinator::open(place.clone(), spec.clone())
        .await
        .unwrap();
    crate::operations::simulated::mine(&coordinator, 4, 9)
        .await
        .unwrap();
    coordinator.close().await.unwrap();
    spec
}

fn audit(dir: &Path, place: &JournalPlace, more: &[&str]) -> Output {
    let mut command = genomaster();
    command.arg("audit").arg(dir).args(["--json"]).args(more);
    match place {
        JournalPlace::File(path) => command.arg("--store").arg(path),
        JournalPlace::Postgres(url) => command.arg("--store").arg(url),
        JournalPlace::Assigned(_) => panic!("these tests have no such place"),
    };
    command.output().unwrap()
}

fn report(output: &Output) -> Value {
    serde_json::from_str(&text(&output.stdout)).unwrap_or_else(|_| panic!("{output:?}"))
}

#[tokio::test]
async fn manipulations_of_a_journal_are_named() {
    let swap = "UPDATE JOURNAL SET number = CASE number
        WHEN 21 THEN -22 WHEN 22 THEN -21 END WHERE number IN (21, 22) AND OF_RUN";
    let unswap = "UPDATE JOURNAL SET number = -number WHERE number < 0 AND OF_RUN";
    let renumber = "UPDATE JOURNAL SET number = -(number - 1) WHERE number > 20 AND OF_RUN";
    let cases: [(&[&str], &str); 9] = [
        (&[], ""),
        (
            &[
                "UPDATE JOURNAL SET event = REPLACE(event, 'miner-1', 'miner-2') WHERE number = 20 AND OF_RUN",
            ],
            "event 20 was changed after it was written",
        ),
        (
            &["DELETE FROM JOURNAL WHERE number = 20 AND OF_RUN"],
            "event 20 is missing",
        ),
        (
            &[
                "DELETE FROM JOURNAL WHERE number = 20 AND OF_RUN",
                renumber,
                unswap,
            ],
            "event 20 was changed after it was written, or an earlier one was removed",
        ),
        (
            &[swap, unswap],
            "event 21 was moved: the event at position 22 belongs there",
        ),
        (
            &[
                "UPDATE JOURNAL SET link = REPLACE(link, SUBSTR(link, 1, 8), '00000000') WHERE number = 20 AND OF_RUN",
            ],
            "the entry hash of event 20 was changed",
        ),
        (
            &[
                "UPDATE JOURNAL SET feed = REPLACE(feed, 'miner-', 'other-') WHERE number = 3 AND OF_RUN",
            ],
            "the public events of event 3 do not follow from the journal",
        ),
        (
            &["UPDATE JOURNAL SET feed = NULL WHERE number > 3 AND OF_RUN"],
            "do not follow from the journal",
        ),
        (
            &["UPDATE JOURNAL SET proof = '{}' WHERE number = 2 AND OF_RUN"],
            "event 2 was changed",
        ),
    ];
    let all = folder("audit");
    for (number, (statements, expected)) in cases.into_iter().enumerate() {
        let dir = all.join(number.to_string());
        std::fs::create_dir(&dir).unwrap();
        for place in places(&dir) {
            // Each seed is another run, so that all can share a server.
            let seed = 1_000 * u64::from(std::process::id()) + number as u64;
            let spec = run(&dir, &place, seed).await;
            for statement in statements {
                tamper(&place, spec.digest(), statement).await;
            }
            let output = audit(&dir, &place, &[]);
            let report = report(&output);
            if expected.is_empty() {
                assert_eq!(output.status.code(), Some(0), "{output:?}");
                assert_eq!(report["faults"], Value::Array(vec![]));
                assert_eq!(
                    (&report["batches"], &report["accepted"]),
                    (&9.into(), &9.into())
                );
                assert!(report["unsigned"].as_u64().unwrap() > 30);
            } else {
                assert_eq!(output.status.code(), Some(2), "{output:?}");
                let fault = report["faults"][0].as_str().unwrap();
                assert!(fault.contains(expected), "{place}: {fault}");
            }
        }
    }
    std::fs::remove_dir_all(all).unwrap();
}

#[tokio::test]
async fn a_shortened_journal_is_found_by_a_known_head() {
    let dir = folder("audit-known");
    let place = JournalPlace::of_run(&dir);
    let spec = run(&dir, &place, 1).await;
    let head = report(&audit(&dir, &place, &[]))["head"].clone();
    let head = head.as_str().unwrap();
    assert_eq!(
        audit(&dir, &place, &["--known", head]).status.code(),
        Some(0)
    );
    let (number, _) = head.split_once(':').unwrap();
    tamper(
        &place,
        spec.digest(),
        &format!("DELETE FROM JOURNAL WHERE number = {number}"),
    )
    .await;
    assert_eq!(audit(&dir, &place, &[]).status.code(), Some(0));
    let output = audit(&dir, &place, &["--known", head]);
    assert_eq!(output.status.code(), Some(2));
    let fault = report(&output)["faults"][0].to_string();
    assert!(
        fault.contains(&format!("event {number} is missing")),
        "{fault}"
    );
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn a_history_that_differs_from_the_journal_is_found() {
    let dir = folder("audit-history");
    let place = JournalPlace::of_run(&dir);
    run(&dir, &place, 1).await;
    let coordinator = Coordinator::open(place.clone(), crate::operations::simulated::spec(4, 3, 1))
        .await
        .unwrap();
    let mut history = coordinator
        .with_state(|state| naschain_bins::History::start(&dir, &state.ended_jobs()[..2]))
        .await
        .unwrap();
    assert!(history.follow(&[]).is_ok());
    coordinator.close().await.unwrap();
    assert_eq!(audit(&dir, &place, &[]).status.code(), Some(0));
    let path = dir.join("history.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("\"flops\":", "\"flops\":1", 1)).unwrap();
    let output = audit(&dir, &place, &[]);
    let fault = report(&output)["faults"][0].to_string();
    assert!(fault.contains("history.jsonl"), "{fault}");
    std::fs::remove_dir_all(dir).unwrap();
}
