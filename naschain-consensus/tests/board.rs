//! What the board promises, one promise a test.

use naschain_consensus::{
    Action, BatchId, Event, Failure, Grant, JobBoard, LeaseId, Millis, MinerId, Reason, Rejected,
    Row, Rule, Rules, Trust, Watchdog,
};
use naschain_core::{Accuracy, Digest, Measurement};

fn id(name: &str) -> MinerId {
    name.parse().unwrap()
}

fn measured(hundredths: u32) -> Measurement {
    Measurement {
        accuracy: Accuracy::from_hundredths(hundredths).unwrap(),
        params: 10,
        flops: 20,
        digest: Digest([(hundredths % 251) as u8; 32]),
    }
}

fn row(hundredths: u32) -> Row {
    Row::Measured(measured(hundredths))
}

/// A board and a clock.
struct Desk {
    board: JobBoard,
    now: u64,
}

impl Desk {
    fn new(rules: Rules, miners: &[&str]) -> Desk {
        let board = JobBoard::new(rules, 3).unwrap();
        let mut desk = Desk { board, now: 0 };
        for miner in miners {
            desk.takes(Event::Join { miner: id(miner) });
        }
        desk
    }

    fn tries(&mut self, event: Event) -> Result<Vec<Action>, Rejected> {
        // A picture of a large board takes too long to draw each time.
        let small = self.board.open_batches() < 20;
        let before = small.then(|| format!("{:?}", self.board));
        let result = self.board.handle(Millis(self.now), event);
        if let (Err(_), Some(before)) = (&result, before) {
            assert_eq!(before, format!("{:?}", self.board), "refused, yet changed");
        }
        result
    }

    fn takes(&mut self, event: Event) -> Vec<Action> {
        self.tries(event).unwrap()
    }

    fn opens(&mut self, batch: u64) -> Vec<Option<MinerId>> {
        let batch = BatchId(batch);
        match &self.takes(Event::Open {
            batch,
            flops: 1_000,
        })[..]
        {
            [Action::Dealt { miners, .. }] => miners.clone(),
            other => panic!("{other:?}"),
        }
    }

    /// What a miner is given: batch, lease and why.
    fn asks(&mut self, miner: &str) -> Option<(u64, LeaseId, Grant)> {
        let actions = self.takes(Event::Request { miner: id(miner) });
        actions.into_iter().find_map(|action| match action {
            Action::Leased {
                batch,
                lease,
                grant,
                ..
            } => Some((batch.0, lease, grant)),
            _ => None,
        })
    }

    fn answers(&mut self, miner: &str, lease: LeaseId, row: Row) -> Vec<Action> {
        self.takes(Event::Submit {
            miner: id(miner),
            lease,
            row,
        })
    }

    /// Asks and answers at once; returns the last action.
    fn does(&mut self, miner: &str, row: Row) -> Action {
        let (_, lease, _) = self
            .asks(miner)
            .unwrap_or_else(|| panic!("nothing for {miner}"));
        self.answers(miner, lease, row).pop().unwrap()
    }

    fn beats(&mut self, miner: &str, lease: LeaseId, epoch: u32) -> Result<Vec<Action>, Rejected> {
        self.tries(Event::Heartbeat {
            miner: id(miner),
            lease,
            epoch,
        })
    }

    fn points(&self, miner: &str) -> u64 {
        let mut miners = self.board.miners();
        miners
            .find(|(name, ..)| **name == id(miner))
            .unwrap()
            .2
            .points
    }
}

fn exact() -> Rules {
    let mut rules = Rules::default();
    rules.agreement.rule = Rule::Exact;
    rules
}

