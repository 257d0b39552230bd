use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::BatchId;

/// One seat of one open batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SeatRef {
    pub(super) batch: BatchId,
    pub(super) seat: usize,
}

/// Seats that wait for somebody to start on them, oldest first.
///
/// Tickets only grow. A miner that has seen all seats below a ticket and could take none of them
/// need not look at them again: whatever would let it take one gives that seat a new ticket.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Queue {
    seats: BTreeMap<u64, SeatRef>,
    next_ticket: u64,
}

impl Queue {
    pub(super) fn push(&mut self, seat: SeatRef) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.seats.insert(ticket, seat);
        ticket
    }

    pub(super) fn remove(&mut self, ticket: u64) {
        self.seats.remove(&ticket);
    }

    pub(super) fn next_ticket(&self) -> u64 {
        self.next_ticket
    }

    pub(super) fn from(&self, ticket: u64) -> impl Iterator<Item = (u64, SeatRef)> {
        self.seats
            .range(ticket..)
            .map(|(ticket, seat)| (*ticket, *seat))
    }
}
