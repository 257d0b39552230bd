//! Speculative execution of stragglers.

use naschain_consensus::{Action, Ending, Event, Finding, Grant, LeaseId, Rejected, Row, Rules};

use crate::harness::{Harness, exact, id, row, with};

/// Three miners train ten jobs, so the pace is known. Then `slow` is a straggler in the eleventh,
/// and `fast`, which is idle, gets its seat speculatively. Returns both with their leases.
fn with_straggler(rules: Rules) -> (Harness, &'static str, LeaseId, &'static str, LeaseId) {
    let mut harness = Harness::new(rules, &["a", "b", "c"]);
    for job in 0..10 {
        harness.open(job);
        let leases = ["a", "b", "c"].map(|miner| (miner, harness.request(miner).unwrap().1));
        harness.now += 1_000;
        for (miner, lease) in leases {
            harness.submit(miner, lease, row(9_000));
        }
    }
    harness.open(10);
    let (_, slow, _) = harness.request("a").unwrap();
    for (miner, percent) in [("b", 9_000), ("c", 9_000)] {
        if miner == "b" {
            harness.complete(miner, row(percent));
        } else {
            harness.request(miner).unwrap();
        }
    }
    harness.handle(Event::Join { miner: id("d") });
    assert_eq!(harness.request("d"), None, "nothing lags yet");
    harness.now += 5_000;
    harness.heartbeat("a", slow, 0).unwrap();
    let (job, fast, grant) = harness.request("d").unwrap();
    assert_eq!((job, grant), (10, Grant::Speculative { from: id("a") }));
    (harness, "a", slow, "d", fast)
}

#[test]
fn the_first_valid_answer_fills_the_seat_and_the_late_one_is_compared() {
    let (mut harness, slow, slow_lease, fast, fast_lease) = with_straggler(exact());
    let filled = harness.submit(fast, fast_lease, row(9_000));
    assert!(matches!(filled[..], [Action::Filled { .. }]));
    let late = harness.submit(slow, slow_lease, row(9_000));
    assert!(matches!(late[..], [Action::Late { .. }]));
    let (_, lease, _) = harness.request("c").unwrap();
    let closed = harness.submit("c", lease, row(9_000));
    let [
        ..,
        Action::Closed { rows, .. },
        Action::LateJudged {
            rewarded: true,
            miner,
            ..
        },
    ] = &closed[..]
    else {
        panic!("{closed:?}")
    };
    assert_eq!(rows.len(), 3);
    assert_eq!(*miner, id(slow));
    assert_eq!(harness.points(slow), 11);
    assert_eq!(harness.points(fast), 1);
}

#[test]
fn a_late_answer_fills_a_seat_that_no_miner_can_be_drawn_for() {
    let (mut harness, slow, slow_lease, fast, fast_lease) = with_straggler(exact());
    harness.submit(fast, fast_lease, row(9_000));
    // All remaining miners hold a seat of the job; the slow one shares its seat.
    harness.handle(Event::Leave { miner: id("c") });
    let closed = harness.submit(slow, slow_lease, row(9_000));
    let [
        Action::Late { .. },
        Action::Moved {
            miner,
            job,
            from: 0,
            ..
        },
        Action::Closed { rows, .. },
    ] = &closed[..]
    else {
        panic!("{closed:?}")
    };
    assert_eq!((miner, job.0), (&id(slow), 10));
    let mut names: Vec<&str> = rows.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["a", "b", "d"]);
    assert_eq!(harness.board.open_jobs(), 0);
}

#[test]
fn a_seat_that_loses_its_miner_is_filled_by_an_earlier_late_answer() {
    let (mut harness, slow, slow_lease, fast, fast_lease) = with_straggler(exact());
    harness.submit(fast, fast_lease, row(9_000));
    harness.submit(slow, slow_lease, row(9_000));
    let left = harness.handle(Event::Leave { miner: id("c") });
    assert!(
        matches!(left[..], [.., Action::Moved { .. }, Action::Closed { .. }]),
        "{left:?}"
    );
}

#[test]
fn a_late_answer_takes_no_seat_from_a_miner_drawn_for_it() {
    let (mut harness, slow, slow_lease, fast, fast_lease) = with_straggler(exact());
    harness.submit(fast, fast_lease, row(9_000));
    harness.handle(Event::Join { miner: id("e") });
    let left = harness.handle(Event::Leave { miner: id("c") });
    assert!(
        left.iter()
            .any(|action| matches!(action, Action::Reassigned { miner, .. } if *miner == id("e")))
    );
    let late = harness.submit(slow, slow_lease, row(9_000));
    assert!(matches!(late[..], [Action::Late { .. }]), "{late:?}");
}

#[test]
fn a_late_miner_that_gave_up_may_take_an_open_seat() {
    let (mut harness, slow, _, fast, fast_lease) = with_straggler(exact());
    harness.submit(fast, fast_lease, row(9_000));
    harness.handle(Event::Leave { miner: id("c") });
    // It finds nothing while it trains for another seat of the job, and then is silent for too
    // long.
    harness.handle(Event::Register {
        miner: id(slow),
        owner: None,
        capacity: 2,
    });
    assert_eq!(harness.request(slow), None);
    harness.now += 70_000;
    harness.handle(Event::Tick);
    let (job, _, grant) = harness.request(slow).unwrap();
    assert_eq!((job, grant), (10, Grant::Open));
}

