//! Disputes between answers, and what miners are asked.

use naschain_consensus::{
    Action, Event, Finding, JobId, LeaseId, Millis, Question, QuestionId, Referee, RefereeTask,
    Rejected, Row, Rules, Ruling, Verdict,
};
use naschain_core::{Accuracy, Digest, Measurement, StepState};

use crate::harness::{Harness, exact, id, with};

const STEPS: u64 = 1_000;

/// A training that is honest up to a step, where it becomes that of a liar.
#[derive(Clone, Copy)]
struct Training {
    liar: u8,
    from: u64,
}

const HONEST: Training = Training {
    liar: 0,
    from: STEPS + 1,
};

impl Training {
    fn state(self, step: u64) -> StepState {
        let who = if step >= self.from { self.liar } else { 0 };
        let digest = |tag: u8| {
            let mut bytes = [tag; 32];
            bytes[0] = who;
            bytes[1..9].copy_from_slice(&step.to_le_bytes());
            Digest(bytes)
        };
        StepState {
            chain: digest(1),
            state: digest(2),
        }
    }

    fn row(self) -> Row {
        Row::Measured(Measurement {
            accuracy: Accuracy::from_hundredths(9_000).unwrap(),
            params: 1_000,
            flops: 1_000,
            digest: self.state(STEPS).chain,
        })
    }
}

fn lie(liar: u8, from: u64) -> Training {
    Training { liar, from }
}

fn refereed(seats: usize) -> Rules {
    with(exact(), |rules| {
        let mut referee = Referee::new(STEPS);
        referee.answer_ms = 10_000;
        referee.spot_check_every = 0;
        rules.referee = Some(referee);
        rules.seats = seats;
        rules.reputation = None;
        rules.away_ms = 1_000_000;
    })
}

/// A job whose miners, in the order of seats, answer by these trainings.
fn answered(harness: &mut Harness, job: u64, trainings: &[Training]) -> (Vec<String>, Vec<Action>) {
    let miners = harness.open(job).into_iter().flatten();
    let miners: Vec<String> = miners.map(|miner| miner.as_str().to_owned()).collect();
    let mut last = Vec::new();
    for (miner, training) in miners.iter().zip(trainings) {
        let (_, lease, _) = harness.request(miner).unwrap();
        last = harness.submit(miner, lease, training.row());
    }
    (miners, last)
}

/// Answers all questions by the trainings of the miners, except those of silent miners, and lets the
/// referee compute what it is asked for. Returns all actions.
fn pursue(harness: &mut Harness, miners: &[(String, Training)], silent: &[&str]) -> Vec<Action> {
    let mut all = Vec::new();
    loop {
        let open = miners.iter().find_map(|(miner, training)| {
            let mut asked = harness.board.questions_of(&id(miner));
            let (question, open) = asked.next().filter(|_| !silent.contains(&&miner[..]))?;
            Some((miner, *training, question, open.what.clone()))
        });
        let task = harness.board.referee_tasks().next();
        let event = match (open, task) {
            (Some((miner, training, question, Question::States { steps })), _) => Event::Testify {
                miner: id(miner),
                question,
                states: steps.iter().map(|step| training.state(*step)).collect(),
            },
            (Some((_, _, question, _)), _) => Event::Received { question },
            (None, Some((job, RefereeTask::Step { step, before }))) => {
                let before = before.map(|before| before == HONEST.state(step - 1));
                assert!(before != Some(false), "only honest states are agreed here");
                let (step, found) = (*step, HONEST.state(*step));
                let ruling = Ruling::Step { step, found };
                Event::Ruled { job, ruling }
            }
            (None, Some((job, _))) => {
                let found = Accuracy::from_hundredths(9_000).unwrap();
                let ruling = Ruling::Accuracy { found };
                Event::Ruled { job, ruling }
            }
            (None, None) if harness.board.has_open_questions() => {
                harness.now = harness.board.next_deadline().unwrap().0;
                Event::Tick
            }
            (None, None) => return all,
        };
        all.extend(harness.handle(event));
    }
}

fn verdict(actions: &[Action]) -> Verdict {
    let closed = actions.iter().find_map(|action| match action {
        Action::Closed { verdict, .. } => Some(verdict.clone()),
        _ => None,
    });
    closed.unwrap_or_else(|| panic!("{actions:?}"))
}

/// A case of the table below: the trainings by seat, the silent seats, and the findings.
type Case<'a> = (&'a [Training], &'a [usize], &'a [Finding]);

#[test]
fn one_honest_miner_is_enough() {
    use Finding::{Agreed, Refuted, Silent};
    let (early, late) = (lie(1, 3), lie(2, STEPS));
    let cases: [Case; 9] = [
        (&[early, early, HONEST], &[], &[Refuted, Refuted, Agreed]),
        (&[HONEST, early, early], &[], &[Agreed, Refuted, Refuted]),
        (&[early, HONEST, late], &[], &[Refuted, Agreed, Refuted]),
        (&[late, HONEST, HONEST], &[], &[Refuted, Agreed, Agreed]),
        (&[HONEST, HONEST, early], &[0], &[Silent, Agreed, Refuted]),
        (&[HONEST, HONEST, early], &[2], &[Agreed, Agreed, Silent]),
        (
            &[lie(1, 0), HONEST, lie(2, 0)],
            &[],
            &[Refuted, Agreed, Refuted],
        ),
        (&[early, HONEST], &[], &[Refuted, Agreed]),
        (&[HONEST, late], &[], &[Agreed, Refuted]),
    ];
    for (trainings, silent, findings) in cases {
        let names = ["a", "b", "c"];
        let mut harness = Harness::new(refereed(trainings.len()), &names[..trainings.len()]);
        let (miners, last) = answered(&mut harness, 1, trainings);
        assert!(
            last.iter()
                .any(|action| matches!(action, Action::Disputed { .. }))
        );
        let miners: Vec<_> = miners.into_iter().zip(trainings.iter().copied()).collect();
        let silent: Vec<&str> = silent.iter().map(|seat| &miners[*seat].0[..]).collect();
        let verdict = verdict(&pursue(&mut harness, &miners, &silent));
        // An honest miner that was silent loses, though its answer was right.
        assert_eq!(verdict.findings, findings);
        assert_eq!(verdict.consensus, HONEST.row().measurement().copied());
        assert!(!harness.board.has_open_questions());
        assert_eq!(harness.board.referee_tasks().count(), 0);
    }
}

