//! Judging a job whose seats are answered.

use naschain_consensus::{Action, Event, Failure, MinerId, Rejected, Row, Rules};

use crate::harness::{Harness, exact, id, row, with};

#[test]
fn without_agreement_a_job_escalates_then_starts_a_round_then_fails() {
    let names: Vec<String> = (0..20).map(|i| format!("m{i:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let rules = with(exact(), |rules| rules.max_new_rounds = 1);
    let mut harness = Harness::new(rules, &names);
    let mut assigned = harness.open(1);
    let mut former_owners: Vec<MinerId> = Vec::new();
    let mut accuracy = 5_000;
    for round in 0..4 {
        let mut last = None;
        for miner in assigned.iter().flatten() {
            assert!(
                !former_owners.contains(miner),
                "{miner} former_owners a seat already"
            );
            former_owners.push(miner.clone());
            accuracy += 100;
            last = Some(harness.complete(miner.as_str(), row(accuracy)));
        }
        assigned = match (round, last.unwrap()) {
            (0 | 2, Action::Escalated { miners, .. }) => {
                assert_eq!(miners.len(), 2);
                miners
            }
            (
                1,
                Action::NewRound {
                    round: 1, miners, ..
                },
            ) => {
                assert_eq!(miners.len(), 3);
                miners
            }
            (3, Action::Failed { failure, rows, .. }) => {
                assert_eq!(failure, Failure::NoAgreement { rounds: 2 });
                assert_eq!(rows.len(), 5);
                Vec::new()
            }
            other => panic!("{other:?}"),
        };
    }
    assert_eq!(harness.board.open_jobs(), 0);
    assert!(
        harness
            .board
            .miners()
            .all(|(_, _, tally)| tally.points == 0)
    );
}

#[test]
fn additional_seats_can_find_agreement() {
    let names = ["a", "b", "c", "d", "e"];
    let mut harness = Harness::new(exact(), &names);
    let assigned = harness.open(1);
    let mut accuracies = [9_000, 5_000, 6_000].into_iter();
    for miner in assigned.iter().flatten() {
        harness.complete(miner.as_str(), row(accuracies.next().unwrap()));
    }
    let others = names
        .iter()
        .filter(|name| !assigned.contains(&Some(id(name))));
    let last: Vec<Action> = others
        .map(|name| harness.complete(name, row(9_000)))
        .collect();
    let Some(Action::Closed { rows, verdict, .. }) = last.last() else {
        panic!("{last:?}")
    };
    assert_eq!(rows.len(), 5);
    assert_eq!(verdict.agreed, [true, false, false, true, true]);
}

#[test]
fn an_additional_seat_without_a_miner_is_not_waited_for() {
    for leaves_first in [true, false] {
        let names = ["a", "b", "c", "d", "e"];
        let mut harness = Harness::new(exact(), &names);
        let assigned = harness.open(1);
        let mut accuracies = [9_000, 5_000, 6_000].into_iter();
        for miner in assigned.iter().flatten() {
            harness.complete(miner.as_str(), row(accuracies.next().unwrap()));
        }
        let mut others = names
            .iter()
            .filter(|name| !assigned.contains(&Some(id(name))));
        let (fourth, fifth) = (others.next().unwrap(), others.next().unwrap());
        let leave = Event::Leave { miner: id(fifth) };
        let last = if leaves_first {
            harness.handle(leave);
            harness.complete(fourth, row(9_000))
        } else {
            harness.complete(fourth, row(9_000));
            harness.handle(leave).pop().unwrap()
        };
        let Action::Closed { rows, verdict, .. } = last else {
            panic!("{last:?}")
        };
        assert_eq!(rows.len(), 4);
        assert_eq!(verdict.agreed, [true, false, false, true]);
    }
}

#[test]
fn with_too_few_other_miners_the_next_round_has_the_same() {
    let mut harness = Harness::new(exact(), &["a", "b", "c"]);
    harness.open(1);
    for (miner, accuracy) in [("a", 5_000), ("b", 6_000)] {
        harness.complete(miner, row(accuracy));
    }
    assert!(matches!(
        harness.complete("c", row(7_000)),
        Action::NewRound { round: 1, .. }
    ));
    for miner in ["a", "b", "c"] {
        harness.complete(miner, row(8_000));
    }
    assert_eq!(
        ["a", "b", "c"].map(|miner| harness.points(miner)),
        [1, 1, 1]
    );
}

#[test]
fn a_job_that_fails_for_most_seats_fails_at_once() {
    let mut harness = Harness::new(Rules::default(), &["a", "b", "c"]);
    harness.open(1);
    let (_, third, _) = harness.request("c").unwrap();
    harness.complete("a", Row::Failed("NaN".into()));
    let Action::Failed { failure, .. } = harness.complete("b", Row::Failed("memory".into())) else {
        panic!("still open")
    };
    let Failure::TrainingFailed { mut reasons } = failure else {
        panic!("{failure:?}")
    };
    reasons.sort();
    assert_eq!(reasons, ["NaN", "memory"]);
    let late = harness.try_handle(Event::Submit {
        miner: id("c"),
        lease: third,
        row: row(9000),
    });
    assert!(matches!(late, Err(Rejected::StaleLease { .. })));
}
