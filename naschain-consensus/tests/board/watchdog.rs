//! Seats that lag, and their second miners.

use naschain_consensus::{
    Action, Ending, Event, Grant, LeaseId, Reason, Rejected, Row, Rules, Watchdog,
};

use crate::desk::{Desk, exact, id, row};

/// Three miners train ten jobs of which the pace is learnt; then `slow` lags with the eleventh
/// and `fast`, which has nothing to do, is given its seat too.
fn lagging(rules: Rules) -> (Desk, &'static str, LeaseId, &'static str, LeaseId) {
    let mut desk = Desk::new(rules, &["a", "b", "c"]);
    for job in 0..10 {
        desk.opens(job);
        let leases = ["a", "b", "c"].map(|miner| (miner, desk.asks(miner).unwrap().1));
        desk.now += 1_000;
        for (miner, lease) in leases {
            desk.answers(miner, lease, row(9_000));
        }
    }
    desk.opens(10);
    let (_, slow, _) = desk.asks("a").unwrap();
    for (miner, percent) in [("b", 9_000), ("c", 9_000)] {
        if miner == "b" {
            desk.does(miner, row(percent));
        } else {
            desk.asks(miner).unwrap();
        }
    }
    desk.takes(Event::Join { miner: id("d") });
    assert_eq!(desk.asks("d"), None, "nothing lags yet");
    desk.now += 5_000;
    desk.beats("a", slow, 0).unwrap();
    let (job, fast, grant) = desk.asks("d").unwrap();
    assert_eq!((job, grant), (10, Grant::Copied { from: id("a") }));
    (desk, "a", slow, "d", fast)
}

