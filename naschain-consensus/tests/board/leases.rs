//! Leases and refusals.

use naschain_consensus::{Action, Ending, Event, Grant, JobId, LeaseId, Millis, Rejected, Rules};

use crate::desk::{Desk, id, row};

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
        job: JobId(1),
        flops: 1,
    });
    assert_eq!(again, Err(Rejected::DuplicateJob { job: JobId(1) }));
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
            lease,
            why: Some(Ending::Silent),
        })
    );
    let told = desk.takes(Event::Tick);
    assert!(matches!(
        &told[..],
        [Action::Expired { why: Ending::Silent, .. }, Action::Away { miner }] if *miner == id("a")
    ));
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
            lease,
            why: Some(Ending::Silent),
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
        Err(Rejected::StaleLease {
            why: Some(Ending::TooLong),
            ..
        })
    ));
    let ended = desk.takes(Event::Tick);
    assert!(matches!(
        ended[0],
        Action::Expired {
            why: Ending::TooLong,
            ..
        }
    ));
}

#[test]
fn a_miner_that_forgot_its_job_gets_it_again_under_a_new_lease() {
    let mut desk = Desk::new(Rules::default(), &["a", "b", "c"]);
    desk.opens(1);
    let (job, old, _) = desk.asks("a").unwrap();
    let (again, new, grant) = desk.asks("a").unwrap();
    assert_eq!((job, grant), (again, Grant::Again { old }));
    let stale = desk.beats("a", old, 1).unwrap_err();
    assert_eq!(
        stale.to_string(),
        "lease 1 of miner a has ended because its miner asked again and got a new lease; \
         its answer does not count, ask for new work"
    );
    desk.beats("a", new, 1).unwrap();
}

#[test]
fn room_for_two_jobs_means_two_jobs_and_then_the_oldest_again() {
    let mut desk = Desk::new(Rules::default(), &[]);
    desk.takes(Event::Register {
        miner: id("a"),
        owner: None,
        capacity: 2,
    });
    for job in 1..4 {
        desk.opens(job);
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
