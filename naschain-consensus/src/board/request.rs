//! What a miner that asks is given.

use super::JobBoard;
use super::batch::Seat;
use super::queue::SeatRef;
use super::roster::MinerIndex;
use crate::{Action, BatchId, Grant, LeaseId};

impl JobBoard {
    pub(super) fn request(&mut self, miner: MinerIndex, actions: &mut Vec<Action>) {
        self.roster.add_present(miner);
        if self.give_again(miner, actions) {
            return;
        }
        if let Some(place) = self.next_dealt_to(miner) {
            return self.give_waiting(miner, place, Grant::Dealt, actions);
        }
        if let Some(place) = self.next_open_for(miner) {
            return self.give_waiting(miner, place, Grant::Open, actions);
        }
        if let Some((place, from)) = self.next_taken_over_by(miner) {
            let grant = Grant::TakenOver {
                from: self.roster.name(from),
            };
            self.give_waiting(miner, place, grant, actions);
            // The owner that lost its seat may now take another one of the batch.
            if self.roster.siblings(from) > 1 {
                self.renew_tickets(place.batch);
            }
            return;
        }
        if let Some((place, from)) = self.next_copied_by(miner) {
            let grant = Grant::Copied {
                from: self.roster.name(from),
            };
            return self.grant(miner, place, grant, actions);
        }
        self.touch(miner);
        actions.push(Action::Idle {
            miner: self.roster.name(miner),
        });
    }

    /// A miner that asks and has no room for more has forgotten one of its jobs: it gets its
    /// oldest one again, unless that is wanted no more.
    fn give_again(&mut self, miner: MinerIndex, actions: &mut Vec<Action>) -> bool {
        while self.roster[miner].leases.len() >= self.roster[miner].capacity as usize {
            let old = self.roster[miner].leases[0];
            let Some(live) = self.leases.get(&old) else {
                return false;
            };
            let place = live.place;
            if self.is_alone(place, old) {
                self.end_lease(old);
                self.grant(miner, place, Grant::Again { old }, actions);
                return true;
            }
            self.revoke(old, actions);
            self.vacate(place, old);
        }
        false
    }

    /// Whether nobody but the holder of this lease works, or has worked, at the seat.
    fn is_alone(&self, place: SeatRef, lease: LeaseId) -> bool {
        let batch = self.batches.get(&place.batch);
        let seat = batch.and_then(|batch| batch.seats.get(place.seat));
        matches!(seat, Some(Seat::Leased { worker, copy: None }) if worker.lease == lease)
    }

    fn give_waiting(
        &mut self,
        miner: MinerIndex,
        place: SeatRef,
        grant: Grant,
        actions: &mut Vec<Action>,
    ) {
        self.grant(miner, place, grant, actions);
        let has_trust = self.rules.trust.is_some();
        if has_trust && self.is_single(place.batch) && !self.is_trusted(miner) {
            self.widen(place.batch, actions);
        }
    }

    /// The oldest seat that this miner was dealt and that is still waiting for it.
    fn next_dealt_to(&mut self, miner: MinerIndex) -> Option<SeatRef> {
        while let Some((place, dealing)) = self.roster[miner].dealt.pop_front() {
            if self.is_dealt_to(place, dealing, miner) {
                return Some(place);
            }
        }
        None
    }

    pub(super) fn is_dealt_to(&self, place: SeatRef, dealing: u32, miner: MinerIndex) -> bool {
        let Some(batch) = self.batches.get(&place.batch) else {
            return false;
        };
        // A dealing before this one may have had more seats.
        let seat = batch.seats.get(place.seat);
        batch.dealing == dealing
            && matches!(seat, Some(Seat::Waiting { dealt_to, .. }) if *dealt_to == Some(miner))
    }

    fn next_open_for(&mut self, miner: MinerIndex) -> Option<SeatRef> {
        let seen = self.roster[miner].seen_open;
        let mut candidates = self.open_seats.from(seen);
        let found = candidates.find(|(_, place)| self.may_sit(miner, *place));
        let seen = found.map_or(self.open_seats.next_ticket(), |(ticket, _)| ticket);
        self.roster[miner].seen_open = seen;
        found.map(|(_, place)| place)
    }

    /// The oldest seat dealt to somebody else that this miner may take over, and from whom. A
    /// batch that is dealt again because nobody agreed is left to those it was dealt to, unless
    /// this miner had no seat in it before.
    fn next_taken_over_by(&mut self, miner: MinerIndex) -> Option<(SeatRef, MinerIndex)> {
        if !self.rules.take_over {
            return None;
        }
        let owner = self.roster[miner].owner;
        let seen = self.roster[miner].seen_dealt;
        let found = self.dealt_seats.from(seen).find(|(_, place)| {
            let batch = self.batches.get(&place.batch);
            let closed = batch.is_none_or(|batch| {
                batch.had.contains(&owner) || batch.taken_over >= self.rules.max_taken_over
            });
            !closed && self.may_sit(miner, *place)
        });
        let seen = found.map_or(self.dealt_seats.next_ticket(), |(ticket, _)| ticket);
        self.roster[miner].seen_dealt = seen;
        let (_, place) = found?;
        let from = self.batches.get(&place.batch)?.seats[place.seat]
            .holders()
            .next()?;
        Some((place, from))
    }

    /// Whether no other seat of the batch is held by this miner's owner.
    pub(super) fn may_sit(&self, miner: MinerIndex, place: SeatRef) -> bool {
        let owner = self.roster[miner].owner;
        self.batches.get(&place.batch).is_some_and(|batch| {
            let mut others = batch.seats.iter().enumerate();
            others.all(|(index, seat)| {
                index == place.seat || seat.holders().all(|held| self.roster[held].owner != owner)
            })
        })
    }

    /// Makes a seat nobody's. Whoever held it may now take any seat of the batch, so all of them
    /// get new tickets.
    pub(super) fn reopen(&mut self, place: SeatRef) {
        if let Some(batch) = self.batches.get_mut(&place.batch) {
            let seat = &mut batch.seats[place.seat];
            match *seat {
                Seat::Waiting {
                    dealt_to: Some(_),
                    ticket,
                } => self.dealt_seats.remove(ticket),
                Seat::Waiting { ticket, .. } => self.open_seats.remove(ticket),
                Seat::Leased { .. } | Seat::Answered { .. } => {}
            }
            let ticket = self.open_seats.push(place);
            *seat = Seat::Waiting {
                dealt_to: None,
                ticket,
            };
        }
        self.renew_tickets(place.batch);
    }

    pub(super) fn renew_tickets(&mut self, id: BatchId) {
        let Some(batch) = self.batches.get_mut(&id) else {
            return;
        };
        for (seat, waiting) in batch.seats.iter_mut().enumerate() {
            if let Seat::Waiting { dealt_to, ticket } = waiting {
                let queue = match dealt_to {
                    Some(_) => &mut self.dealt_seats,
                    None => &mut self.open_seats,
                };
                queue.remove(*ticket);
                *ticket = queue.push(SeatRef { batch: id, seat });
            }
        }
    }
}
