//! What a miner that asks is given.

use super::JobBoard;
use super::job::Seat;
use super::jobs::{JobRef, SeatRef};
use super::roster::MinerIndex;
use crate::{Action, Ending, Grant, LeaseId, NoWork};

/// So often in a row a miner that has forgotten its job gets it again; then others get it, since
/// the job may be what makes it forget.
const MOST_AGAIN: u32 = 3;

impl JobBoard {
    pub(super) fn request(&mut self, miner: MinerIndex, actions: &mut Vec<Action>) {
        self.roster.add_present(miner);
        if self.give_again(miner, actions) {
            return;
        }
        if let Some(place) = self.next_dealt_to(miner, actions) {
            return self.give_waiting(miner, place, Grant::Dealt, actions);
        }
        let no_more = self.no_more_for(miner);
        let may_open = no_more.is_none() || self.is_first(miner, no_more);
        if may_open && let Some(place) = self.next_open_for(miner) {
            return self.give_waiting(miner, place, Grant::Open, actions);
        }
        if no_more.is_none() && self.give_anothers(miner, actions) {
            return;
        }
        let why = self.no_work(no_more, may_open);
        self.touch(miner);
        actions.push(Action::Idle {
            miner: self.roster.name(miner),
            why,
        });
    }

    /// While nothing is known of the network's pace, everybody's first answer is wanted.
    pub(super) fn is_first(&self, miner: MinerIndex, no_more: Option<NoWork>) -> bool {
        no_more == Some(NoWork::PaceUnknown) && !self.roster[miner].has_answered
    }

    /// Why a miner gets nothing, when nothing was found for it.
    pub(super) fn no_work(&self, no_more: Option<NoWork>, may_open: bool) -> NoWork {
        match no_more {
            Some(why) if !self.takeable.is_empty() || !(may_open || self.open_seats.is_empty()) => {
                why
            }
            _ if self.roster.dealt_seats() > 0 || !self.open_seats.is_empty() => {
                NoWork::NotForThisMiner
            }
            _ => NoWork::NothingWaits,
        }
    }

    /// Gives a miner a seat that another one was dealt and has not started on, or lags at.
    fn give_anothers(&mut self, miner: MinerIndex, actions: &mut Vec<Action>) -> bool {
        if let Some((place, from)) = self.next_taken_over_by(miner) {
            let grant = Grant::TakenOver {
                from: self.roster.name(from),
            };
            self.give_waiting(miner, place, grant, actions);
            // The owner that lost its seat may now take another one of the job.
            if self.roster.siblings(from) > 1 {
                self.renew_tickets(place);
            }
            return true;
        }
        if let Some((place, from)) = self.next_copied_by(miner) {
            let grant = Grant::Copied {
                from: self.roster.name(from),
            };
            self.grant(miner, place, grant, actions);
            return true;
        }
        false
    }

    /// A miner that asks and has no room for more has forgotten one of its jobs: it gets its
    /// oldest one again, unless that is wanted no more.
    fn give_again(&mut self, miner: MinerIndex, actions: &mut Vec<Action>) -> bool {
        while self.roster[miner].leases.len() >= self.roster[miner].capacity as usize {
            let old = self.roster[miner].leases[0];
            let Some(live) = self.leases.get(&old) else {
                return false;
            };
            let (place, times) = (live.place, live.asked_again);
            if times < MOST_AGAIN && self.is_alone(place, old) {
                let before = self.end_lease(old, Ending::AskedAgain);
                self.grant(miner, place, Grant::Again { old }, actions);
                if let Some(live) = self.leases.get_mut(&LeaseId(self.granted)) {
                    live.is_undrawn = before.is_some_and(|before| before.is_undrawn);
                    live.asked_again = times + 1;
                }
                return true;
            }
            if let Some(ended) = self.revoke(old, Ending::Forgotten, actions) {
                self.abandon(old, &ended, actions);
            }
        }
        false
    }

    /// Whether nobody but the holder of this lease works, or has worked, at the seat.
    fn is_alone(&self, place: SeatRef, lease: LeaseId) -> bool {
        let job = self.jobs.get(place.job());
        let seat = job.and_then(|job| job.seats.get(place.seat()));
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
        if has_trust && self.is_single(place.job()) && !self.is_trusted(miner) {
            self.widen(place.job(), actions);
        }
    }

