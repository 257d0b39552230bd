//! Seats whose miner is away or has given up.

use super::JobBoard;
use super::job::{Late, OpenJob, Seat};
use super::jobs::SeatRef;
use super::lease::Lease;
use crate::{Action, Ending, LeaseId};

impl JobBoard {
    /// Passes the seat of a lease that ended without an answer to others, or ends the job if that
    /// has happened too often.
    pub(super) fn abandon(
        &mut self,
        lease: LeaseId,
        ended: &Lease,
        reason: Ending,
        actions: &mut Vec<Action>,
    ) {
        let (seat, owner) = (ended.seat, self.roster[ended.miner].owner);
        let excused = self.does_not_count(ended.miner, seat.job());
        self.note_former_owner(seat.job(), owner);
        let Some(job) = self.jobs.get_mut(seat.job()) else {
            return;
        };
        job.abandoned = job.abandoned.saturating_add(u32::from(!excused));
        // A miner that held a seat by heartbeats delayed the others.
        let held_ms = match reason {
            Ending::TooLong => self.now.since(ended.granted),
            _ => 0,
        };
        self.strike(ended.miner, held_ms);
        let job = self.jobs.get(seat.job());
        if !excused && job.is_some_and(|job| self.is_given_up(job)) {
            self.give_up(seat.job(), actions);
        }
        // The job is still open if it is disputed.
        self.release(lease, ended, actions);
        self.withdraw_seats(ended.miner, actions);
    }

    /// Whether more leases of a job ended without an answer than may.
    pub(super) fn is_given_up(&self, job: &OpenJob) -> bool {
        let max_abandoned = u64::from(self.rules.max_retries) * self.rules.seats as u64;
        u64::from(job.abandoned) > max_abandoned
    }

    /// Removes the worker of an ended lease from its seat, and reassigns the seat if it was the
    /// only one.
    pub(super) fn release(&mut self, lease: LeaseId, ended: &Lease, actions: &mut Vec<Action>) {
        let seat = ended.seat;
        let Some(job) = self.jobs.get_mut(seat.job()) else {
            return;
        };
        job.self_selected -= usize::from(ended.is_self_selected);
        let mut watched = None;
        match &mut job.seats[seat.number()] {
            Seat::Leased {
                worker,
                speculative,
            } => match speculative.take() {
                Some(second) => {
                    if worker.lease == lease {
                        *worker = second;
                    }
                    watched = Some(worker.lease);
                }
                None => return self.reassign(seat, actions),
            },
            Seat::Answered { late, .. } => {
                let training = |late: &Late| matches!(late, Late::Training(w) if w.lease == lease);
                if late.as_deref().is_some_and(training) {
                    *late = None;
                }
            }
            Seat::Open { .. } | Seat::Assigned { .. } => {}
        }
        if let Some(watched) = watched {
            self.update_estimate(watched);
        }
        self.renew_tickets(seat);
    }

    /// Draws a miner for a seat from those present whose owners have had none in the job; if there
    /// is none, the seat is open. The former holder may now get another seat of the job.
    ///
    /// To a miner drawn at random, not to the first that requests work: miners that do not train
    /// are always first.
    pub(super) fn reassign(&mut self, seat: SeatRef, actions: &mut Vec<Action>) {
        let mut stream = self.seats_stream(seat.job());
        let doubts_unproven = self.doubts_unproven();
        let Some(job) = self.jobs.get_mut(seat.job()) else {
            return;
        };
        job.reassignments += 1;
        self.open_seats.forget(&job.seats[seat.number()]);
        self.roster.unassign(&job.seats[seat.number()], job.flops);
        let others = job.seats.iter().enumerate();
        let others = others.filter(|(number, _)| *number != seat.number());
        let held = others.flat_map(|(_, other)| other.holders());
        let held = held.map(|miner| self.roster[miner].owner);
        let excluded: Vec<_> = held.chain(job.former_owners.iter().copied()).collect();
        let limited = self.rules.reputation.is_some();
        // A job waits only once for a miner without a record.
        let drawn = if doubts_unproven {
            self.roster.draw_proven(&mut stream, &excluded)
        } else {
            None
        };
        let drawn = drawn.or_else(|| self.roster.draw(&mut stream, &excluded, limited));
        job.seats[seat.number()] = match drawn {
            Some(to) => {
                self.roster.assign(to, seat, job.round, job.flops);
                Seat::Assigned { to }
            }
            None => Seat::Open {
                ticket: self.open_seats.push(seat),
            },
        };
        self.renew_tickets(seat);
        match drawn {
            Some(miner) => actions.push(Action::Reassigned {
                job: seat.id,
                seat: seat.number(),
                miner: self.roster.name(miner),
            }),
            None => self.fill_open_seats(seat.job(), actions),
        }
    }

    /// Makes the waiting seats of a job visible again to all miners, because an owner that lost a
    /// seat may now take one of them.
    pub(super) fn renew_tickets(&mut self, seat: SeatRef) {
        let Some(job) = self.jobs.get_mut(seat.job()) else {
            return;
        };
        for (number, state) in job.seats.iter_mut().enumerate() {
            if let Seat::Open { ticket } = state {
                self.open_seats.remove(*ticket);
                *ticket = self.open_seats.push(seat.job().seat(number));
            }
        }
        if let Some(ticket) = job.stealable.take() {
            self.stealable.remove(ticket);
        }
        self.queue_stealable(seat.job());
    }
}
