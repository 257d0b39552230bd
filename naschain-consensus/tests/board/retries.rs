//! Seats whose miners are away or give up.

use naschain_consensus::{Action, Ending, Event, Failure, Grant, MinerId, Rejected, Row, Rules};

use crate::harness::{Harness, exact, id, row, with};

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

#[test]
fn the_seat_of_a_silent_miner_is_reassigned_at_random() {
    let mut harness = Harness::new(Rules::default(), &NAMES);
    let assigned = harness.open(1);
    let first = assigned[0].clone().unwrap();
    harness.request(first.as_str()).unwrap();
    harness.now = 60_000;
    let actions = harness.handle(Event::Tick);
    let [
        Action::Expired { .. },
        Action::Reassigned { seat: 0, miner, .. },
        Action::Away { .. },
    ] = &actions[..]
    else {
        panic!("{actions:?}")
    };
    assert!(
        !assigned.contains(&Some(miner.clone())),
        "{miner} has a seat already"
    );
    // It does not go to the first miner that requests work, but to the one drawn.
    let others = NAMES.iter().filter(|name| {
        let other = Some(id(name));
        !assigned.contains(&other) && id(name) != *miner
    });
    for other in others {
        assert_eq!(harness.request(other), None);
    }
    assert!(matches!(
        harness.request(miner.as_str()),
        Some((1, _, Grant::Assigned))
    ));
}

#[test]
fn seats_assigned_to_a_miner_that_leaves_are_reassigned() {
    let mut harness = Harness::new(Rules::default(), &NAMES);
    let assigned = harness.open(1);
    let gone = assigned[1].clone().unwrap();
    let actions = harness.handle(Event::Leave {
        miner: gone.clone(),
    });
    let [Action::Reassigned { seat: 1, miner, .. }] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert!(*miner != gone && !assigned.contains(&Some(miner.clone())));
}

/// Every miner that is assigned a seat of job 1 takes it and leaves, until the job ends.
fn every_miner_leaves(harness: &mut Harness) -> Action {
    for round in 0..100 {
        let name = NAMES[round % NAMES.len()];
        if harness.request(name).is_none() {
            continue;
        }
        let actions = harness.handle(Event::Leave { miner: id(name) });
        harness.handle(Event::Join { miner: id(name) });
        if harness.board.open_jobs() == 0 {
            let ends =
                |action: &Action| matches!(action, Action::Failed { .. } | Action::Closed { .. });
            return actions.into_iter().find(ends).unwrap();
        }
    }
    panic!("the job never ends")
}

#[test]
fn an_abandoned_job_fails_after_the_maximum_of_retries() {
    let mut harness = Harness::new(Rules::default(), &NAMES);
    harness.open(1);
    let Action::Failed { failure, rows, .. } = every_miner_leaves(&mut harness) else {
        panic!("closed without an answer")
    };
    assert_eq!(rows, []);
    let Failure::Abandoned { leases: 16, .. } = failure else {
        panic!("five retries for each of three seats, and one more: {failure:?}")
    };
    assert_eq!(failure.to_string(), "16 leases ended without an answer");
}

