//! The referee: what a job board asks miners whose answers differ, and what the referee computes.

use naschain_core::{Accuracy, Digest, StepState};
use serde::{Deserialize, Serialize};

use crate::{Agreement, Error, JobId, Millis, MinerId, Rule};

/// Decides between answers that differ by recomputing one step of the training, instead of by majority,
/// so that one honest miner among the seats of a job is enough. (After the dispute protocol of Arun et
/// al., "Verde: Verification via Refereed Delegation for Machine Learning Programs", 2025.)
///
/// The miners on both sides are asked for their states at some steps until the first step is known at
/// which they differ. Whoever has another state there than the referee loses, however many others
/// gave the same answer.
///
/// Needs [`Rule::Exact`], since only trainings that are equal to the bit can be compared step by step,
/// and at least two seats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Referee {
    /// Number of steps of a training, at least 1. A training has a state after each of the steps 0 to
    /// this number; that after step 0 is the initial one.
    pub steps: u64,
    /// Minimum time in milliseconds to answer a question, at least 1. Where a job takes long the time
    /// is twice its average duration, since a miner may have to train again in order to answer.
    pub answer_ms: u64,
    /// One job of so many, drawn at random, gets one more seat once all its answers agree, because
    /// miners that all lie alike cause no dispute; 0 for none.
    pub spot_check_every: u32,
}

impl Referee {
    /// A referee for trainings of this many steps, with two minutes to answer and a spot check of one
    /// job in a hundred.
    pub fn new(steps: u64) -> Self {
        Referee {
            steps,
            answer_ms: 120_000,
            spot_check_every: 100,
        }
    }

    pub(crate) fn validate(&self, seats: usize, agreement: &Agreement) -> Result<(), Error> {
        if agreement.rule != Rule::Exact {
            let (found, expected) = (agreement.rule, "exact where there is a referee");
            return Err(Error::out_of_range("agreement.rule", found, expected));
        }
        if seats < 2 {
            let expected = "at least 2 where there is a referee";
            return Err(Error::out_of_range("seats", seats, expected));
        }
        for (name, value) in [
            ("referee.steps", self.steps),
            ("referee.answer_ms", self.answer_ms),
        ] {
            if value == 0 {
                return Err(Error::out_of_range(name, value, "at least 1"));
            }
        }
        Ok(())
    }
}

/// What a miner is asked about a training that it has answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Question {
    /// The states of its training at these steps, which it gives by
    /// [`Event::Testify`](crate::Event::Testify).
    States {
        /// The steps, ascending.
        steps: Vec<u64>,
    },
    /// The weights, statistics and velocities after a step, which it delivers to the caller. The caller
    /// checks them and reports [`Event::Received`](crate::Event::Received).
    Checkpoint {
        /// The step.
        step: u64,
        /// Its state, by which the checkpoint is checked.
        state: StepState,
    },
    /// What its training ended with, which it delivers to the caller as it does a checkpoint: the trained
    /// weights, or, where the job is a part after which the training goes on, the checkpoint there.
    Weights {
        /// The digest that it answered.
        digest: Digest,
    },
}

/// A question that is not answered yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenQuestion {
    /// The miner that was asked.
    pub miner: MinerId,
    /// The job.
    pub job: JobId,
    /// The question.
    pub what: Question,
    /// When the time to answer is over.
    pub until: Millis,
}

/// What the referee has to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "compute", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum RefereeTask {
    /// One step of the training.
    Step {
        /// The step whose state to compute: the first one at which two trainings differ.
        step: u64,
        /// The state after the step before, whose checkpoint was received; `None` for step 0, the
        /// initial state.
        before: Option<StepState>,
    },
    /// The accuracy of the trained weights that were received.
    Accuracy {
        /// The digest of the training.
        digest: Digest,
    },
}

/// What the referee has computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "computed", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Ruling {
    /// The state after a step.
    Step {
        /// The step.
        step: u64,
        /// Its state.
        found: StepState,
    },
    /// The accuracy of the trained weights.
    Accuracy {
        /// The accuracy.
        found: Accuracy,
    },
}
