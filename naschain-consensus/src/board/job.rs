//! A job, its seats and their states.

use serde::{Deserialize, Serialize};

use super::roster::{MinerIndex, OwnerIndex};
use crate::{JobId, LeaseId, Row};

/// An open job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct OpenJob {
    pub(super) id: JobId,
    pub(super) flops: u64,
    /// Counted from 0.
    pub(super) round: u32,
    pub(super) seats: Vec<Seat>,
    /// Number of times that one of its seats was reassigned.
    pub(super) reassignments: u32,
    /// Number of miners of this round that were not drawn for their seats: they stole them or train
    /// them speculatively.
    pub(super) self_selected: usize,
    /// Its ticket in the queue of jobs with a seat that may be stolen.
    pub(super) stealable: Option<u64>,
    /// Number of its leases that ended without an answer, in all rounds.
    pub(super) abandoned: u32,
    /// Owners that had a seat in an earlier round, or abandoned one.
    pub(super) former_owners: Vec<OwnerIndex>,
}

/// The state of a seat.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Seat {
    /// No miner could be drawn for it. The ticket is its position in the queue of open seats.
    Open { ticket: u64 },
    /// A miner was drawn for it and has not started.
    Assigned { to: MinerIndex },
    /// A miner trains, and perhaps a second one speculatively.
    Leased {
        worker: Worker,
        speculative: Option<Worker>,
    },
    /// A miner has answered; the other one that trained for the seat, if any, is late.
    Answered {
        miner: MinerIndex,
        row: Box<Row>,
        late: Option<Box<Late>>,
    },
}

/// A miner that trains, and its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Worker {
    pub(super) miner: MinerIndex,
    pub(super) lease: LeaseId,
}

/// The second answer for a seat, which is compared with the consensus.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Late {
    Training(Worker),
    Answered { miner: MinerIndex, row: Row },
}

impl Seat {
    /// The miners that hold the seat, whether assigned, training or done: up to two.
    pub(super) fn holders(&self) -> impl Iterator<Item = MinerIndex> {
        let (first, second) = match self {
            Seat::Open { .. } => (None, None),
            Seat::Assigned { to } => (Some(*to), None),
            Seat::Leased {
                worker,
                speculative,
            } => (
                Some(worker.miner),
                speculative.map(|speculative| speculative.miner),
            ),
            Seat::Answered { miner, late, .. } => {
                let late = late.as_deref().map(|late| match late {
                    Late::Training(worker) => worker.miner,
                    Late::Answered { miner, .. } => *miner,
                });
                (Some(*miner), late)
            }
        };
        first.into_iter().chain(second)
    }

    pub(super) fn is_assigned(&self) -> bool {
        matches!(self, Seat::Assigned { .. })
    }

    /// The answer that fills the seat.
    pub(super) fn answer(&self) -> Option<(MinerIndex, &Row)> {
        match self {
            Seat::Answered { miner, row, .. } => Some((*miner, row)),
            Seat::Open { .. } | Seat::Assigned { .. } | Seat::Leased { .. } => None,
        }
    }
}
