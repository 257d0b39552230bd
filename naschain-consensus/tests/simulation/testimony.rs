//! Simulated trainings, step by step; what miners testify about them; and the referee.

use naschain_consensus::{
    Action, Event, Finding, JobId, Question, QuestionId, RefereeTask, Ruling,
};
use naschain_core::{Digest, Measurement, StepState};

use super::{Activity, Behaviour, SimEvent, World, truth};

/// Steps of a simulated epoch.
const EPOCH: u64 = 10;
/// Time in which a miner looks up a state, or the referee computes a step.
const LOOK_UP_MS: u64 = 1_000;

/// What a miner can testify about an answer: the training of a job, which it changed at a step if it
/// lied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Story {
    pub(super) job: JobId,
    /// The step whose state it changed, and how.
    pub(super) lie: Option<(u64, u64)>,
    /// By how much it changed the accuracy.
    pub(super) boast_hundredths: u32,
}

fn mix(a: u64, b: u64) -> u64 {
    // The finaliser of SplitMix64.
    let mut z = a ^ b.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn digest(value: u64) -> Digest {
    let mut digest = Digest([0; 32]);
    digest.0[..8].copy_from_slice(&mix(value, 1).to_le_bytes());
    digest
}

/// The state after a step, from the one before; of the initial state, from nothing.
fn next(seed: u64, job: JobId, step: u64, steps: u64, before: Option<StepState>) -> StepState {
    let read = |digest: Digest| u64::from_le_bytes(digest.0[..8].try_into().unwrap());
    let of_job = mix(seed, job.0);
    let (state, chain) = before.map_or((0, 0), |before| (read(before.state), read(before.chain)));
    let state = mix(mix(of_job, step), state);
    let is_epoch = step.is_multiple_of(EPOCH) || step == steps;
    StepState {
        chain: match before {
            Some(before) if !is_epoch => before.chain,
            _ => digest(mix(chain, state)),
        },
        state: digest(state),
    }
}

impl Story {
    fn honest(job: JobId) -> Story {
        Story {
            job,
            lie: None,
            boast_hundredths: 0,
        }
    }

    /// The state after each step from 0 on.
    fn states(self, seed: u64, steps: u64) -> Vec<StepState> {
        let mut states: Vec<StepState> = Vec::new();
        for step in 0..=steps {
            let mut state = next(seed, self.job, step, steps, states.last().copied());
            if let Some((_, how)) = self.lie.filter(|(at, _)| *at == step) {
                state = StepState {
                    chain: digest(mix(how, step)),
                    state: digest(how),
                };
            }
            states.push(state);
        }
        states
    }

    /// The digest of the training.
    pub(super) fn digest(self, seed: u64, steps: u64) -> Digest {
        self.states(seed, steps)[steps as usize].chain
    }
}

impl World {
    /// The result of an honest training.
    pub(crate) fn right(&self, job: JobId) -> Measurement {
        let seed = self.options.seed;
        let mut right = truth(seed, job);
        if let Some(referee) = self.options.rules.referee {
            right.digest = Story::honest(job).digest(seed, referee.steps);
        }
        right
    }

    /// What a miner will testify about its answer to a job.
    pub(super) fn story(&mut self, index: usize, job: JobId, steps: u64) -> Story {
        let how = self.stream.next_u64();
        let honest = Story::honest(job);
        let lie = |at| Story {
            lie: Some((at, how)),
            ..honest
        };
        let miner = &self.miners[index];
        match miner.behaviour {
            Behaviour::Farmer if miner.answers <= 30 => honest,
            Behaviour::Liar | Behaviour::Guesser | Behaviour::Farmer => lie(0),
            Behaviour::EarlyLiar | Behaviour::Mute => lie(1),
            Behaviour::MiddleLiar | Behaviour::Contradictor => lie(steps / 2),
            Behaviour::LateLiar => lie(steps),
            Behaviour::OneWeight => lie(how % (steps + 1)),
            Behaviour::Embellisher => Story {
                boast_hundredths: 1,
                ..honest
            },
            Behaviour::OtherTraining => Story::honest(JobId(job.0 + 1_000_000)),
            // All members of a coalition tell the same lie.
            Behaviour::Colluder => Story {
                lie: Some((1, job.0)),
                ..honest
            },
            _ => honest,
        }
    }

    /// Tells miners what they are asked, and the referee what to compute.
    pub(super) fn pass_on(&mut self, actions: &[Action]) {
        for action in actions {
            match action {
                Action::Asked {
                    miner, question, ..
                } => {
                    let mut miners = self.miners.iter();
                    let index = miners.position(|other| other.name == *miner).unwrap();
                    self.at(self.now + LOOK_UP_MS, SimEvent::Asked(index, *question));
                }
                Action::RefereeCalled { job, task } => {
                    let (job, ruling) = (*job, self.ruling(*job, *task));
                    let ruled = Event::Ruled { job, ruling };
                    self.at(self.now + LOOK_UP_MS, SimEvent::Genomaster(ruled));
                }
                _ => {}
            }
        }
    }

    fn ruling(&self, job: JobId, task: RefereeTask) -> Ruling {
        let seed = self.options.seed;
        let steps = self.options.rules.referee.unwrap().steps;
        match task {
            RefereeTask::Step { step, before } => Ruling::Step {
                step,
                found: next(seed, job, step, steps, before),
            },
            _ => Ruling::Accuracy {
                found: truth(seed, job).accuracy,
            },
        }
    }

    /// A miner answers a question, and repeats that until it counts.
    pub(super) fn on_question(&mut self, index: usize, question: QuestionId) {
        let Some(open) = self.board.question(question).cloned() else {
            return;
        };
        self.at(
            self.now + self.options.poll_ms,
            SimEvent::Asked(index, question),
        );
        let miner = &self.miners[index];
        if miner.behaviour == Behaviour::Mute || matches!(miner.activity, Activity::Dead) {
            return;
        }
        let seed = self.options.seed;
        let steps = self.options.rules.referee.unwrap().steps;
        let last = steps as usize;
        let Some(mut story) = self.stories.get(&(index, open.job)).copied() else {
            return;
        };
        if miner.behaviour == Behaviour::Contradictor {
            story.lie = None;
        }
        let mut known = story.states(seed, steps);
        if miner.behaviour == Behaviour::Saboteur {
            let first = known[0];
            known[1..last].fill(first);
        }
        match open.what {
            Question::States { steps } => {
                let testimony = Event::Testify {
                    miner: miner.name.clone(),
                    question,
                    states: steps.iter().map(|step| known[*step as usize]).collect(),
                };
                self.send(SimEvent::ToBoard(index, testimony));
            }
            Question::Checkpoint { step, state } if known[step as usize] == state => {
                self.send(SimEvent::Genomaster(Event::Received { question }));
            }
            Question::Weights { digest } if known[last].chain == digest => {
                self.send(SimEvent::Genomaster(Event::Received { question }));
            }
            _ => {}
        }
    }

    /// Asserts that an honest miner that answered what it was asked is never outvoted, nor refuted.
    pub(super) fn check_honest_wins(&self, actions: &[Action]) {
        for action in actions {
            let Action::Closed { job, rows, verdict } = action else {
                continue;
            };
            let right = self.right(*job);
            for ((miner, row), finding) in rows.iter().zip(&verdict.findings) {
                let is_right = row.measurement() == Some(&right);
                if is_right && miner.as_str().starts_with("Honest") && *finding != Finding::Silent {
                    assert_eq!(verdict.consensus, Some(right), "{job} {rows:?} {verdict:?}");
                    assert_eq!(*finding, Finding::Agreed, "{job} {rows:?} {verdict:?}");
                }
            }
        }
    }
}
