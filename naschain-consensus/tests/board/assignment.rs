//! Assignment of seats to miners.

use naschain_consensus::{Action, Event, Grant, Millis, NoWork, Rules};

use crate::harness::{Harness, id, row};

#[test]
fn an_owner_gets_one_seat_of_a_job() {
    let mut harness = Harness::new(Rules::default(), &["c", "d"]);
    for miner in ["a1", "a2", "a3"] {
        harness.handle(Event::Register {
            miner: id(miner),
            owner: Some(id("ann")),
            capacity: 1,
        });
    }
    for job in 0..50 {
        let assigned = harness.open(job);
        let anns = assigned
            .iter()
            .flatten()
            .filter(|miner| miner.as_str().starts_with('a'));
        assert_eq!(anns.count(), 1, "{assigned:?}");
    }
    let mut jobs: Vec<u64> = Vec::new();
    for miner in ["a1", "a2", "a3"] {
        jobs.extend(harness.request(miner).map(|(job, ..)| job));
    }
    jobs.sort();
    jobs.dedup();
    assert_eq!(jobs.len(), 3);
}

#[test]
fn assignment_is_uniform_and_follows_from_the_seed() {
    let names: Vec<String> = (0..10).map(|i| format!("m{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut harness = Harness::new(Rules::default(), &names);
    let mut counts = [0u32; 10];
    let assigned: Vec<_> = (0..3_000).map(|job| harness.open(job)).collect();
    for miner in assigned.iter().flatten().flatten() {
        counts[names
            .iter()
            .position(|name| *name == miner.as_str())
            .unwrap()] += 1;
    }
    // 900 each on average, with a standard deviation of 25.
    assert!(
        counts.iter().all(|count| count.abs_diff(900) < 110),
        "{counts:?}"
    );
    let mut other = Harness::new(Rules::default(), &names);
    let again: Vec<_> = (0..3_000).map(|job| other.open(job)).collect();
    assert_eq!(assigned, again);
}

#[test]
fn seats_without_miners_stay_open() {
    let mut harness = Harness::new(Rules::default(), &["a"]);
    assert_eq!(harness.open(1).iter().flatten().count(), 1);
    assert!(matches!(
        harness.complete("a", row(9000)),
        Action::Filled { .. }
    ));
    assert!(harness.request("a").is_none(), "a second seat of the job");
    for miner in ["b", "c"] {
        harness.handle(Event::Join { miner: id(miner) });
        let (job, lease, grant) = harness.request(miner).unwrap();
        assert_eq!((job, grant), (1, Grant::Open));
        harness.submit(miner, lease, row(9010));
    }
    assert_eq!(harness.board.open_jobs(), 0);
    assert_eq!(
        ["a", "b", "c"].map(|miner| harness.points(miner)),
        [1, 1, 1]
    );
}

#[test]
fn away_miners_get_no_assignments() {
    let mut harness = Harness::new(Rules::default(), &["a", "b", "c"]);
    harness.now = 120_000;
    assert_eq!(harness.handle(Event::Tick).len(), 3);
    assert_eq!(harness.open(1), [None, None, None]);
    assert!(matches!(harness.request("b"), Some((1, _, Grant::Open))));
    assert_eq!(
        harness.open(2).iter().flatten().collect::<Vec<_>>(),
        [&id("b")]
    );
}

#[test]
fn time_is_monotonic_and_an_idle_tick_changes_nothing() {
    let mut harness = Harness::new(Rules::default(), &["a", "b", "c"]);
    harness.now = 1_000;
    harness.open(1);
    harness.now = 10;
    let before = format!("{:?}", harness.board);
    assert_eq!(harness.handle(Event::Tick), []);
    assert_eq!(before, format!("{:?}", harness.board));
    harness.request("a").unwrap();
    assert_eq!(harness.board.now(), Millis(1_000));
    let ticks = harness.board.next_deadline().unwrap();
    assert_eq!(ticks, Millis(61_000));
}

#[test]
fn an_idle_miner_gets_a_reason() {
    let mut harness = Harness::new(Rules::default(), &["a", "b", "c"]);
    assert_eq!(harness.idle_reason("a"), NoWork::NothingPending);
    harness.warm_up(&["a", "b", "c"], 0);
    harness.open(1_000);
    harness.complete("a", row(9_000));
    let actions = harness.idle_reason("a");
    assert!(
        matches!(actions, NoWork::TooFast { .. }),
        "it answered at once: {actions:?}"
    );
    harness.now += 1_000;
    assert_eq!(
        harness.idle_reason("a"),
        NoWork::NotEligible,
        "it has a seat"
    );
}

#[test]
fn leaving_releases_seats() {
    let mut harness = Harness::new(Rules::default(), &["a", "b", "c"]);
    harness.open(1);
    let (_, lease, _) = harness.request("a").unwrap();
    let left = harness.handle(Event::Leave { miner: id("a") });
    assert!(matches!(&left[..], [Action::Revoked { lease: ended, .. }] if *ended == lease));
    harness.handle(Event::Join { miner: id("d") });
    assert!(matches!(harness.request("d"), Some((1, _, Grant::Open))));
}

#[test]
fn miners_that_change_to_one_owner_keep_one_seat_of_a_job() {
    let mut harness = Harness::new(Rules::default(), &["a", "b", "c"]);
    harness.open(1);
    for miner in ["a", "b"] {
        harness.handle(Event::Register {
            miner: id(miner),
            owner: Some(id("lab")),
            capacity: 1,
        });
    }
    let held = ["a", "b"].map(|miner| harness.request(miner).is_some());
    assert_eq!(held.iter().filter(|held| **held).count(), 1, "{held:?}");
}
