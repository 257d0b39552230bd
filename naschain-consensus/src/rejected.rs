use serde::{Deserialize, Serialize};

use crate::{Ending, JobId, LeaseId, MinerId};

/// Why the board refused an event. A refused event has changed nothing.
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
    /// The lease has ended: it expired, was replaced by a later one, or its job has ended.
    #[error("{lease} of miner {miner} has ended{}; its answer does not count, ask for new work", because(*.reason))]
    StaleLease {
        /// The miner that named it.
        miner: MinerId,
        /// The lease.
        lease: LeaseId,
        /// Why it ended; `None` when it was another miner's, or is too long ago to be known.
        #[serde(rename = "why")]
        reason: Option<Ending>,
    },
    /// No lease of this number was ever granted.
    #[error("{lease} was never granted; the latest is number {latest}")]
    UnknownLease {
        /// The lease named.
        lease: LeaseId,
        /// The number of leases granted so far.
        latest: u64,
    },
    /// The lease is another miner's.
    #[error("{lease} is not miner {miner}'s")]
    NotYours {
        /// The miner that named it.
        miner: MinerId,
        /// The lease.
        lease: LeaseId,
    },
    /// The miner's latest answer came a second time; the first one counts.
    #[error("miner {miner} has answered under {lease} already; the first answer counts")]
    AlreadyAnswered {
        /// The miner.
        miner: MinerId,
        /// The lease.
        lease: LeaseId,
    },
    /// The number of a new job was used before.
    #[error("{job} was opened before; every job needs a number of its own")]
    #[serde(rename = "duplicate_batch")]
    DuplicateJob {
        /// The job.
        #[serde(rename = "batch")]
        job: JobId,
    },
    /// A miner registers with no room for a job.
    #[error("capacity of miner {miner} is {capacity}; it must be 1 to 1024")]
    Capacity {
        /// The miner.
        miner: MinerId,
        /// The value found.
        capacity: u32,
    },
}

fn because(reason: Option<Ending>) -> String {
    reason.map_or_else(String::new, |reason| format!(" because {reason}"))
}
