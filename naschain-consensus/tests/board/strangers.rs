//! Limits on miners without a record: places, records, the pace of heartbeats and the draw of open
//! seats.

use naschain_consensus::{
    Action, Ending, Event, Grant, JobId, Millis, NoWork, Rejected, Row, Rules,
};

use crate::harness::{Harness, exact, id, row, with};

fn rules() -> Rules {
    with(exact(), |rules| {
        let reputation = rules.reputation.as_mut().unwrap();
        reputation.min_flops_per_second = 1;
        reputation.draw_wait_ms = 2_000;
        reputation.max_miners = 3;
    })
}

fn failed() -> Row {
    Row::Failed("out of memory".into())
}

#[test]
fn the_place_of_an_idle_miner_goes_to_a_new_one_and_that_of_a_working_one_does_not() {
    let mut harness = Harness::with_records(rules(), &["a", "b", "c"]);
    let join = |miner: &str| Event::Join { miner: id(miner) };
    let error = harness.try_handle(join("d")).unwrap_err();
    assert!(
        matches!(error, Rejected::Full { max_miners: 3, .. }),
        "{error}"
    );
    harness.open(1);
    harness.now = 599_000;
    for miner in ["a", "b", "c"] {
        harness.handle(Event::Request { miner: id(miner) });
    }
    harness.now = 602_000;
    // All three were drawn; only c leaves its seat.
    for miner in ["a", "b"] {
        harness.complete(miner, row(9_000));
    }
    assert!(harness.board.has_place_for(Millis(602_000), &id("d")));
    harness.handle(join("d"));
    assert!(!harness.board.has_joined(&id("c")) && harness.board.has_joined(&id("d")));
    assert_eq!(harness.board.miners().len(), 3);
    let refused = harness.try_handle(join("e")).unwrap_err();
    assert!(matches!(refused, Rejected::Full { .. }), "{refused}");
}

#[test]
fn a_hundred_thousand_joins_do_not_lock_others_out_for_ever() {
    let rules = with(exact(), |rules| {
        rules.reputation.as_mut().unwrap().max_miners = 1_000
    });
    let mut harness = Harness::with_records(rules, &[]);
    let mut joined = 0;
    for number in 0..100_000 {
        harness.now += 1;
        let miner = id(&format!("sybil-{number}"));
        joined += u64::from(
            harness
                .board
                .handle(Millis(harness.now), Event::Join { miner })
                .is_ok(),
        );
    }
    assert_eq!(joined, 1_000);
    harness.now = 601_000;
    harness.handle(Event::Join {
        miner: id("honest"),
    });
    assert_eq!(harness.board.miners().len(), 1_000);
}

#[test]
fn open_seats_are_drawn_among_all_that_request_work_in_time() {
    let (mut first_three, seeds) = (0, 40);
    for seed in 0..seeds {
        let drawing = with(exact(), |rules| {
            rules.reputation.as_mut().unwrap().draw_wait_ms = 2_000;
        });
        let mut harness = Harness::with_records(drawing, &[]);
        // The stream of a draw is keyed by the job.
        harness.open(seed);
        for miner in ["a", "b", "c", "d", "e", "f"] {
            harness.handle(Event::Join { miner: id(miner) });
            let reason = harness.idle_reason(miner);
            assert_eq!(
                reason,
                NoWork::Draw {
                    until: Millis(2_000)
                }
            );
        }
        harness.now = 2_000;
        let drawn = harness.handle(Event::Tick);
        let drawn = drawn.iter().filter_map(|action| match action {
            Action::Reassigned { miner, .. } => Some(miner.as_str()),
            _ => None,
        });
        let drawn: Vec<&str> = drawn.collect();
        assert_eq!(drawn.len(), 3);
        first_three += drawn.iter().filter(|name| **name < "d").count();
        assert!(harness.request(drawn[0]).is_some());
    }
    let share = first_three as f64 / (3 * seeds) as f64;
    assert!((0.35..0.65).contains(&share), "{share}");
}

