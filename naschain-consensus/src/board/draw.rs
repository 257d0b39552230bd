//! Open seats are drawn among the miners that request work, rather than given to the first.

use super::JobBoard;
use super::job::Seat;
use super::jobs::SeatRef;
use super::roster::{MinerIndex, OwnerIndex};
use crate::{Action, Millis};

impl JobBoard {
    /// Whether open seats are drawn.
    pub(super) fn draws_open_seats(&self) -> bool {
        let reputation = self.rules.reputation;
        reputation.is_some_and(|reputation| reputation.draw_wait_ms > 0)
    }

    /// Schedules the draw of the open seats, if this miner may hold one of them. Returns when it
    /// will be.
    pub(super) fn schedule_draw(&mut self, miner: MinerIndex) -> Option<Millis> {
        let wait_ms = self.rules.reputation?.draw_wait_ms;
        if wait_ms == 0 {
            return None;
        }
        self.next_open_for(miner)?;
        Some(*self.draw_at.get_or_insert(self.now.plus(wait_ms)))
    }

    /// Draws a miner for each open seat, preferably of an owner that had no seat in its job. A seat
    /// for which none can be drawn stays open.
    pub(super) fn draw_open_seats(&mut self, actions: &mut Vec<Action>) {
        self.draw_at = None;
        let open: Vec<SeatRef> = self.open_seats.from(0).map(|(_, seat)| seat).collect();
        for seat in open {
            self.draw_open_seat(seat, actions);
        }
    }

    fn draw_open_seat(&mut self, seat: SeatRef, actions: &mut Vec<Action>) {
        let mut stream = self.seats_stream(seat.job());
        let Some(job) = self.jobs.get_mut(seat.job()) else {
            return;
        };
        let held = job.seats.iter().flat_map(Seat::holders);
        let held: Vec<OwnerIndex> = held.map(|miner| self.roster[miner].owner).collect();
        let excluded: Vec<OwnerIndex> = held.iter().chain(&job.former_owners).copied().collect();
        let limited = self.rules.reputation.is_some();
        let fresh = self.roster.draw(&mut stream, &excluded, limited);
        let drawn = fresh.or_else(|| self.roster.draw(&mut stream, &held, limited));
        let Some(to) = drawn else {
            return;
        };
        job.reassignments += 1;
        self.open_seats.forget(&job.seats[seat.number()]);
        job.seats[seat.number()] = Seat::Assigned { to };
        self.roster.assign(to, seat, job.round, job.flops);
        self.renew_tickets(seat);
        actions.push(Action::Reassigned {
            job: seat.id,
            seat: seat.number(),
            miner: self.roster.name(to),
        });
    }
}