#[test]
fn every_refusal_has_its_name() {
    let mut desk = Desk::new(Rules::default(), &["a", "b", "c"]);
    desk.opens(1);
    let (_, lease, _) = desk.asks("a").unwrap();
    let stranger = desk.tries(Event::Request { miner: id("x") });
    assert_eq!(stranger, Err(Rejected::UnknownMiner { miner: id("x") }));
    let stolen = desk.beats("b", lease, 1);
    assert_eq!(
        stolen,
        Err(Rejected::NotYours {
            miner: id("b"),
            lease
        })
    );
    for number in [0, 2] {
        let unknown = desk.beats("a", LeaseId(number), 1).unwrap_err();
        let expected = Rejected::UnknownLease {
            lease: LeaseId(number),
            latest: 1,
        };
        assert_eq!(unknown, expected);
    }
    let again = desk.tries(Event::Open {
        batch: BatchId(1),
        flops: 1,
    });
    assert_eq!(again, Err(Rejected::DuplicateBatch { batch: BatchId(1) }));
    desk.answers("a", lease, row(9000));
    let twice = desk.tries(Event::Submit {
        miner: id("a"),
        lease,
        row: row(9000),
    });
    assert_eq!(
        twice,
        Err(Rejected::AlreadyAnswered {
            miner: id("a"),
            lease
        })
    );
    let none = Event::Register {
        miner: id("d"),
        owner: None,
        capacity: 0,
    };
    let none = desk.tries(none).unwrap_err();
    assert_eq!(
        none,
        Rejected::Capacity {
            miner: id("d"),
            capacity: 0
        }
    );
    desk.takes(Event::Leave { miner: id("a") });
    let gone = desk.tries(Event::Request { miner: id("a") });
    assert_eq!(gone, Err(Rejected::UnknownMiner { miner: id("a") }));
}

#[test]
fn a_late_answer_to_an_expired_lease_is_stale_even_before_anybody_says_so() {
    let mut desk = Desk::new(Rules::default(), &["a", "b", "c"]);
    desk.opens(1);
    let (_, lease, _) = desk.asks("a").unwrap();
    assert_eq!(desk.board.next_deadline(), Some(Millis(60_000)));
    desk.now = 60_000;
    let late = desk.tries(Event::Submit {
        miner: id("a"),
        lease,
        row: row(9000),
    });
    assert_eq!(
        late,
        Err(Rejected::StaleLease {
            miner: id("a"),
            lease
        })
    );
    let told = desk.takes(Event::Tick);
    assert!(
        matches!(&told[..], [Action::Expired { .. }, Action::Away { miner }] if *miner == id("a"))
    );
    // It comes back, and the seat, now nobody's, goes to it under a greater number.
    let (_, next, grant) = desk.asks("a").unwrap();
    assert!(next > lease);
    assert_eq!(grant, Grant::Open);
    let late = desk.tries(Event::Submit {
        miner: id("a"),
        lease,
        row: row(9000),
    });
    assert_eq!(
        late,
        Err(Rejected::StaleLease {
            miner: id("a"),
            lease
        })
    );
}

#[test]
fn heartbeats_renew_but_not_for_ever() {
    let rules = Rules {
        job_limit_ms: 100_000,
        ..Rules::default()
    };
    let mut desk = Desk::new(rules, &["a", "b", "c"]);
    desk.opens(1);
    let (_, lease, _) = desk.asks("a").unwrap();
    desk.now = 50_000;
    let renewed = desk.beats("a", lease, 1).unwrap();
    assert!(matches!(
        renewed[0],
        Action::Renewed {
            expires: Millis(100_000),
            ..
        }
    ));
    desk.now = 99_999;
    desk.beats("a", lease, 2).unwrap();
    desk.now = 100_000;
    assert!(matches!(
        desk.beats("a", lease, 3),
        Err(Rejected::StaleLease { .. })
    ));
}

#[test]
fn a_miner_that_forgot_its_job_gets_it_again_under_a_new_lease() {
    let mut desk = Desk::new(Rules::default(), &["a", "b", "c"]);
    desk.opens(1);
    let (batch, old, _) = desk.asks("a").unwrap();
    let (again, new, grant) = desk.asks("a").unwrap();
    assert_eq!((batch, grant), (again, Grant::Again { old }));
    assert!(matches!(
        desk.beats("a", old, 1),
        Err(Rejected::StaleLease { .. })
    ));
    desk.beats("a", new, 1).unwrap();
}