#[test]
fn the_first_valid_answer_fills_a_lagging_seat_and_the_late_one_checks_it() {
    let (mut desk, slow, slow_lease, fast, fast_lease) = lagging(exact());
    let filled = desk.answers(fast, fast_lease, row(9_000));
    assert!(matches!(filled[..], [Action::Filled { .. }]));
    let late = desk.answers(slow, slow_lease, row(9_000));
    assert!(matches!(late[..], [Action::Late { .. }]));
    let (_, lease, _) = desk.asks("c").unwrap();
    let closed = desk.answers("c", lease, row(9_000));
    let [
        ..,
        Action::Closed { rows, .. },
        Action::SpotChecked {
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
    assert_eq!(desk.points(slow), 11);
    assert_eq!(desk.points(fast), 1);
}

#[test]
fn a_second_answer_fills_a_seat_for_which_there_is_nobody_else() {
    let (mut desk, slow, slow_lease, fast, fast_lease) = lagging(exact());
    desk.answers(fast, fast_lease, row(9_000));
    // All that are left have a seat of the job, the slow one at least half of one.
    desk.takes(Event::Leave { miner: id("c") });
    let closed = desk.answers(slow, slow_lease, row(9_000));
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
    assert_eq!(desk.board.open_jobs(), 0);
}

#[test]
fn a_seat_that_nobody_is_left_for_is_filled_by_a_second_answer_that_is_there() {
    let (mut desk, slow, slow_lease, fast, fast_lease) = lagging(exact());
    desk.answers(fast, fast_lease, row(9_000));
    desk.answers(slow, slow_lease, row(9_000));
    let left = desk.takes(Event::Leave { miner: id("c") });
    assert!(
        matches!(left[..], [.., Action::Moved { .. }, Action::Closed { .. }]),
        "{left:?}"
    );
}

#[test]
fn a_second_answer_takes_no_seat_from_a_miner_that_was_drawn_for_it() {
    let (mut desk, slow, slow_lease, fast, fast_lease) = lagging(exact());
    desk.answers(fast, fast_lease, row(9_000));
    desk.takes(Event::Join { miner: id("e") });
    let left = desk.takes(Event::Leave { miner: id("c") });
    assert!(
        left.iter()
            .any(|action| matches!(action, Action::Redrawn { miner, .. } if *miner == id("e")))
    );
    let late = desk.answers(slow, slow_lease, row(9_000));
    assert!(matches!(late[..], [Action::Late { .. }]), "{late:?}");
}

#[test]
fn a_late_miner_that_gave_up_may_take_the_seat_that_nobody_else_is_left_for() {
    let (mut desk, slow, _, fast, fast_lease) = lagging(exact());
    desk.answers(fast, fast_lease, row(9_000));
    desk.takes(Event::Leave { miner: id("c") });
    // It looks in vain while it is the second one at another seat, and then is silent for too long.
    desk.takes(Event::Register {
        miner: id(slow),
        owner: None,
        capacity: 2,
    });
    assert_eq!(desk.asks(slow), None);
    desk.now += 70_000;
    desk.takes(Event::Tick);
    let (job, _, grant) = desk.asks(slow).unwrap();
    assert_eq!((job, grant), (10, Grant::Open));
}

#[test]
fn a_spot_check_after_the_job_ended_earns_nothing() {
    let (mut desk, slow, slow_lease, fast, fast_lease) = lagging(exact());
    desk.answers(fast, fast_lease, row(9_000));
    let (_, lease, _) = desk.asks("c").unwrap();
    desk.answers("c", lease, row(9_000));
    assert_eq!(desk.board.open_jobs(), 0);
    let checked = desk.answers(slow, slow_lease, row(9_000));
    let [
        Action::SpotChecked {
            reason, rewarded, ..
        },
    ] = &checked[..]
    else {
        panic!()
    };
    assert_eq!((*reason, *rewarded), (Reason::Agreed, false));
    assert_eq!(desk.points(slow), 10);
}

#[test]
fn an_answer_without_numbers_does_not_fill_a_seat_that_two_work_at() {
    let (mut desk, slow, slow_lease, fast, fast_lease) = lagging(exact());
    let dropped = desk.answers(fast, fast_lease, Row::Malformed("?".into()));
    assert!(matches!(dropped[..], [Action::Discarded { .. }]));
    let filled = desk.answers(slow, slow_lease, row(9_000));
    assert!(matches!(filled[..], [Action::Filled { .. }]));
}

#[test]
fn a_copy_goes_on_when_the_first_lease_expires() {
    let patient = Watchdog {
        stalled_percent: 100_000,
        ..Watchdog::default()
    };
    let (mut desk, slow, slow_lease, fast, fast_lease) = lagging(Rules {
        watchdog: Some(patient),
        ..exact()
    });
    desk.now += 59_000;
    desk.beats(fast, fast_lease, 0).unwrap();
    desk.now += 2_000;
    desk.takes(Event::Tick);
    assert!(matches!(
        desk.beats(slow, slow_lease, 0),
        Err(Rejected::StaleLease { .. })
    ));
    let filled = desk.answers(fast, fast_lease, row(9_000));
    assert!(
        filled
            .iter()
            .any(|action| matches!(action, Action::Filled { .. }))
    );
}

#[test]
fn copies_are_one_a_seat_and_capped() {
    let rules = Rules {
        watchdog: Some(Watchdog {
            max_copies_percent: 0,
            ..Watchdog::default()
        }),
        ..exact()
    };
    let (mut desk, ..) = lagging(rules);
    desk.takes(Event::Join { miner: id("e") });
    desk.now += 100;
    assert_eq!(
        desk.asks("e"),
        None,
        "one copy is the most while the cap is 0 percent"
    );
    let (mut desk, ..) = lagging(Rules {
        watchdog: Some(Watchdog {
            max_copies_percent: 100,
            ..Watchdog::default()
        }),
        ..exact()
    });
    desk.takes(Event::Join { miner: id("e") });
    let other = desk.asks("e");
    assert!(!matches!(other, Some((_, _, Grant::Copied { from })) if from == id("a")));
}

#[test]
fn epochs_tell_who_lags_before_it_is_late() {
    let mut desk = Desk::new(
        Rules {
            epochs: 10,
            ..exact()
        },
        &["a", "b", "c"],
    );
    for job in 0..10 {
        desk.opens(job);
        let leases = ["a", "b", "c"].map(|miner| (miner, desk.asks(miner).unwrap().1));
        desk.now += 1_000;
        for (miner, lease) in leases {
            desk.answers(miner, lease, row(9_000));
        }
    }
    desk.opens(10);
    let leases = ["a", "b", "c"].map(|miner| (miner, desk.asks(miner).unwrap().1));
    desk.takes(Event::Join { miner: id("d") });
    desk.now += 400;
    for ((miner, lease), epoch) in leases.into_iter().zip([1, 4, 4]) {
        desk.beats(miner, lease, epoch).unwrap();
    }
    // One epoch in 400 ms is 4,000 ms in all, where 1,000 is usual.
    let (_, _, grant) = desk.asks("d").unwrap();
    assert_eq!(grant, Grant::Copied { from: id("a") });
}

#[test]
fn a_lease_of_ten_times_the_average_ends_in_spite_of_heartbeats() {
    let names = ["a", "b", "c"];
    let rules = Rules {
        lease_ms: 2_000,
        ..exact()
    };
    let mut desk = Desk::new(rules, &names);
    desk.warms_up(&names, 0);
    desk.opens(1_000);
    let (_, lease, _) = desk.asks("a").unwrap();
    for _ in 0..9 {
        desk.now += 1_000;
        desk.beats("a", lease, 1).unwrap();
    }
    desk.now += 1_000;
    let stale = desk.beats("a", lease, 1).unwrap_err();
    let Rejected::StaleLease { why, .. } = stale else {
        panic!("{stale}")
    };
    assert_eq!(why, Some(Ending::TooLong));
    let told = desk.takes(Event::Tick);
    assert!(matches!(
        told[0],
        Action::Expired {
            why: Ending::TooLong,
            ..
        }
    ));
    // It spoke a second ago, so it is still present.
    assert!(
        !told
            .iter()
            .any(|action| matches!(action, Action::Away { .. }))
    );
}
