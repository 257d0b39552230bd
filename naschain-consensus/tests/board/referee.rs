//! Disputes between answers.

use naschain_consensus::{Action, Event, Finding, JobId, Question, RefereeTask, Row, Ruling};
use naschain_core::{Accuracy, Measurement};

use crate::harness::{Harness, id};
use crate::training::{HONEST, STEPS, Training, answered, lie, pursue, refereed, verdict};

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
fn whoever_leaves_during_a_dispute_has_its_time_and_then_loses() {
    let mut harness = Harness::new(refereed(3), &["a", "b", "c"]);
    let trainings = [lie(1, 9), HONEST, HONEST];
    let (miners, _) = answered(&mut harness, 1, &trainings);
    let leave = |seat: usize| Event::Leave {
        miner: id(&miners[seat]),
    };
    for seat in [1, 0] {
        let actions = harness.handle(leave(seat));
        let is_over = |action: &Action| matches!(action, Action::Unanswered { .. });
        assert!(!actions.iter().any(is_over), "{actions:?}");
    }
    let mut actions = Vec::new();
    while harness.board.has_open_questions() {
        harness.now = harness.board.next_deadline().unwrap().0;
        actions.extend(harness.handle(Event::Tick));
    }
    // The lie is out of time first. Nobody else can be drawn to confirm the other answer, of which one
    // miner is still there.
    let Some(Action::Closed { verdict, .. }) = actions.last() else {
        panic!("{actions:?}");
    };
    let findings = [Finding::Silent, Finding::Agreed, Finding::Agreed];
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
