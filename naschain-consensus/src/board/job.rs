use serde::{Deserialize, Serialize};

use super::roster::{MinerIndex, OwnerIndex};
use crate::{JobId, LeaseId, Row};

/// An open job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) id: JobId,
    pub(super) flops: u64,
    /// 0 for the first dealing.
    pub(super) round: u32,
    pub(super) seats: Vec<Seat>,
    /// How often one of its seats was drawn anew.
    pub(super) reassignments: u32,
    /// How many miners of this dealing were not drawn for their seats: they took over or copy.
    pub(super) self_selected: usize,
    /// Its place in the queue of jobs of which a seat may be taken over.
    pub(super) stealable: Option<u64>,
    /// How many of its leases ended without an answer, in all dealings.
    pub(super) abandoned: u32,
    /// Who had a seat in earlier dealings, or abandoned one.
    pub(super) former_owners: Vec<OwnerIndex>,
}

/// How far a seat has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Seat {
    /// Nobody was drawn for it; the ticket is its place in the queue of open seats.
    Open { ticket: u64 },
    /// A miner was drawn for it and has not started.
    Assigned { to: MinerIndex },
    /// A miner trains, and perhaps a second one that may be faster.
    Leased {
        worker: Worker,
        speculative: Option<Worker>,
    },
    /// A miner has answered; another one that was given the seat too is late.
    Answered {
        miner: MinerIndex,
        row: Box<Row>,
        late: Option<Box<Late>>,
    },
}

/// A miner at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Worker {
    pub(super) miner: MinerIndex,
    pub(super) lease: LeaseId,
}

/// The second answer for a seat: a check on the first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Late {
    Training(Worker),
    Answered { miner: MinerIndex, row: Row },
}

impl Seat {
    /// Who the seat is taken by, be it dealt, at work or done: one miner or two.
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
