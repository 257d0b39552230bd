//! Trainings of honest miners and liars, step by step, and disputes about them.

use naschain_consensus::{
    Action, Event, Question, Referee, RefereeTask, Row, Rules, Ruling, Verdict,
};
use naschain_core::{Accuracy, Digest, Measurement, StepState};

use crate::harness::{Harness, exact, id, with};

pub(crate) const STEPS: u64 = 1_000;

/// A training that is honest up to a step, where it becomes that of a liar.
#[derive(Clone, Copy)]
pub(crate) struct Training {
    liar: u8,
    from: u64,
}

pub(crate) const HONEST: Training = Training {
    liar: 0,
    from: STEPS + 1,
};

impl Training {
    pub(crate) fn state(self, step: u64) -> StepState {
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

    pub(crate) fn row(self) -> Row {
        Row::Measured(Measurement {
            accuracy: Accuracy::from_hundredths(9_000).unwrap(),
            params: 1_000,
            flops: 1_000,
            digest: self.state(STEPS).chain,
        })
    }
}

pub(crate) fn lie(liar: u8, from: u64) -> Training {
    Training { liar, from }
}

pub(crate) fn refereed(seats: usize) -> Rules {
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
pub(crate) fn answered(
    harness: &mut Harness,
    job: u64,
    trainings: &[Training],
) -> (Vec<String>, Vec<Action>) {
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
pub(crate) fn pursue(
    harness: &mut Harness,
    miners: &[(String, Training)],
    silent: &[&str],
) -> Vec<Action> {
    let mut all = Vec::new();
    loop {
        let open = miners.iter().find_map(|(miner, training)| {
            let name = id(miner);
            let mut asked = harness.board.questions_of(&name);
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

pub(crate) fn verdict(actions: &[Action]) -> Verdict {
    let closed = actions.iter().find_map(|action| match action {
        Action::Closed { verdict, .. } => Some(verdict.clone()),
        _ => None,
    });
    closed.unwrap_or_else(|| panic!("{actions:?}"))
}