#[test]
fn two_liars_refute_each_other_and_the_job_starts_again() {
    let mut harness = Harness::new(refereed(2), &["a", "b"]);
    let trainings = [lie(1, 500), lie(2, 500)];
    let (miners, _) = answered(&mut harness, 1, &trainings);
    let miners: Vec<_> = miners.into_iter().zip(trainings).collect();
    let actions = pursue(&mut harness, &miners, &[]);
    let ruled = actions.iter().find_map(|action| match action {
        Action::Ruled { refuted, .. } => Some(refuted.len()),
        _ => None,
    });
    assert_eq!(ruled, Some(2));
    let Some(Action::NewRound {
        round: 1, verdict, ..
    }) = actions.last()
    else {
        panic!("{actions:?}");
    };
    assert_eq!(verdict.findings, [Finding::Refuted; 2]);
}

#[test]
fn an_answer_that_is_left_because_others_are_silent_needs_one_more() {
    for honest_answers in [true, false] {
        let mut harness = Harness::new(refereed(2), &["a", "b", "c"]);
        let trainings = [HONEST, lie(1, 9)];
        let (miners, _) = answered(&mut harness, 1, &trainings);
        let miners: Vec<_> = miners.into_iter().zip(trainings).collect();
        let silent = &miners[usize::from(honest_answers)].0;
        let actions = pursue(&mut harness, &miners, &[silent]);
        let added = actions.iter().find_map(|action| match action {
            Action::SeatAdded { seat, miner, .. } => Some((*seat, miner.clone().unwrap())),
            _ => None,
        });
        let (seat, third) = added.unwrap();
        assert_eq!(seat, 2);
        let (_, lease, _) = harness.request(third.as_str()).unwrap();
        let mut last = harness.submit(third.as_str(), lease, HONEST.row());
        let mut all = miners.clone();
        all.push((third.as_str().to_owned(), HONEST));
        last.extend(pursue(&mut harness, &all, &[]));
        let verdict = verdict(&last);
        assert_eq!(verdict.consensus, HONEST.row().measurement().copied());
        let other = if honest_answers {
            Finding::Silent
        } else {
            Finding::Refuted
        };
        assert_eq!(verdict.findings[1], other);
    }
}

#[test]
fn whoever_leaves_during_a_dispute_loses_it() {
    let mut harness = Harness::new(refereed(3), &["a", "b", "c"]);
    let trainings = [lie(1, 9), HONEST, HONEST];
    let (miners, _) = answered(&mut harness, 1, &trainings);
    let leave = |seat: usize| Event::Leave {
        miner: id(&miners[seat]),
    };
    let actions = harness.handle(leave(1));
    assert!(
        matches!(actions[0], Action::Unanswered { .. }),
        "{actions:?}"
    );
    let actions = harness.handle(leave(0));
    // The answer that is left needs that of another miner, and there is none.
    let Some(Action::NewRound { verdict, .. }) = actions.last() else {
        panic!("{actions:?}");
    };
    let findings = [Finding::Silent, Finding::Silent, Finding::Alone];
    assert_eq!(verdict.findings, findings);
    assert!(!harness.board.has_open_questions());
}

#[test]
fn equal_digests_with_different_accuracies_are_decided_by_the_weights() {
    let mut harness = Harness::new(refereed(3), &["a", "b", "c"]);
    let miners: Vec<String> = harness
        .open(1)
        .into_iter()
        .flatten()
        .map(|m| m.to_string())
        .collect();
    let Row::Measured(right) = HONEST.row() else {
        unreachable!()
    };
    let boast = Measurement {
        accuracy: Accuracy::from_hundredths(9_001).unwrap(),
        ..right
    };
    for (miner, found) in miners.iter().zip([boast, boast, right]) {
        let (_, lease, _) = harness.request(miner).unwrap();
        harness.submit(miner, lease, Row::Measured(found));
    }
    let (question, open) = harness.board.questions_of(&id(&miners[0])).next().unwrap();
    let digest = right.digest;
    assert_eq!(open.what, Question::Weights { digest });
    harness.handle(Event::Received { question });
    let (job, task) = harness.board.referee_tasks().next().unwrap();
    assert_eq!((job, *task), (JobId(1), RefereeTask::Accuracy { digest }));
    let found = right.accuracy;
    let ruling = Ruling::Accuracy { found };
    let verdict = verdict(&harness.handle(Event::Ruled { job, ruling }));
    let findings = [Finding::Refuted, Finding::Refuted, Finding::Agreed];
    assert_eq!(
        (verdict.consensus, &verdict.findings[..]),
        (Some(right), &findings[..])
    );
}

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
            },
            "it is still open",
        ),
        (
            Event::Collect {
                job: JobId(7),
                digest,
                miners: vec![id("a")],
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
