//! Leases and rejected events.

use naschain_consensus::{Action, Ending, Event, Grant, JobId, LeaseId, Millis, Rejected, Rules};

use crate::harness::{Harness, id, row, with};

#[test]
fn every_rejection_has_its_variant() {
    let mut harness = Harness::new(Rules::default(), &["a", "b", "c"]);
    harness.open(1);
    let (_, lease, _) = harness.request("a").unwrap();
    let stranger = harness.try_handle(Event::Request { miner: id("x") });
    assert_eq!(stranger, Err(Rejected::UnknownMiner { miner: id("x") }));
    let stolen = harness.heartbeat("b", lease, 1);
    assert_eq!(
        stolen,
        Err(Rejected::NotYours {
            miner: id("b"),
            lease
        })
    );
    for number in [0, 2] {
        let unknown = harness.heartbeat("a", LeaseId(number), 1).unwrap_err();
        let expected = Rejected::UnknownLease {
            lease: LeaseId(number),
            latest: 1,
        };
        assert_eq!(unknown, expected);
    }
    let again = harness.try_handle(Event::Open {
        job: JobId(1),
        flops: 1,
    });
    assert_eq!(again, Err(Rejected::DuplicateJob { job: JobId(1) }));
    harness.submit("a", lease, row(9000));
    let twice = harness.try_handle(Event::Submit {
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
    let none = harness.try_handle(none).unwrap_err();
    assert_eq!(
        none,
        Rejected::Capacity {
            miner: id("d"),
            capacity: 0
        }
    );
    harness.handle(Event::Leave { miner: id("a") });
    let gone = harness.try_handle(Event::Request { miner: id("a") });
    assert_eq!(gone, Err(Rejected::UnknownMiner { miner: id("a") }));
}

#[test]
fn an_answer_under_an_expired_lease_is_stale_even_before_the_tick() {
    let mut harness = Harness::new(Rules::default(), &["a", "b", "c"]);
    harness.open(1);
    let (_, lease, _) = harness.request("a").unwrap();
    assert_eq!(harness.board.next_deadline(), Some(Millis(60_000)));
    harness.now = 60_000;
    let late = harness.try_handle(Event::Submit {
        miner: id("a"),
        lease,
        row: row(9000),
    });
    assert_eq!(
        late,
        Err(Rejected::StaleLease {
            miner: id("a"),
            lease,
            reason: Some(Ending::Silent),
        })
    );
    let actions = harness.handle(Event::Tick);
    assert!(matches!(
        &actions[..],
        [Action::Expired { reason: Ending::Silent, .. }, Action::Away { miner }] if *miner == id("a")
    ));
    // The miner comes back and gets the seat, now open, under a greater lease id.
    let (_, next, grant) = harness.request("a").unwrap();
    assert!(next > lease);
    assert_eq!(grant, Grant::Open);
    let late = harness.try_handle(Event::Submit {
        miner: id("a"),
        lease,
        row: row(9000),
    });
    assert_eq!(
        late,
        Err(Rejected::StaleLease {
            miner: id("a"),
            lease,
            reason: Some(Ending::Silent),
        })
    );
}

#[test]
fn heartbeats_renew_up_to_the_job_limit() {
    let rules = with(Rules::default(), |rules| rules.job_limit_ms = 100_000);
    let mut harness = Harness::new(rules, &["a", "b", "c"]);
    harness.open(1);
    let (_, lease, _) = harness.request("a").unwrap();
    harness.now = 50_000;
    let renewed = harness.heartbeat("a", lease, 1).unwrap();
    assert!(matches!(
        renewed[0],
        Action::Renewed {
            expires: Millis(100_000),
            ..
        }
    ));
    harness.now = 99_999;
    harness.heartbeat("a", lease, 2).unwrap();
    harness.now = 100_000;
    assert!(matches!(
        harness.heartbeat("a", lease, 3),
        Err(Rejected::StaleLease {
            reason: Some(Ending::TooLong),
            ..
        })
    ));
    let ended = harness.handle(Event::Tick);
    assert!(matches!(
        ended[0],
        Action::Expired {
            reason: Ending::TooLong,
            ..
        }
    ));
}

#[test]
fn a_miner_that_lost_its_job_gets_it_again_under_a_new_lease() {
    let mut harness = Harness::new(Rules::default(), &["a", "b", "c"]);
    harness.open(1);
    let (job, old, _) = harness.request("a").unwrap();
    let (again, new, grant) = harness.request("a").unwrap();
    assert_eq!((job, grant), (again, Grant::Reissued { old }));
    let stale = harness.heartbeat("a", old, 1).unwrap_err();
    assert_eq!(
        stale.to_string(),
        "lease 1 of miner a has ended because its miner requested work again and got a new lease; \
         its answer does not count, request new work"
    );
    harness.heartbeat("a", new, 1).unwrap();
}

#[test]
fn a_capacity_of_two_means_two_jobs_and_then_the_oldest_again() {
    let mut harness = Harness::new(Rules::default(), &[]);
    harness.handle(Event::Register {
        miner: id("a"),
        owner: None,
        capacity: 2,
    });
    for job in 1..4 {
        harness.open(job);
    }
    let (first, old, _) = harness.request("a").unwrap();
    let (second, _, _) = harness.request("a").unwrap();
    assert_ne!(first, second);
    let (third, _, grant) = harness.request("a").unwrap();
    assert_eq!((third, grant), (first, Grant::Reissued { old }));
}

#[test]
fn joining_again_keeps_owner_and_capacity() {
    let mut harness = Harness::new(Rules::default(), &[]);
    harness.handle(Event::Register {
        miner: id("a"),
        owner: Some(id("o")),
        capacity: 2,
    });
    harness.handle(Event::Join { miner: id("a") });
    harness.open(1);
    harness.open(2);
    assert!(harness.request("a").is_some());
    assert!(!matches!(
        harness.request("a"),
        Some((_, _, Grant::Reissued { .. }))
    ));
}

#[test]
fn a_miner_that_sends_no_heartbeats_keeps_its_lease_until_it_asks_again() {
    let mut rules = Rules::default();
    rules.silent_uids = true;
    let mut harness = Harness::new(rules.clone(), &["uid-7", "b"]);
    harness.open(1);
    harness.open(2);
    let (_, silent, _) = harness.request("uid-7").unwrap();
    let (_, other, _) = harness.request("b").unwrap();
    harness.now += rules.lease_ms * 100;
    harness.handle(Event::Tick);
    let is_active = |harness: &Harness, lease| harness.board.last_heartbeat(lease).is_some();
    assert!(is_active(&harness, silent) && !is_active(&harness, other));
    harness.submit("uid-7", silent, row(9000));
    let (_, asked, _) = harness.request("uid-7").unwrap();
    let _ = harness.request("uid-7");
    assert!(!is_active(&harness, asked));
}
