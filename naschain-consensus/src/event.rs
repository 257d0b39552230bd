//! Inputs of a job board.

use naschain_core::{Digest, StepState};
use serde::{Deserialize, Serialize};

use crate::{JobId, LeaseId, MinerId, QuestionId, Row, Ruling, TrackRecord};

/// The epochs of a training that a job consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingPart {
    /// The number of epochs before it.
    pub from_epoch: u32,
    /// The epoch after which it ends.
    pub until_epoch: u32,
    /// The digest of the state that it begins with, on which the miners of an earlier job agreed;
    /// `None` where it begins with the training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_state: Option<Digest>,
}

/// An input of the board.
///
/// The serialised names are those of the first version, so that old journals can be read: a job is
/// stored as `batch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Event {
    /// A miner joins. Joining again has no effect.
    Join {
        /// The miner.
        miner: MinerId,
    },
    /// A miner joins with an owner and a capacity, or changes them.
    Register {
        /// The miner.
        miner: MinerId,
        /// Its owner, who gets at most one seat of a job; `None` makes the miner its own owner.
        owner: Option<MinerId>,
        /// Number of jobs that it trains at once, 1 to 1,024.
        capacity: u32,
    },
    /// A new job.
    Open {
        /// Its id, never used before.
        #[serde(rename = "batch")]
        job: JobId,
        /// Its size: the FLOPs of the whole training, or any number proportional to its duration.
        flops: u64,
    },
    /// A new job that trains a part of the epochs, from the state after an earlier job.
    OpenPart {
        /// Its id, never used before.
        #[serde(rename = "batch")]
        job: JobId,
        /// The size of the part, as for [`Event::Open`].
        flops: u64,
        /// The part.
        part: TrainingPart,
        /// Miners that have trained up to its start. They are preferred for all seats but the last one
        /// of several.
        holders: Vec<MinerId>,
    },
    /// A miner requests work.
    Request {
        /// The miner.
        miner: MinerId,
    },
    /// A miner reports that it still trains.
    Heartbeat {
        /// The miner.
        miner: MinerId,
        /// Its lease.
        lease: LeaseId,
        /// Training epochs finished so far.
        epoch: u32,
    },
    /// A miner submits its answer.
    Submit {
        /// The miner.
        miner: MinerId,
        /// Its lease.
        lease: LeaseId,
        /// Its answer.
        row: Row,
    },
    /// The genomaster says what is known of a miner from its other runs. It counts for a miner that
    /// has joined and of which this run knows nothing yet.
    Introduce {
        /// The miner.
        miner: MinerId,
        /// What is known of it.
        record: TrackRecord,
    },
    /// A miner leaves; its leases end.
    Leave {
        /// The miner.
        miner: MinerId,
    },
    /// The genomaster reveals the secret of its run, which the board does not use.
    Reveal {
        /// The secret.
        secret: Digest,
    },
    /// The genomaster extends the search to more generations, which the board does not use.
    Extend {
        /// The new number of generations.
        generations: usize,
    },
    /// A miner gives the states of its training that it was asked for.
    Testify {
        /// The miner.
        miner: MinerId,
        /// The question, of the kind [`Question::States`](crate::Question::States).
        question: QuestionId,
        /// The state at each step that was asked for.
        states: Vec<StepState>,
    },
    /// The genomaster has received and checked the checkpoint or the weights that a miner was asked
    /// for.
    Received {
        /// The question, of the kind [`Question::Checkpoint`](crate::Question::Checkpoint) or [`Question::Weights`](crate::Question::Weights).
        question: QuestionId,
    },
    /// The referee has computed what [`Action::RefereeCalled`](crate::Action::RefereeCalled) asked for.
    Ruled {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// What it found.
        ruling: Ruling,
    },
    /// The genomaster wants the trained weights of a job that has closed. The miners are asked one
    /// after the other until one delivers.
    Collect {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// The digest of its training.
        digest: Digest,
        /// Miners that answered with this digest, in the order in which to ask them.
        miners: Vec<MinerId>,
        /// Whether another job waits for it, which continues this one's training; each miner then has
        /// less time.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_awaited: bool,
    },
    /// Time has passed. A tick that returns no action has changed nothing.
    Tick,
}
