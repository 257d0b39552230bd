use naschain_core::Measurement;
use serde::{Deserialize, Serialize};

use super::roster::{MinerIndex, OwnerIndex};
use crate::{LeaseId, Row};

/// An open batch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Batch {
    pub(super) flops: u64,
    /// 0 for the first dealing.
    pub(super) dealing: u32,
    pub(super) seats: Vec<Seat>,
    /// How many seats of this dealing were taken over or copied.
    pub(super) taken_over: usize,
    /// Who had a seat in earlier dealings.
    pub(super) had: Vec<OwnerIndex>,
    /// The answer, if this batch tests its miners.
    pub(super) known: Option<Box<Measurement>>,
}

/// How far a seat has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Seat {
    /// Nobody has started on it. The ticket is its place in the queue of dealt seats if it was
    /// dealt to somebody, and in that of open seats if not.
    Waiting {
        dealt_to: Option<MinerIndex>,
        ticket: u64,
    },
    /// A miner trains, and perhaps a second one that may be faster.
    Leased {
        worker: Worker,
        copy: Option<Worker>,
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
            Seat::Waiting { dealt_to, .. } => (*dealt_to, None),
            Seat::Leased { worker, copy } => (Some(worker.miner), copy.map(|copy| copy.miner)),
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

    /// The answer that fills the seat.
    pub(super) fn answer(&self) -> Option<(MinerIndex, &Row)> {
        match self {
            Seat::Answered { miner, row, .. } => Some((*miner, row)),
            Seat::Waiting { .. } | Seat::Leased { .. } => None,
        }
    }
}
