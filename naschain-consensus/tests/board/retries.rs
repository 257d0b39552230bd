//! What becomes of seats whose miners are gone, and how often.

use naschain_consensus::{Action, Ending, Event, Failure, Grant, MinerId, Rejected, Row, Rules};

use crate::harness::{Harness, exact, id, row, with};

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

#[test]
fn the_seat_of_a_silent_miner_goes_to_one_drawn_at_random() {
    let mut harness = Harness::new(Rules::default(), &NAMES);
    let dealt = harness.open(1);
    let first = dealt[0].clone().unwrap();
    harness.request(first.as_str()).unwrap();
    harness.now = 60_000;
    let told = harness.handle(Event::Tick);
    let [
        Action::Expired { .. },
        Action::Reassigned { seat: 0, miner, .. },
        Action::Away { .. },
    ] = &told[..]
    else {
        panic!("{told:?}")
    };
    assert!(
        !dealt.contains(&Some(miner.clone())),
        "{miner} has a seat already"
    );
    // Whoever asks first does not get it; the miner that was drawn does.
    let others = NAMES.iter().filter(|name| {
        let other = Some(id(name));
        !dealt.contains(&other) && id(name) != *miner
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
fn seats_dealt_to_a_miner_that_goes_away_are_drawn_anew() {
    let mut harness = Harness::new(Rules::default(), &NAMES);
    let dealt = harness.open(1);
    let gone = dealt[1].clone().unwrap();
    let told = harness.handle(Event::Leave {
        miner: gone.clone(),
    });
    let [Action::Reassigned { seat: 1, miner, .. }] = &told[..] else {
        panic!("{told:?}")
    };
    assert!(*miner != gone && !dealt.contains(&Some(miner.clone())));
}

/// Has everybody who is dealt a seat of job 1 take it and leave, until the job ends.
fn everybody_leaves(harness: &mut Harness) -> Action {
    for round in 0..100 {
        let name = NAMES[round % NAMES.len()];
        if harness.request(name).is_none() {
            continue;
        }
        let told = harness.handle(Event::Leave { miner: id(name) });
        harness.handle(Event::Join { miner: id(name) });
        if harness.board.open_jobs() == 0 {
            let ends =
                |action: &Action| matches!(action, Action::Failed { .. } | Action::Closed { .. });
            return told.into_iter().find(ends).unwrap();
        }
    }
    panic!("the job never ends")
}

#[test]
fn a_job_that_nobody_ends_fails_after_so_many_tries() {
    let mut harness = Harness::new(Rules::default(), &NAMES);
    harness.open(1);
    let Action::Failed { failure, rows, .. } = everybody_leaves(&mut harness) else {
        panic!("closed without an answer")
    };
    assert_eq!(rows, []);
    let Failure::Abandoned { leases: 16, .. } = failure else {
        panic!("five tries for each of three seats, and one more: {failure:?}")
    };
    assert_eq!(failure.to_string(), "16 leases ended without an answer");
}

#[test]
fn answers_that_agree_close_a_job_whose_last_seat_nobody_fills() {
    for (second, agrees) in [(9_000, true), (5_000, false)] {
        let mut harness = Harness::new(exact(), &NAMES);
        let dealt: Vec<MinerId> = harness.open(1).into_iter().flatten().collect();
        harness.complete(dealt[0].as_str(), row(9_000));
        harness.complete(dealt[1].as_str(), row(second));
        match everybody_leaves(&mut harness) {
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
fn the_reasons_of_failed_trainings_are_told_with_an_abandoned_job() {
    let mut harness = Harness::new(Rules::default(), &NAMES);
    let dealt: Vec<MinerId> = harness.open(1).into_iter().flatten().collect();
    harness.complete(dealt[0].as_str(), Row::Failed("out of memory".into()));
    let Action::Failed { failure, .. } = everybody_leaves(&mut harness) else {
        panic!("closed")
    };
    assert_eq!(
        failure.to_string(),
        "16 leases ended without an answer; out of memory"
    );
}

#[test]
fn a_miner_that_forgets_its_job_again_and_again_loses_it() {
    let mut harness = Harness::new(Rules::default(), &NAMES);
    let dealt = harness.open(1);
    let first = dealt[0].clone().unwrap();
    let first = first.as_str();
    harness.request(first).unwrap();
    for _ in 0..3 {
        assert!(matches!(
            harness.request(first),
            Some((1, _, Grant::Reissued { .. }))
        ));
    }
    let told = harness.handle(Event::Request { miner: id(first) });
    let forgotten = |action: &Action| {
        matches!(
            action,
            Action::Revoked {
                reason: Ending::Forgotten,
                ..
            }
        )
    };
    assert!(told.iter().any(forgotten), "{told:?}");
    assert!(
        told.iter()
            .any(|action| matches!(action, Action::Reassigned { .. }))
    );
    assert!(matches!(told.last(), Some(Action::Idle { .. })));
}

#[test]
fn a_miner_of_two_jobs_hears_that_either_answer_came_twice() {
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
fn an_answer_that_comes_when_what_is_due_ends_its_job_is_discarded_by_name() {
    let rules = with(exact(), |rules| rules.max_retries = 0);
    let mut harness = Harness::new(rules, &["a", "b", "c"]);
    harness.open(1);
    harness.request("a").unwrap();
    harness.now += 30_000;
    let (_, lease, _) = harness.request("b").unwrap();
    // Nobody told the board that a's time is over.
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
fn joining_again_is_no_work() {
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
fn names_that_only_join_hold_seats_for_seconds() {
    let mut harness = Harness::new(exact(), &["a", "b", "c"]);
    let lurkers: Vec<String> = (0..20).map(|number| format!("lurker-{number}")).collect();
    for lurker in &lurkers {
        harness.handle(Event::Join { miner: id(lurker) });
    }
    let is_lurker = |miner: &MinerId| miner.as_str().starts_with("lurker");
    let dealt = harness.open(1);
    assert!(dealt.iter().flatten().any(is_lurker), "{dealt:?}");
    harness.now += 5_000;
    for honest in ["a", "b", "c"] {
        assert!(harness.request(honest).is_some(), "{honest}");
    }
    for lurker in &lurkers {
        harness.handle(Event::Join { miner: id(lurker) });
    }
    let dealt = harness.open(2);
    assert!(!dealt.iter().flatten().any(is_lurker), "{dealt:?}");
    // Whoever asks is there, and is dealt seats again.
    for lurker in &lurkers {
        assert_eq!(harness.request(lurker), None);
    }
    let dealt: Vec<_> = (3..20)
        .flat_map(|job| harness.open(job))
        .flatten()
        .collect();
    assert!(dealt.iter().any(is_lurker), "{dealt:?}");
}