#[test]
fn agreeing_answers_close_an_abandoned_job() {
    for (second, agrees) in [(9_000, true), (5_000, false)] {
        let mut harness = Harness::new(exact(), &NAMES);
        let assigned: Vec<MinerId> = harness.open(1).into_iter().flatten().collect();
        harness.complete(assigned[0].as_str(), row(9_000));
        harness.complete(assigned[1].as_str(), row(second));
        match every_miner_leaves(&mut harness) {
            Action::Closed { rows, verdict, .. } => {
                assert!(agrees);
                assert_eq!((rows.len(), &verdict.agreed[..]), (2, &[true, true][..]));
            }
            Action::Failed { rows, failure, .. } => {
                assert!(!agrees && matches!(failure, Failure::Abandoned { .. }));
                assert_eq!(rows.len(), 2);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_abandoned_job_reports_the_reasons_of_failed_trainings() {
    let mut harness = Harness::new(Rules::default(), &NAMES);
    let assigned: Vec<MinerId> = harness.open(1).into_iter().flatten().collect();
    harness.complete(assigned[0].as_str(), Row::Failed("out of memory".into()));
    let Action::Failed { failure, .. } = every_miner_leaves(&mut harness) else {
        panic!("closed")
    };
    assert_eq!(
        failure.to_string(),
        "16 leases ended without an answer; out of memory"
    );
}

#[test]
fn a_miner_that_keeps_losing_its_job_gets_it_three_times() {
    let mut harness = Harness::new(Rules::default(), &NAMES);
    let assigned = harness.open(1);
    let first = assigned[0].clone().unwrap();
    let first = first.as_str();
    harness.request(first).unwrap();
    for _ in 0..3 {
        assert!(matches!(
            harness.request(first),
            Some((1, _, Grant::Reissued { .. }))
        ));
    }
    let actions = harness.handle(Event::Request { miner: id(first) });
    let forgotten = |action: &Action| {
        matches!(
            action,
            Action::Revoked {
                reason: Ending::Forgotten,
                ..
            }
        )
    };
    assert!(actions.iter().any(forgotten), "{actions:?}");
    assert!(
        actions
            .iter()
            .any(|action| matches!(action, Action::Reassigned { .. }))
    );
    assert!(matches!(actions.last(), Some(Action::Idle { .. })));
}

#[test]
fn repeated_answers_to_two_jobs_are_recognised() {
    let mut harness = Harness::new(Rules::default(), &[]);
    harness.handle(Event::Register {
        miner: id("a"),
        owner: None,
        capacity: 2,
    });
    harness.open(1);
    harness.open(2);
    let leases = [
        harness.request("a").unwrap().1,
        harness.request("a").unwrap().1,
    ];
    for lease in leases {
        harness.submit("a", lease, row(9_000));
    }
    for lease in leases {
        let twice = harness.try_handle(Event::Submit {
            miner: id("a"),
            lease,
            row: row(9_000),
        });
        let expected = Rejected::AlreadyAnswered {
            miner: id("a"),
            lease,
        };
        assert_eq!(twice, Err(expected));
    }
}

#[test]
fn an_answer_is_discarded_if_due_leases_end_its_job_first() {
    let rules = with(exact(), |rules| rules.max_retries = 0);
    let mut harness = Harness::new(rules, &["a", "b", "c"]);
    harness.open(1);
    harness.request("a").unwrap();
    harness.now += 30_000;
    let (_, lease, _) = harness.request("b").unwrap();
    // The board has received no tick since a's lease expired.
    harness.now += 31_000;
    let actions = harness.submit("b", lease, row(9_000));
    assert!(
        actions
            .iter()
            .any(|action| matches!(action, Action::Failed { .. }))
    );
    let discarded = |action: &Action| matches!(action, Action::Discarded { lease: of, row: Row::Measured(_), .. } if *of == lease);
    assert!(actions.iter().any(discarded), "{actions:?}");
}

#[test]
fn joining_again_does_not_renew_presence() {
    let mut harness = Harness::new(exact(), &["a", "b", "c"]);
    harness.open(1);
    let mut actions = Vec::new();
    for _ in 0..3 {
        harness.now += 60_000;
        actions.extend(harness.handle(Event::Join { miner: id("a") }));
    }
    let away = |action: &Action| matches!(action, Action::Away { miner } if *miner == id("a"));
    assert!(actions.iter().any(away), "{actions:?}");
}

#[test]
fn miners_that_only_join_hold_seats_for_seconds() {
    let mut harness = Harness::new(exact(), &["a", "b", "c"]);
    let lurkers: Vec<String> = (0..20).map(|number| format!("lurker-{number}")).collect();
    for lurker in &lurkers {
        harness.handle(Event::Join { miner: id(lurker) });
    }
    let is_lurker = |miner: &MinerId| miner.as_str().starts_with("lurker");
    let assigned = harness.open(1);
    assert!(assigned.iter().flatten().any(is_lurker), "{assigned:?}");
    harness.now += 5_000;
    for honest in ["a", "b", "c"] {
        assert!(harness.request(honest).is_some(), "{honest}");
    }
    for lurker in &lurkers {
        harness.handle(Event::Join { miner: id(lurker) });
    }
    let assigned = harness.open(2);
    assert!(!assigned.iter().flatten().any(is_lurker), "{assigned:?}");
    // A lurker that requests work is present and gets assignments again.
    for lurker in &lurkers {
        assert_eq!(harness.request(lurker), None);
    }
    let assigned: Vec<_> = (3..20)
        .flat_map(|job| harness.open(job))
        .flatten()
        .collect();
    assert!(assigned.iter().any(is_lurker), "{assigned:?}");
}