#[test]
fn two_failures_do_not_end_a_job_that_a_third_miner_trains() {
    let miners = ["a", "b", "c", "d", "e"];
    let mut harness = Harness::with_records(exact(), &miners);
    let seats = harness.open(1);
    let seats: Vec<String> = seats.iter().flatten().map(ToString::to_string).collect();
    // Others take the places of the two that fail, and those two have to wait.
    for miner in &seats[..2] {
        let action = harness.complete(miner, failed());
        assert!(matches!(action, Action::Reassigned { .. }), "{action:?}");
        assert!(matches!(harness.idle_reason(miner), NoWork::BackOff { .. }));
    }
    let others = miners
        .iter()
        .filter(|miner| !seats[..2].iter().any(|s| s == *miner));
    let last = others
        .map(|miner| harness.complete(miner, row(9_000)))
        .last()
        .unwrap();
    assert!(matches!(&last, Action::Closed { verdict, .. } if verdict.agreed == [true; 3]));
}

#[test]
fn a_job_that_fails_everywhere_fails() {
    let mut harness = Harness::with_records(exact(), &["a", "b", "c"]);
    harness.open(1);
    let last = ["a", "b", "c"].map(|miner| harness.complete(miner, failed()));
    assert!(
        matches!(&last[2], Action::Failed { job: JobId(1), .. }),
        "{last:?}"
    );
}

#[test]
fn heartbeats_without_progress_do_not_keep_a_seat() {
    let rules = with(exact(), |rules| {
        rules.epochs = 10;
        // 100 seconds for the 1,000 FLOPs of a job, 10 for each epoch.
        rules.reputation.as_mut().unwrap().min_flops_per_second = 10;
    });
    let mut harness = Harness::with_records(rules, &["a", "b", "c", "d"]);
    let seats = harness.open(1);
    let name = |seat: usize| seats[seat].clone().unwrap();
    let (idle, busy) = (name(0), name(1));
    let (_, idle_lease, _) = harness.request(idle.as_str()).unwrap();
    let (_, busy_lease, _) = harness.request(busy.as_str()).unwrap();
    let mut ended = Vec::new();
    for step in 1..=12 {
        harness.now = step * 10_000;
        ended.extend(
            harness
                .heartbeat(busy.as_str(), busy_lease, step.min(10) as u32)
                .unwrap(),
        );
        if harness.heartbeat(idle.as_str(), idle_lease, 0).is_err() {
            break;
        }
    }
    let stalled = ended.iter().filter_map(|action| match action {
        Action::Expired { miner, reason, .. } => Some((miner, *reason)),
        _ => None,
    });
    assert_eq!(stalled.collect::<Vec<_>>(), [(&idle, Ending::TooLong)]);
    assert_eq!(
        harness.now, 70_000,
        "10 s for the first epoch, and one lease"
    );
    assert!(harness.board.last_heartbeat(busy_lease).is_some());
}

/// A miner that lost its job gets it again, but one without a record no longer than without that.
#[test]
fn requesting_again_does_not_prolong_a_seat() {
    let rules = with(exact(), |rules| {
        rules.epochs = 10;
        // 10 seconds for an epoch; with the lease of a minute the seat is lost after 70.
        rules.reputation.as_mut().unwrap().min_flops_per_second = 10;
    });
    let mut harness = Harness::with_records(rules, &["a", "b", "c", "d"]);
    let squatter = harness.open(1)[0].clone().unwrap();
    let (_, first, _) = harness.request(squatter.as_str()).unwrap();
    harness.now = 50_000;
    let again = harness.request(squatter.as_str());
    let Some((1, lease, Grant::Reissued { old })) = again else {
        panic!("{again:?}");
    };
    assert_eq!(old, first);
    harness.now = 69_000;
    harness.heartbeat(squatter.as_str(), lease, 0).unwrap();
    harness.now = 70_000;
    let refused = harness.heartbeat(squatter.as_str(), lease, 0).unwrap_err();
    assert!(matches!(refused, Rejected::StaleLease { .. }), "{refused}");
    harness.handle(Event::Tick);
    let reason = harness.idle_reason(squatter.as_str());
    assert!(matches!(reason, NoWork::BackOff { .. }), "{reason:?}");
}
