//! What becomes of a seat whose miner has gone or given up.

use super::JobBoard;
use super::batch::{Late, Seat};
use super::batches::SeatRef;
use super::lease::Lease;
use crate::{Action, LeaseId};

impl JobBoard {
    /// A lease ended without an answer: its seat goes to others, unless that has happened too
    /// often to this batch.
    pub(super) fn abandon(&mut self, lease: LeaseId, ended: &Lease, actions: &mut Vec<Action>) {
        let (place, owner) = (ended.place, self.roster[ended.miner].owner);
        let Some(batch) = self.batches.get_mut(place.batch()) else {
            return;
        };
        batch.abandoned = batch.abandoned.saturating_add(1);
        if !batch.had.contains(&owner) {
            batch.had.push(owner);
        }
        let most = u64::from(self.rules.max_retries) * self.rules.seats as u64;
        if u64::from(batch.abandoned) > most {
            return self.give_up(place.batch(), actions);
        }
        self.vacate(lease, ended, actions);
    }

    /// Takes the worker of an ended lease from its seat. If it was alone there, somebody else is
    /// drawn for it.
    pub(super) fn vacate(&mut self, lease: LeaseId, ended: &Lease, actions: &mut Vec<Action>) {
        let place = ended.place;
        let Some(batch) = self.batches.get_mut(place.batch()) else {
            return;
        };
        batch.undrawn -= usize::from(ended.is_undrawn);
        let mut watched = None;
        match &mut batch.seats[place.seat()] {
            Seat::Leased { worker, copy } => match copy.take() {
                Some(second) => {
                    if worker.lease == lease {
                        *worker = second;
                    }
                    watched = Some(worker.lease);
                }
                None => return self.redraw(place, actions),
            },
            Seat::Answered { late, .. } => {
                let training = |late: &Late| matches!(late, Late::Training(w) if w.lease == lease);
                if late.as_deref().is_some_and(training) {
                    *late = None;
                }
            }
            Seat::Open { .. } | Seat::Dealt { .. } => {}
        }
        if let Some(watched) = watched {
            self.watch(watched);
        }
        self.renew_tickets(place);
    }

    /// Draws somebody else for a seat, among those present that had none in the batch; without any
    /// it is open to all. Whoever held it may now have another seat of the batch.
    pub(super) fn redraw(&mut self, place: SeatRef, actions: &mut Vec<Action>) {
        let mut stream = self.seats_stream(place.batch());
        let Some(batch) = self.batches.get_mut(place.batch()) else {
            return;
        };
        batch.redrawn += 1;
        self.open_seats.forget(&batch.seats[place.seat()]);
        self.roster
            .forget_dealt(&batch.seats[place.seat()], batch.flops);
        let others = batch.seats.iter().enumerate();
        let others = others.filter(|(seat, _)| *seat != place.seat());
        let held = others.flat_map(|(_, seat)| seat.holders());
        let held = held.map(|miner| self.roster[miner].owner);
        let shunned: Vec<_> = held.chain(batch.had.iter().copied()).collect();
        let drawn = self.roster.draw(&mut stream, &shunned);
        batch.seats[place.seat()] = match drawn {
            Some(to) => {
                self.roster.deal(to, place, batch.dealing, batch.flops);
                Seat::Dealt { to }
            }
            None => Seat::Open {
                ticket: self.open_seats.push(place),
            },
        };
        self.renew_tickets(place);
        match drawn {
            Some(miner) => actions.push(Action::Redrawn {
                batch: place.id,
                seat: place.seat(),
                miner: self.roster.name(miner),
            }),
            None => self.fill_open(place.batch(), actions),
        }
    }

    /// Lets everybody look again at what waits of a batch in which somebody has lost a seat.
    pub(super) fn renew_tickets(&mut self, place: SeatRef) {
        let Some(batch) = self.batches.get_mut(place.batch()) else {
            return;
        };
        for (number, seat) in batch.seats.iter_mut().enumerate() {
            if let Seat::Open { ticket } = seat {
                self.open_seats.remove(*ticket);
                *ticket = self.open_seats.push(place.batch().seat(number));
            }
        }
        if let Some(ticket) = batch.takeable.take() {
            self.takeable.remove(ticket);
        }
        self.queue_take_over(place.batch());
    }
}
