//! Why a job board refuses an event.

use serde::{Deserialize, Serialize};

use crate::{Ending, JobId, LeaseId, MinerId};

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
