//! Why a job board refuses an event.

use serde::{Deserialize, Serialize};

use crate::{Ending, JobId, LeaseId, MinerId, QuestionId};

/// Why the board rejected an event. A rejected event has changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "rejected", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rejected {
    /// The miner has not joined, or has left.
    #[error("miner {miner} has not joined; it must join first")]
    UnknownMiner {
        /// The miner.
        miner: MinerId,
    },
    /// The lease has ended.
    #[error("{lease} of miner {miner} has ended{}; its answer does not count, request new work", because(*.reason))]
    StaleLease {
        /// The miner that named it.
        miner: MinerId,
        /// The lease.
        lease: LeaseId,
        /// Why it ended; `None` if that is too long ago to be known.
        #[serde(rename = "why")]
        reason: Option<Ending>,
    },
    /// No lease with this id was ever granted.
    #[error("{lease} was never granted; the latest is lease {latest}")]
    UnknownLease {
        /// The lease named.
        lease: LeaseId,
        /// The id of the latest lease.
        latest: u64,
    },
    /// The lease belongs to another miner.
    #[error("{lease} belongs to another miner than {miner}")]
    NotYours {
        /// The miner that named it.
        miner: MinerId,
        /// The lease.
        lease: LeaseId,
    },
    /// The answer was submitted before; the first submission counts.
    #[error("miner {miner} has answered under {lease} already; the first answer counts")]
    AlreadyAnswered {
        /// The miner.
        miner: MinerId,
        /// The lease.
        lease: LeaseId,
    },
    /// The id of a new job was used before.
    #[error("{job} was opened before; every job needs an id of its own")]
    #[serde(rename = "duplicate_batch")]
    DuplicateJob {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
    },
    /// The secret of the run was revealed before the run's end, twice, or wrongly.
    #[error(
        "the secret may be revealed once, when the run is finished, and must have the hash in its specification"
    )]
    Secret,
    /// The search cannot be extended.
    #[error("the search cannot be extended to {generations} generations: {reason}")]
    Extension {
        /// The number of generations asked for.
        generations: usize,
        /// Why not.
        reason: String,
    },
    /// A miner registered with an invalid capacity.
    #[error("capacity of miner {miner} is {capacity}; it must be 1 to 1024")]
    Capacity {
        /// The miner.
        miner: MinerId,
        /// The value found.
        capacity: u32,
    },
    /// No open question has this id: it was never asked, or it was answered or its time is over.
    #[error(
        "{question} is not open; it was answered, its time is over or it was never asked (the latest is question {latest})"
    )]
    NoQuestion {
        /// The question named.
        question: QuestionId,
        /// The id of the latest question.
        latest: u64,
    },
    /// The question was asked of another miner.
    #[error("{question} was asked of another miner than {miner}")]
    NotAsked {
        /// The miner that named it.
        miner: MinerId,
        /// The question.
        question: QuestionId,
    },
    /// The question asks for something else: states are given by `testify`, checkpoints and weights are
    /// delivered.
    #[error("{question} asks for {asked}, and not for {answered}")]
    OtherAnswer {
        /// The question.
        question: QuestionId,
        /// What it asks for.
        asked: String,
        /// What was answered.
        answered: String,
    },
    /// The referee was not asked for this about the job.
    #[error("the referee was not asked for such a result about {job}")]
    NoRuling {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
    },
    /// The weights of a job cannot be collected.
    #[error("the weights of {job} cannot be collected: {reason}")]
    NotCollectable {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
        /// Why not.
        reason: String,
    },
    /// There is no place for a new miner: all are held by miners that work or answered lately.
    #[error(
        "no place for miner {miner}: {max_miners} miners have joined and are not idle; join again later, or raise reputation.max_miners"
    )]
    Full {
        /// The miner.
        miner: MinerId,
        /// The maximum number of miners.
        max_miners: u32,
    },
}

fn because(reason: Option<Ending>) -> String {
    reason.map_or_else(String::new, |reason| format!(" because {reason}"))
}