    /// The oldest seat that this miner was dealt and that is still waiting for it. One of a job in
    /// which its owner has come to have another is dealt to somebody else.
    fn next_dealt_to(&mut self, miner: MinerIndex, actions: &mut Vec<Action>) -> Option<SeatRef> {
        while let Some((place, dealing)) = self.roster[miner].dealt.pop_front() {
            if self.is_dealt_to(place, dealing, miner) {
                if self.may_sit(miner, place) {
                    return Some(place);
                }
                self.redraw(place, actions);
            }
        }
        None
    }

    pub(super) fn is_dealt_to(&self, place: SeatRef, dealing: u32, miner: MinerIndex) -> bool {
        let Some(job) = self.jobs.get(place.job()) else {
            return false;
        };
        // A dealing before this one may have had more seats.
        let seat = job.seats.get(place.seat());
        job.dealing == dealing && matches!(seat, Some(Seat::Dealt { to }) if *to == miner)
    }

    fn next_open_for(&mut self, miner: MinerIndex) -> Option<SeatRef> {
        let seen = self.roster[miner].seen_open;
        let mut candidates = self.open_seats.from(seen);
        let found = candidates.find(|(_, place)| self.may_sit(miner, *place));
        let seen = found.map_or(self.open_seats.next_ticket(), |(ticket, _)| ticket);
        self.roster[miner].seen_open = seen;
        found.map(|(_, place)| place)
    }

    /// A seat dealt to somebody else that this miner may take over, and from whom: of the oldest
    /// job that has one.
    fn next_taken_over_by(&mut self, miner: MinerIndex) -> Option<(SeatRef, MinerIndex)> {
        let seen = self.roster[miner].seen_takeable;
        let mut queued = self.takeable.from(seen);
        let found =
            queued.find_map(|(ticket, job)| Some((ticket, self.slowest_dealt(miner, job)?)));
        let seen = found.map_or(self.takeable.next_ticket(), |(ticket, _)| ticket);
        self.roster[miner].seen_takeable = seen;
        found.map(|(_, seat)| seat)
    }

    /// The seat of a job that waits for the miner with the longest backlog, among those that
    /// this one may take over. A job in which it had a seat before is left to others.
    fn slowest_dealt(&self, miner: MinerIndex, job: JobRef) -> Option<(SeatRef, MinerIndex)> {
        let open = self.jobs.get(job)?;
        if open.had.contains(&self.roster[miner].owner) {
            return None;
        }
        let mut slowest = None;
        for (number, seat) in open.seats.iter().enumerate() {
            let Seat::Dealt { to } = seat else { continue };
            let place = job.seat(number);
            let backlog_ms = self.backlog_ms(*to);
            let is_slower = slowest.is_none_or(|(_, _, most_ms)| backlog_ms > most_ms);
            if is_slower && self.may_sit(miner, place) {
                slowest = Some((place, *to, backlog_ms));
            }
        }
        slowest.map(|(place, from, _)| (place, from))
    }

    /// Whether no other seat of the job is held by this miner's owner.
    pub(super) fn may_sit(&self, miner: MinerIndex, place: SeatRef) -> bool {
        let owner = self.roster[miner].owner;
        self.jobs.get(place.job()).is_some_and(|job| {
            let mut others = job.seats.iter().enumerate();
            others.all(|(index, seat)| {
                index == place.seat() || seat.holders().all(|held| self.roster[held].owner != owner)
            })
        })
    }

    /// Puts a job in the queue of those of which a seat may be taken over, or takes it out.
    pub(super) fn queue_take_over(&mut self, job: JobRef) {
        let rules = &self.rules;
        let Some(open) = self.jobs.get_mut(job) else {
            return;
        };
        let may_be = rules.take_over
            && open.undrawn < rules.max_taken_over
            && open.seats.iter().any(Seat::is_dealt);
        match open.takeable {
            None if may_be => open.takeable = Some(self.takeable.push(job)),
            Some(ticket) if !may_be => {
                self.takeable.remove(ticket);
                open.takeable = None;
            }
            _ => {}
        }
    }
}