#[test]
fn room_for_two_jobs_means_two_batches_and_then_the_oldest_again() {
    let mut desk = Desk::new(Rules::default(), &[]);
    desk.takes(Event::Register {
        miner: id("a"),
        owner: None,
        capacity: 2,
    });
    for batch in 1..4 {
        desk.opens(batch);
    }
    let (first, old, _) = desk.asks("a").unwrap();
    let (second, _, _) = desk.asks("a").unwrap();
    assert_ne!(first, second);
    let (third, _, grant) = desk.asks("a").unwrap();
    assert_eq!((third, grant), (first, Grant::Again { old }));
}

#[test]
fn joining_again_keeps_what_a_miner_registered_with() {
    let mut desk = Desk::new(Rules::default(), &[]);
    desk.takes(Event::Register {
        miner: id("a"),
        owner: Some(id("o")),
        capacity: 2,
    });
    desk.takes(Event::Join { miner: id("a") });
    desk.opens(1);
    desk.opens(2);
    assert!(desk.asks("a").is_some());
    assert!(!matches!(desk.asks("a"), Some((_, _, Grant::Again { .. }))));
}

#[test]
fn an_owner_gets_one_seat_of_a_batch() {
    let mut desk = Desk::new(Rules::default(), &["c", "d"]);
    for miner in ["a1", "a2", "a3"] {
        desk.takes(Event::Register {
            miner: id(miner),
            owner: Some(id("ann")),
            capacity: 1,
        });
    }
    for batch in 0..50 {
        let dealt = desk.opens(batch);
        let anns = dealt
            .iter()
            .flatten()
            .filter(|miner| miner.as_str().starts_with('a'));
        assert_eq!(anns.count(), 1, "{dealt:?}");
    }
    let mut batches: Vec<u64> = Vec::new();
    for miner in ["a1", "a2", "a3"] {
        batches.extend(desk.asks(miner).map(|(batch, ..)| batch));
    }
    batches.sort();
    batches.dedup();
    assert_eq!(batches.len(), 3);
}

