//! What miners are asked, and when.

use naschain_consensus::{
    Action, Event, JobId, LeaseId, Millis, QuestionId, Rejected, Ruling, TrainingPart,
};
use naschain_core::Digest;

use crate::harness::{Harness, exact, id, with};
use crate::training::{HONEST, STEPS, answered, lie, pursue, refereed, verdict};

#[test]
fn what_nobody_was_asked_for_is_rejected() {
    let mut harness = Harness::new(refereed(2), &["a", "b"]);
    let (miners, _) = answered(&mut harness, 1, &[HONEST, lie(1, 9)]);
    let (question, _) = harness.board.questions_of(&id(&miners[0])).next().unwrap();
    let testify = |miner: &str, question| Event::Testify {
        miner: id(miner),
        question,
        states: Vec::new(),
    };
    let step = 3;
    let ruling = Ruling::Step {
        step,
        found: HONEST.state(step),
    };
    let (job, digest) = (JobId(1), Digest([1; 32]));
    for (event, problem) in [
        (testify(&miners[1], question), "was asked of another miner"),
        (testify("eve", question), "miner eve has not joined"),
        (testify(&miners[0], QuestionId(9)), "question 9 is not open"),
        (
            Event::Received { question },
            "asks for states, and not for a delivery",
        ),
        (
            Event::Ruled { job, ruling },
            "was not asked for such a result about job 1",
        ),
        (
            Event::Collect {
                job,
                digest,
                miners: vec![id("a")],
                is_awaited: false,
            },
            "it is still open",
        ),
        (
            Event::Collect {
                job: JobId(7),
                digest,
                miners: vec![id("a")],
                is_awaited: false,
            },
            "never opened",
        ),
    ] {
        let error = harness.try_handle(event).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
    // A testimony that lacks states is accepted, so that its miner loses by it.
    harness.handle(testify(&miners[0], question));
    let again = harness.try_handle(testify(&miners[0], question));
    assert!(matches!(again, Err(Rejected::NoQuestion { .. })));
}

#[test]
fn the_time_to_answer_is_at_least_twice_that_of_a_training() {
    let mut harness = Harness::new(refereed(2), &["a", "b"]);
    let lease_of =
        |harness: &mut Harness, miner: &str| -> LeaseId { harness.request(miner).unwrap().1 };
    harness.open(1);
    let leases = ["a", "b"].map(|miner| (miner, lease_of(&mut harness, miner)));
    harness.now += 20_000;
    for ((miner, lease), training) in leases.into_iter().zip([HONEST, lie(1, 9)]) {
        harness.submit(miner, lease, training.row());
    }
    let (question, open) = harness.board.questions_of(&id("a")).next().unwrap();
    assert_eq!(open.until, Millis(60_000));
    harness.now = 60_000;
    let late = Event::Testify {
        miner: id("a"),
        question,
        states: Vec::new(),
    };
    assert!(matches!(
        harness.try_handle(late),
        Err(Rejected::NoQuestion { .. })
    ));
}

#[test]
fn a_spot_check_adds_a_seat_to_a_job_whose_seats_agree() {
    let rules = with(refereed(2), |rules| {
        rules.referee.as_mut().unwrap().spot_check_every = 1;
    });
    let mut harness = Harness::new(rules, &["a", "b", "c"]);
    let trainings = [lie(1, 9), lie(1, 9)];
    let (miners, last) = answered(&mut harness, 1, &trainings);
    let Some(Action::SeatAdded {
        miner: Some(third), ..
    }) = last.last()
    else {
        panic!("{last:?}");
    };
    let third = third.as_str().to_owned();
    let (_, lease, _) = harness.request(&third).unwrap();
    harness.submit(&third, lease, HONEST.row());
    let mut miners: Vec<_> = miners.into_iter().zip(trainings).collect();
    miners.push((third, HONEST));
    let verdict = verdict(&pursue(&mut harness, &miners, &[]));
    assert_eq!(verdict.agreed, [false, false, true]);
    // With nobody left for another seat, the job ends by the answers that it has.
    let mut harness = Harness::new(harness.board.rules().clone(), &["a", "b"]);
    let (_, last) = answered(&mut harness, 1, &[HONEST, HONEST]);
    assert!(matches!(last.last(), Some(Action::Closed { .. })));
}

#[test]
fn weights_are_collected_from_the_first_miner_that_delivers() {
    for delivers in [true, false] {
        let mut harness = Harness::new(refereed(2), &["a", "b"]);
        answered(&mut harness, 1, &[HONEST, HONEST]);
        let (job, digest) = (JobId(1), HONEST.state(STEPS).chain);
        let miners = ["left", "a", "b"].map(id).to_vec();
        let collect = Event::Collect {
            job,
            digest,
            miners,
            is_awaited: false,
        };
        let asked = harness.handle(collect.clone());
        assert!(matches!(&asked[..], [Action::Asked { miner, .. }] if *miner == id("a")));
        assert!(harness.try_handle(collect).is_err());
        harness.now = harness.board.next_deadline().unwrap().0;
        let next = harness.handle(Event::Tick);
        let [
            Action::Unanswered { .. },
            Action::Asked {
                miner, question, ..
            },
        ] = &next[..]
        else {
            panic!("{next:?}");
        };
        assert_eq!(*miner, id("b"));
        let (event, expected) = if delivers {
            let miner = id("b");
            (
                Event::Received {
                    question: *question,
                },
                Action::Collected { job, miner },
            )
        } else {
            harness.now = harness.board.next_deadline().unwrap().0;
            (Event::Tick, Action::NotCollected { job })
        };
        assert_eq!(harness.handle(event).last(), Some(&expected));
        assert!(!harness.board.has_open_questions());
    }
}

#[test]
fn a_board_without_a_referee_is_stored_as_before() {
    let mut harness = Harness::new(exact(), &["a", "b", "c"]);
    harness.open(1);
    let stored = format!("{}", serde_json::to_value(&harness.board).unwrap());
    for name in ["referee", "questions", "dispute", "is_refuted"] {
        assert!(!stored.contains(name), "{name} in {stored}");
    }
}

#[test]
fn a_checkpoint_that_a_job_waits_for_is_due_in_a_minute_and_not_after_that_job() {
    let mut harness = Harness::new(refereed(2), &["a", "b"]);
    answered(&mut harness, 1, &[HONEST, HONEST]);
    let digest = HONEST.state(STEPS).chain;
    let part = TrainingPart {
        from_epoch: 1,
        until_epoch: 2,
        from_state: Some(digest),
    };
    harness.handle(Event::OpenPart {
        job: JobId(2),
        flops: 1,
        part,
        holders: vec![id("a")],
    });
    let asked = harness.handle(Event::Collect {
        job: JobId(1),
        digest,
        miners: vec![id("a"), id("b")],
        is_awaited: true,
    });
    let [Action::Asked { until, .. }] = asked[..] else {
        panic!("{asked:?}");
    };
    assert_eq!(until, Millis(harness.now + 60_000));
    assert!(harness.board.is_collecting(digest));
    for miner in ["a", "b"] {
        let (_, lease, _) = harness.request(miner).unwrap();
        harness.submit(miner, lease, HONEST.row());
    }
    assert!(!harness.board.is_collecting(digest));
    assert!(!harness.board.has_open_questions());
}
