//! A dispute between answers of a job: what their miners testified, and what to ask next.

use std::collections::BTreeMap;

use naschain_core::{Digest, StepState};
use serde::{Deserialize, Serialize};

use crate::{Finding, Question, QuestionId, RefereeTask, Ruling};

/// Maximum number of states in a question: the steps to choose from shrink to a 63rd with each.
const MAX_POINTS: u64 = 64;

/// The dispute of a job in its present round.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Dispute {
    /// The seats whose miners are compared at present; `None` while no dispute is under way.
    pub(super) sides: Option<[usize; 2]>,
    /// The states that miners have testified, by seat and step.
    testimony: BTreeMap<usize, BTreeMap<u64, StepState>>,
    /// The open question of each seat.
    pub(super) asked: BTreeMap<usize, QuestionId>,
    /// The questions for checkpoints and weights that were answered.
    pub(super) received: Vec<Question>,
    rulings: Vec<(RefereeTask, Ruling)>,
    /// The seats whose answers have lost, and why.
    pub(super) lost: BTreeMap<usize, Finding>,
}

/// The steps at which two answers of a job can part, and what their states there must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DisputableSteps {
    /// The step that the job begins after.
    pub(super) first: u64,
    /// The step that it ends with.
    pub(super) last: u64,
    /// The state's digest after the first; `None` if it is the state of the initial weights.
    pub(super) first_state: Option<Digest>,
    /// Whether the training goes on after the last; the digest that miners answer is then that of the
    /// state instead of the chain.
    pub(super) pauses: bool,
}

impl DisputableSteps {
    pub(super) fn of_whole_training(last: u64) -> DisputableSteps {
        DisputableSteps {
            first: 0,
            last,
            first_state: None,
            pauses: false,
        }
    }

    /// Whether two states after a step are the same. Those with which a part begins are, as
    /// [`DisputableSteps::admits`] has checked: the digest of the state fixes the chain too, whatever
    /// the miners say about it.
    fn are_same(&self, step: u64, one: &StepState, other: &StepState) -> bool {
        one == other || step == self.first && self.first_state.is_some()
    }

    /// Whether states after these steps are complete, begin with the state that the job begins with, and
    /// end with the digest that their miner answered.
    pub(super) fn admits(&self, steps: &[u64], states: &[StepState], answered: Digest) -> bool {
        let is_admitted = |(step, state): (&u64, &StepState)| {
            let found = if self.pauses {
                state.state
            } else {
                state.chain
            };
            let begins =
                *step != self.first || self.first_state.is_none_or(|agreed| state.state == agreed);
            begins && (*step != self.last || found == answered)
        };
        steps.len() == states.len() && steps.iter().zip(states).all(is_admitted)
    }
}

/// What has to happen next in a dispute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NextMove {
    /// The miners of these seats have to answer questions.
    Ask(Vec<(usize, Question)>),
    /// The referee has to compute something.
    Call(RefereeTask),
    /// The referee has computed this already, in the comparison of other miners.
    Decide(RefereeTask, Ruling),
}

impl Dispute {
    /// The next move where the two sides have different digests.
    pub(super) fn next_move(&self, sides: [usize; 2], disputable: &DisputableSteps) -> NextMove {
        let known = sides.map(|seat| self.testimony.get(&seat));
        let [Some(first), Some(second)] = known else {
            let missing = sides.into_iter().zip(known);
            let missing = missing.filter(|(_, known)| known.is_none());
            let steps = spread(disputable.first, disputable.last);
            let ask = missing.map(|(seat, _)| (seat, states(steps.clone())));
            return NextMove::Ask(ask.collect());
        };
        // Both have testified the last step, where they differ, as their digests do.
        let mut before = None;
        let mut parting = disputable.last;
        for (step, state) in first {
            match second.get(step) {
                Some(other) if disputable.are_same(*step, state, other) => {
                    before = Some((*step, *state));
                }
                Some(_) => {
                    parting = *step;
                    break;
                }
                None => {}
            }
        }
        let Some((agreed, state)) = before else {
            return self.referee(RefereeTask::Step {
                step: parting,
                before: None,
            });
        };
        if agreed + 1 < parting {
            let points = spread(agreed + 1, parting - 1);
            let sides = sides.into_iter().zip([first, second]);
            let ask = sides.filter_map(|(seat, known)| {
                let missing = points.iter().filter(|step| !known.contains_key(step));
                let missing: Vec<u64> = missing.copied().collect();
                (!missing.is_empty()).then(|| (seat, states(missing)))
            });
            return NextMove::Ask(ask.collect());
        }
        let checkpoint = Question::Checkpoint {
            step: agreed,
            state,
        };
        let task = RefereeTask::Step {
            step: parting,
            before: Some(state),
        };
        self.with_delivery(sides[0], checkpoint, task)
    }

    /// The next move where the two sides have this digest and different accuracies.
    pub(super) fn next_move_on_accuracy(&self, sides: [usize; 2], digest: Digest) -> NextMove {
        let weights = Question::Weights { digest };
        self.with_delivery(sides[0], weights, RefereeTask::Accuracy { digest })
    }

    /// Asks a seat for what the referee needs for a task, and calls it once that was received.
    fn with_delivery(&self, seat: usize, question: Question, task: RefereeTask) -> NextMove {
        if self.received.contains(&question) {
            self.referee(task)
        } else {
            NextMove::Ask(vec![(seat, question)])
        }
    }

    fn referee(&self, task: RefereeTask) -> NextMove {
        let ruling = self.rulings.iter().find(|(earlier, _)| *earlier == task);
        match ruling {
            Some((task, ruling)) => NextMove::Decide(*task, *ruling),
            None => NextMove::Call(task),
        }
    }

    /// Records what a miner testified.
    pub(super) fn testify(&mut self, seat: usize, asked: &[u64], states: &[StepState]) {
        let known = self.testimony.entry(seat).or_default();
        known.extend(asked.iter().copied().zip(states.iter().copied()));
    }

    pub(super) fn record(&mut self, task: RefereeTask, ruling: Ruling) {
        self.rulings.push((task, ruling));
    }

    /// What a miner testified about a step.
    pub(super) fn state(&self, seat: usize, step: u64) -> Option<StepState> {
        self.testimony.get(&seat)?.get(&step).copied()
    }
}

fn states(steps: Vec<u64>) -> Question {
    Question::States { steps }
}

/// The steps from `from` to `to`; if these are too many, some of them, evenly spread with both ends.
fn spread(from: u64, to: u64) -> Vec<u64> {
    let span = to - from;
    if span < MAX_POINTS {
        return (from..=to).collect();
    }
    let at = |point: u64| {
        let offset = u128::from(span) * u128::from(point) / u128::from(MAX_POINTS - 1);
        from + u64::try_from(offset).unwrap_or(span)
    };
    (0..MAX_POINTS).map(at).collect()
}

#[cfg(test)]
mod tests;
