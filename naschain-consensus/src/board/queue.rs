//! Queues in which each miner keeps its own position.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::job::Seat;
use super::jobs::SeatRef;

/// Items that wait to be taken, oldest first.
///
/// Tickets only grow. A miner that could take none of the items below a ticket need not look at
/// those again: whatever makes an item available to it gives the item a new ticket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Queue<T> {
    waiting: BTreeMap<u64, T>,
    next_ticket: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Queue {
            waiting: BTreeMap::new(),
            next_ticket: 0,
        }
    }
}

impl<T: Copy> Queue<T> {
    pub(super) fn push(&mut self, item: T) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiting.insert(ticket, item);
        ticket
    }

    pub(super) fn remove(&mut self, ticket: u64) {
        self.waiting.remove(&ticket);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn next_ticket(&self) -> u64 {
        self.next_ticket
    }

    pub(super) fn from(&self, ticket: u64) -> impl Iterator<Item = (u64, T)> {
        self.waiting
            .range(ticket..)
            .map(|(ticket, item)| (*ticket, *item))
    }
}

impl Queue<SeatRef> {
    /// Removes a seat if it is in this queue.
    pub(super) fn forget(&mut self, seat: &Seat) {
        if let Seat::Open { ticket } = seat {
            self.remove(*ticket);
        }
    }
}