#[test]
fn dealing_is_even_and_follows_from_the_seed() {
    let names: Vec<String> = (0..10).map(|i| format!("m{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut desk = Desk::new(Rules::default(), &names);
    let mut counts = [0u32; 10];
    let dealt: Vec<_> = (0..3_000).map(|batch| desk.opens(batch)).collect();
    for miner in dealt.iter().flatten().flatten() {
        counts[names
            .iter()
            .position(|name| *name == miner.as_str())
            .unwrap()] += 1;
    }
    // 900 each on average, with deviation 25.
    assert!(
        counts.iter().all(|count| count.abs_diff(900) < 110),
        "{counts:?}"
    );
    let mut other = Desk::new(Rules::default(), &names);
    let again: Vec<_> = (0..3_000).map(|batch| other.opens(batch)).collect();
    assert_eq!(dealt, again);
}

#[test]
fn seats_without_miners_wait_for_whoever_comes() {
    let mut desk = Desk::new(Rules::default(), &["a"]);
    assert_eq!(desk.opens(1).iter().flatten().count(), 1);
    assert!(matches!(desk.does("a", row(9000)), Action::Filled { .. }));
    assert!(desk.asks("a").is_none(), "nobody gets two seats of a batch");
    for miner in ["b", "c"] {
        desk.takes(Event::Join { miner: id(miner) });
        let (batch, lease, grant) = desk.asks(miner).unwrap();
        assert_eq!((batch, grant), (1, Grant::Open));
        desk.answers(miner, lease, row(9010));
    }
    assert_eq!(desk.board.open_batches(), 0);
    assert_eq!(["a", "b", "c"].map(|miner| desk.points(miner)), [1, 1, 1]);
}

#[test]
fn an_idle_miner_takes_over_what_another_has_not_started() {
    for take_over in [true, false] {
        let rules = Rules {
            take_over,
            ..Rules::default()
        };
        let mut desk = Desk::new(rules, &["a", "b", "c", "d"]);
        let dealt = desk.opens(1);
        let names = ["a", "b", "c", "d"];
        let idle = names
            .into_iter()
            .find(|name| !dealt.contains(&Some(id(name))))
            .unwrap();
        match desk.asks(idle) {
            Some((1, _, Grant::TakenOver { from })) => {
                assert!(take_over);
                assert!(!matches!(
                    desk.asks(from.as_str()),
                    Some((_, _, Grant::Dealt))
                ));
            }
            None => assert!(!take_over),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn take_overs_of_a_batch_are_capped() {
    let rules = Rules {
        max_taken_over: 1,
        ..Rules::default()
    };
    let mut desk = Desk::new(rules, &["a", "b", "c"]);
    desk.opens(1);
    for miner in ["x", "y"] {
        desk.takes(Event::Join { miner: id(miner) });
    }
    assert!(matches!(
        desk.asks("x"),
        Some((1, _, Grant::TakenOver { .. }))
    ));
    assert_eq!(desk.asks("y"), None);
}

#[test]
fn silent_miners_are_dealt_nothing() {
    let mut desk = Desk::new(Rules::default(), &["a", "b", "c"]);
    desk.now = 120_000;
    assert_eq!(desk.takes(Event::Tick).len(), 3);
    assert_eq!(desk.opens(1), [None, None, None]);
    assert!(matches!(desk.asks("b"), Some((1, _, Grant::Open))));
    assert_eq!(
        desk.opens(2).iter().flatten().collect::<Vec<_>>(),
        [&id("b")]
    );
}

#[test]
fn time_never_goes_back_and_an_idle_tick_changes_nothing() {
    let mut desk = Desk::new(Rules::default(), &["a", "b", "c"]);
    desk.now = 1_000;
    desk.opens(1);
    desk.now = 10;
    let before = format!("{:?}", desk.board);
    assert_eq!(desk.takes(Event::Tick), []);
    assert_eq!(before, format!("{:?}", desk.board));
    desk.asks("a").unwrap();
    assert_eq!(desk.board.now(), Millis(1_000));
    let ticks = desk.board.next_deadline().unwrap();
    assert_eq!(ticks, Millis(61_000));
}

#[test]
fn leaving_gives_seats_back() {
    let mut desk = Desk::new(Rules::default(), &["a", "b", "c"]);
    desk.opens(1);
    let (_, lease, _) = desk.asks("a").unwrap();
    let left = desk.takes(Event::Leave { miner: id("a") });
    assert!(matches!(&left[..], [Action::Revoked { lease: ended, .. }] if *ended == lease));
    desk.takes(Event::Join { miner: id("d") });
    assert!(matches!(desk.asks("d"), Some((1, _, Grant::Open))));
}

#[test]
fn nobody_agrees_so_five_seats_then_other_miners_then_failed() {
    let names: Vec<String> = (0..20).map(|i| format!("m{i:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let rules = Rules {
        max_dealings: 1,
        ..exact()
    };
    let mut desk = Desk::new(rules, &names);
    let mut dealt = desk.opens(1);
    let mut had: Vec<MinerId> = Vec::new();
    let mut accuracy = 5_000;
    for round in 0..4 {
        let mut last = None;
        for miner in dealt.iter().flatten() {
            assert!(!had.contains(miner), "{miner} had a seat already");
            had.push(miner.clone());
            accuracy += 100;
            last = Some(desk.does(miner.as_str(), row(accuracy)));
        }
        dealt = match (round, last.unwrap()) {
            (0 | 2, Action::Escalated { miners, .. }) => {
                assert_eq!(miners.len(), 2);
                miners
            }
            (
                1,
                Action::Redealt {
                    dealing: 1, miners, ..
                },
            ) => {
                assert_eq!(miners.len(), 3);
                miners
            }
            (3, Action::Failed { failure, rows, .. }) => {
                assert_eq!(failure, Failure::NoAgreement { dealings: 2 });
                assert_eq!(rows.len(), 5);
                Vec::new()
            }
            other => panic!("{other:?}"),
        };
    }
    assert_eq!(desk.board.open_batches(), 0);
    assert!(desk.board.miners().all(|(_, _, tally)| tally.points == 0));
}

#[test]
fn five_seats_can_settle_what_three_could_not() {
    let names = ["a", "b", "c", "d", "e"];
    let mut desk = Desk::new(exact(), &names);
    let dealt = desk.opens(1);
    let mut accuracies = [9_000, 5_000, 6_000].into_iter();
    for miner in dealt.iter().flatten() {
        desk.does(miner.as_str(), row(accuracies.next().unwrap()));
    }
    let others = names.iter().filter(|name| !dealt.contains(&Some(id(name))));
    let last: Vec<Action> = others.map(|name| desk.does(name, row(9_000))).collect();
    let Some(Action::Closed { rows, verdict, .. }) = last.last() else {
        panic!("{last:?}")
    };
    assert_eq!(rows.len(), 5);
    assert_eq!(verdict.agreed, [true, false, false, true, true]);
}

#[test]
fn with_too_few_others_a_rejected_batch_is_dealt_to_the_same() {
    let mut desk = Desk::new(exact(), &["a", "b", "c"]);
    desk.opens(1);
    for (miner, accuracy) in [("a", 5_000), ("b", 6_000)] {
        desk.does(miner, row(accuracy));
    }
    assert!(matches!(
        desk.does("c", row(7_000)),
        Action::Redealt { dealing: 1, .. }
    ));
    for miner in ["a", "b", "c"] {
        desk.does(miner, row(8_000));
    }
    assert_eq!(["a", "b", "c"].map(|miner| desk.points(miner)), [1, 1, 1]);
}

#[test]
fn a_job_that_fails_for_most_is_failed_at_once_with_the_reasons() {
    let mut desk = Desk::new(Rules::default(), &["a", "b", "c"]);
    desk.opens(1);
    let (_, third, _) = desk.asks("c").unwrap();
    desk.does("a", Row::Failed("NaN".into()));
    let Action::Failed { failure, .. } = desk.does("b", Row::Failed("memory".into())) else {
        panic!("still open")
    };
    let Failure::TrainingFailed { mut reasons } = failure else {
        panic!("{failure:?}")
    };
    reasons.sort();
    assert_eq!(reasons, ["NaN", "memory"]);
    let late = desk.tries(Event::Submit {
        miner: id("c"),
        lease: third,
        row: row(9000),
    });
    assert!(matches!(late, Err(Rejected::StaleLease { .. })));
}

/// Three miners train ten batches of which the pace is learnt; then `slow` lags with the eleventh
/// and `fast`, which has nothing to do, is given its seat too.
fn lagging(rules: Rules) -> (Desk, &'static str, LeaseId, &'static str, LeaseId) {
    let mut desk = Desk::new(rules, &["a", "b", "c"]);
    for batch in 0..10 {
        desk.opens(batch);
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
    let (batch, fast, grant) = desk.asks("d").unwrap();
    assert_eq!((batch, grant), (10, Grant::Copied { from: id("a") }));
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
fn a_spot_check_after_the_batch_ended_earns_nothing() {
    let (mut desk, slow, slow_lease, fast, fast_lease) = lagging(exact());
    desk.answers(fast, fast_lease, row(9_000));
    let (_, lease, _) = desk.asks("c").unwrap();
    desk.answers("c", lease, row(9_000));
    assert_eq!(desk.board.open_batches(), 0);
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
    let (mut desk, slow, slow_lease, fast, fast_lease) = lagging(exact());
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
    for batch in 0..10 {
        desk.opens(batch);
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
fn trust_is_earned_and_lost() {
    let rules = Rules {
        trust: Some(Trust { after_valid: 5 }),
        ..exact()
    };
    let names = ["a", "b", "c"];
    let mut desk = Desk::new(rules, &names);
    let mut single = 0;
    for batch in 0..60 {
        let dealt = desk.opens(batch);
        assert!(batch >= 5 || dealt.len() == 3, "trusted too early");
        single += usize::from(dealt.len() == 1);
        for miner in dealt.iter().flatten() {
            desk.does(miner.as_str(), row(9_000));
        }
    }
    assert!(single > 30, "{single}");
    // One wrong answer in a batch of three, and batches that begin with that miner are checked.
    let mut batch = 60;
    loop {
        let dealt = desk.opens(batch);
        batch += 1;
        for miner in dealt.iter().flatten() {
            let wrong = miner.as_str() == "a" && dealt.len() == 3;
            desk.does(miner.as_str(), row(if wrong { 1_000 } else { 9_000 }));
        }
        if dealt.len() == 3 {
            break;
        }
    }
    let mut began = 0;
    while began < 3 {
        let dealt = desk.opens(batch);
        batch += 1;
        if dealt[0] == Some(id("a")) {
            assert_eq!(dealt.len(), 3);
            began += 1;
        }
        for miner in dealt.iter().flatten() {
            desk.does(miner.as_str(), row(9_000));
        }
    }
}

#[test]
fn a_single_seat_taken_by_a_stranger_gets_company() {
    let rules = Rules {
        trust: Some(Trust { after_valid: 1 }),
        ..exact()
    };
    let mut desk = Desk::new(rules, &["a", "b", "c"]);
    for batch in 0..4 {
        for miner in desk.opens(batch).iter().flatten() {
            desk.does(miner.as_str(), row(9_000));
        }
    }
    let mut batch = 4;
    while desk.opens(batch).len() != 1 {
        batch += 1;
        assert!(batch < 200);
    }
    desk.takes(Event::Join { miner: id("x") });
    for _ in 0..=3 * batch {
        let actions = desk.takes(Event::Request { miner: id("x") });
        let widened = actions
            .iter()
            .any(|action| matches!(action, Action::Widened { .. }));
        let Some(Action::Leased {
            batch: got, lease, ..
        }) = actions.first().cloned()
        else {
            panic!("{actions:?}")
        };
        assert_eq!(widened, got == BatchId(batch));
        if widened {
            let filled = desk.answers("x", lease, row(1_000));
            assert!(
                matches!(filled[..], [Action::Filled { .. }]),
                "not closed on one answer"
            );
            return;
        }
        desk.answers("x", lease, row(9_000));
    }
    panic!("the single seat was never taken over");
}

#[test]
fn a_known_answer_decides_even_against_all() {
    let mut desk = Desk::new(exact(), &["a", "b", "c"]);
    let answer = measured(9_000);
    desk.takes(Event::OpenKnown {
        batch: BatchId(1),
        flops: 1,
        answer,
    });
    desk.does("a", row(8_000));
    desk.does("b", Row::Failed("?".into()));
    let Action::Closed { verdict, .. } = desk.does("c", row(8_000)) else {
        panic!()
    };
    assert_eq!(verdict.agreed, [false, false, false]);
    assert_eq!(verdict.consensus, Some(answer));
    desk.takes(Event::OpenKnown {
        batch: BatchId(2),
        flops: 1,
        answer,
    });
    for (miner, accuracy) in [("a", 9_000), ("b", 8_000), ("c", 8_000)] {
        desk.does(miner, row(accuracy));
    }
    assert_eq!(["a", "b", "c"].map(|miner| desk.points(miner)), [1, 0, 0]);
}
