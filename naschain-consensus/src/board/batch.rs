use super::roster::{MinerIndex, OwnerIndex};
use crate::{LeaseId, Row};

/// An open batch.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) flops: u64,
    /// 0 for the first dealing.
    pub(super) dealing: u32,
    pub(super) seats: Vec<Seat>,
    /// Who had a seat in earlier dealings.
    pub(super) had: Vec<OwnerIndex>,
}

/// How far a seat has come.
#[derive(Clone, Debug)]
pub(super) enum Seat {
    /// Nobody has started on it. The ticket is its place in the queue of dealt seats if it was
    /// dealt to somebody, and in that of open seats if not.
    Waiting {
        dealt_to: Option<MinerIndex>,
        ticket: u64,
    },
    /// A miner trains.
    Leased { miner: MinerIndex, lease: LeaseId },
    /// A miner has answered.
    Answered { miner: MinerIndex, row: Box<Row> },
}

impl Seat {
    /// Who the seat is taken by, be it dealt, at work or done.
    pub(super) fn holder(&self) -> Option<MinerIndex> {
        match self {
            Seat::Waiting { dealt_to, .. } => *dealt_to,
            Seat::Leased { miner, .. } | Seat::Answered { miner, .. } => Some(*miner),
        }
    }
}