#[test]
fn a_late_answer_after_the_end_of_the_job_earns_nothing() {
    let (mut harness, slow, slow_lease, fast, fast_lease) = with_straggler(exact());
    harness.submit(fast, fast_lease, row(9_000));
    let (_, lease, _) = harness.request("c").unwrap();
    harness.submit("c", lease, row(9_000));
    assert_eq!(harness.board.open_jobs(), 0);
    let checked = harness.submit(slow, slow_lease, row(9_000));
    let [
        Action::LateJudged {
            finding, rewarded, ..
        },
    ] = &checked[..]
    else {
        panic!()
    };
    assert_eq!((*finding, *rewarded), (Finding::Agreed, false));
    assert_eq!(harness.points(slow), 10);
}

#[test]
fn an_unreadable_answer_does_not_fill_a_seat_with_two_workers() {
    let (mut harness, slow, slow_lease, fast, fast_lease) = with_straggler(exact());
    let dropped = harness.submit(fast, fast_lease, Row::Malformed("?".into()));
    assert!(matches!(dropped[..], [Action::Discarded { .. }]));
    let filled = harness.submit(slow, slow_lease, row(9_000));
    assert!(matches!(filled[..], [Action::Filled { .. }]));
}

#[test]
fn a_speculative_lease_outlives_the_first_one() {
    let (mut harness, slow, slow_lease, fast, fast_lease) =
        with_straggler(with(exact(), |rules| {
            rules.set("watchdog.stalled_percent", "100000").unwrap()
        }));
    harness.now += 59_000;
    harness.heartbeat(fast, fast_lease, 0).unwrap();
    harness.now += 2_000;
    harness.handle(Event::Tick);
    assert!(matches!(
        harness.heartbeat(slow, slow_lease, 0),
        Err(Rejected::StaleLease { .. })
    ));
    let filled = harness.submit(fast, fast_lease, row(9_000));
    assert!(
        filled
            .iter()
            .any(|action| matches!(action, Action::Filled { .. }))
    );
}

#[test]
fn speculative_leases_are_one_for_each_seat_and_limited() {
    let rules = with(exact(), |rules| {
        rules.set("watchdog.max_speculative_percent", "0").unwrap()
    });
    let (mut harness, ..) = with_straggler(rules);
    harness.handle(Event::Join { miner: id("e") });
    harness.now += 100;
    assert_eq!(
        harness.request("e"),
        None,
        "one speculative lease is the maximum at 0 percent"
    );
    let (mut harness, ..) = with_straggler(with(exact(), |rules| {
        rules
            .set("watchdog.max_speculative_percent", "100")
            .unwrap()
    }));
    harness.handle(Event::Join { miner: id("e") });
    let other = harness.request("e");
    assert!(!matches!(other, Some((_, _, Grant::Speculative { from })) if from == id("a")));
}

#[test]
fn epochs_reveal_a_straggler_early() {
    let mut harness = Harness::new(with(exact(), |rules| rules.epochs = 10), &["a", "b", "c"]);
    for job in 0..10 {
        harness.open(job);
        let leases = ["a", "b", "c"].map(|miner| (miner, harness.request(miner).unwrap().1));
        harness.now += 1_000;
        for (miner, lease) in leases {
            harness.submit(miner, lease, row(9_000));
        }
    }
    harness.open(10);
    let leases = ["a", "b", "c"].map(|miner| (miner, harness.request(miner).unwrap().1));
    harness.handle(Event::Join { miner: id("d") });
    harness.now += 400;
    for ((miner, lease), epoch) in leases.into_iter().zip([1, 4, 4]) {
        harness.heartbeat(miner, lease, epoch).unwrap();
    }
    // One of ten epochs in 400 ms means 4,000 ms in all, where 1,000 is the average.
    let (_, _, grant) = harness.request("d").unwrap();
    assert_eq!(grant, Grant::Speculative { from: id("a") });
}

#[test]
fn a_stalled_lease_ends_in_spite_of_heartbeats() {
    let names = ["a", "b", "c"];
    let rules = with(exact(), |rules| rules.lease_ms = 2_000);
    let mut harness = Harness::new(rules, &names);
    harness.warm_up(&names, 0);
    harness.open(1_000);
    let (_, lease, _) = harness.request("a").unwrap();
    for _ in 0..9 {
        harness.now += 1_000;
        harness.heartbeat("a", lease, 1).unwrap();
    }
    harness.now += 1_000;
    let stale = harness.heartbeat("a", lease, 1).unwrap_err();
    let Rejected::StaleLease { reason, .. } = stale else {
        panic!("{stale}")
    };
    assert_eq!(reason, Some(Ending::TooLong));
    let actions = harness.handle(Event::Tick);
    assert!(matches!(
        actions[0],
        Action::Expired {
            reason: Ending::TooLong,
            ..
        }
    ));
    // Its latest heartbeat was a second ago, so it is still present.
    assert!(
        !actions
            .iter()
            .any(|action| matches!(action, Action::Away { .. }))
    );
}
