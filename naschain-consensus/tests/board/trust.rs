//! Adaptive replication: trusted miners are checked less often.

use naschain_consensus::{Action, Event, JobId, Millis, MinerId, TrackRecord, Trust};

use crate::harness::{Harness, exact, id, row, with};

#[test]
fn trust_is_earned_and_lost() {
    let rules = with(exact(), |rules| rules.trust = Some(Trust::new(5)));
    let names = ["a", "b", "c"];
    let mut harness = Harness::new(rules, &names);
    let mut single = 0;
    for job in 0..60 {
        let assigned = harness.open(job);
        assert!(job >= 5 || assigned.len() == 3, "trusted too early");
        single += usize::from(assigned.len() == 1);
        for miner in assigned.iter().flatten() {
            harness.complete(miner.as_str(), row(9_000));
        }
    }
    assert!(single > 30, "{single}");
    // After one wrong answer in a job of three seats, jobs that begin with that miner have three
    // seats.
    let mut job = 60;
    loop {
        let assigned = harness.open(job);
        job += 1;
        for miner in assigned.iter().flatten() {
            let wrong = miner.as_str() == "a" && assigned.len() == 3;
            harness.complete(miner.as_str(), row(if wrong { 1_000 } else { 9_000 }));
        }
        if assigned.len() == 3 {
            break;
        }
    }
    let mut began = 0;
    while began < 3 {
        let assigned = harness.open(job);
        job += 1;
        if assigned[0] == Some(id("a")) {
            assert_eq!(assigned.len(), 3);
            began += 1;
        }
        for miner in assigned.iter().flatten() {
            harness.complete(miner.as_str(), row(9_000));
        }
    }
}

#[test]
fn a_single_seat_taken_by_an_untrusted_miner_is_widened() {
    let rules = with(exact(), |rules| rules.trust = Some(Trust::new(1)));
    let mut harness = Harness::new(rules, &["a", "b", "c"]);
    for job in 0..4 {
        for miner in harness.open(job).iter().flatten() {
            harness.complete(miner.as_str(), row(9_000));
        }
    }
    let mut job = 4;
    while harness.open(job).len() != 1 {
        job += 1;
        assert!(job < 200);
    }
    harness.handle(Event::Join { miner: id("x") });
    for _ in 0..=3 * job {
        let actions = harness.handle(Event::Request { miner: id("x") });
        let widened = actions
            .iter()
            .any(|action| matches!(action, Action::Widened { .. }));
        let Some(Action::Leased {
            job: got, lease, ..
        }) = actions.first().cloned()
        else {
            panic!("{actions:?}")
        };
        assert_eq!(widened, got == JobId(job));
        if widened {
            let filled = harness.submit("x", lease, row(1_000));
            assert!(
                matches!(filled[..], [Action::Filled { .. }]),
                "not closed on one answer"
            );
            return;
        }
        harness.submit("x", lease, row(9_000));
    }
    panic!("the single seat was never stolen");
}

#[test]
fn what_is_known_of_miners_from_another_run_counts_until_they_answer() {
    let rules = with(exact(), |rules| rules.trust = Some(Trust::new(5)));
    let names = ["a", "b", "c"];
    let mut first = Harness::new(rules.clone(), &names);
    assert_eq!(
        first.board.track_records().count(),
        0,
        "nobody has answered"
    );
    for job in 0..12 {
        for miner in first.open(job).iter().flatten() {
            first.now += 1_000;
            first.complete(miner.as_str(), row(9_000));
        }
    }
    let known: Vec<(MinerId, TrackRecord)> = first
        .board
        .track_records()
        .map(|(miner, record)| (miner.clone(), record))
        .collect();
    assert_eq!(known.len(), 3);
    assert!(known.iter().all(|(_, one)| one.valid_in_a_row >= 5));
    assert!(known.iter().all(|(_, one)| one.flops_per_second > 0));

    let mut second = Harness::new(rules, &names);
    for (miner, record) in &known {
        assert!(second.board.may_introduce(miner));
        let (miner, record) = (miner.clone(), *record);
        second.handle(Event::Introduce { miner, record });
    }
    let sizes: Vec<usize> = (0..10).map(|job| second.open(job).len()).collect();
    assert!(sizes.contains(&1), "trusted from the start: {sizes:?}");
    // A second introduction changes nothing.
    let (miner, _) = known[0].clone();
    assert!(!second.board.may_introduce(&miner));
    let before = serde_json::to_string(&second.board).unwrap();
    let record = TrackRecord::default();
    second.handle(Event::Introduce { miner, record });
    assert_eq!(serde_json::to_string(&second.board).unwrap(), before);
    let unknown = Event::Introduce {
        miner: id("nobody"),
        record,
    };
    assert!(second.board.handle(Millis(second.now), unknown).is_err());
}

#[test]
fn standings_of_several_runs_are_merged() {
    let one = TrackRecord {
        valid_in_a_row: 7,
        credit: 3,
        flops_per_second: 200,
    };
    let other = TrackRecord {
        valid_in_a_row: 2,
        credit: 1,
        flops_per_second: 0,
    };
    let merged = one.with(other);
    assert_eq!((merged.valid_in_a_row, merged.credit), (7, 1));
    assert_eq!(merged.flops_per_second, 200);
    let refuted = TrackRecord {
        valid_in_a_row: 0,
        ..one
    };
    assert_eq!(one.with(refuted).valid_in_a_row, 0);
}
