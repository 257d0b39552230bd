//! Adaptive replication: trusted miners are checked less often.

use naschain_consensus::{Action, Event, JobId, Trust};

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
