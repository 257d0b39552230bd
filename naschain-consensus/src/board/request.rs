//! How a request for work is answered.

use super::JobBoard;
use super::job::Seat;
use super::jobs::{JobRef, SeatRef};
use super::lease::Lease;
use super::roster::MinerIndex;
use crate::{Action, Ending, Grant, LeaseId, Millis, NoWork};

/// Maximum number of times in a row that a miner which lost its job gets it again. Then others get
/// it, since the job may be what makes the miner crash.
const MAX_REISSUES: u32 = 3;

impl JobBoard {
    pub(super) fn request(&mut self, miner: MinerIndex, actions: &mut Vec<Action>) {
        let is_full = self.roster[miner].leases.len() >= self.roster[miner].capacity as usize;
        if !is_full && self.refuse(miner, actions) {
            return;
        }
        if self.blocked_until(miner).is_none() {
            self.roster.add_present(miner);
        }
        if self.reissue(miner, actions) {
            return;
        }
        if is_full && self.refuse(miner, actions) {
            return;
        }
        if let Some(seat) = self.next_assigned_to(miner, actions) {
            return self.give_seat(miner, seat, Grant::Assigned, actions);
        }
        let refusal = self.self_selection_refusal(miner);
        if refusal == Some(NoWork::Probation)
            && let Some((seat, from)) = self.trial_seat(miner)
        {
            let from = self.roster.name(from);
            return self.give_seat(miner, seat, Grant::Trial { from }, actions);
        }
        let may_take_open = self.may_take_open(miner, refusal);
        if may_take_open && let Some(seat) = self.next_open_for(miner) {
            return self.give_seat(miner, seat, Grant::Open, actions);
        }
        if refusal.is_none() && self.steal_or_speculate(miner, actions) {
            return;
        }
        let held_up = self.end_held_up_jobs(actions);
        let reason = match (self.schedule_draw(miner), held_up) {
            (Some(until), _) => NoWork::Draw { until },
            (None, Some(until)) => NoWork::HeldUp { until },
            (None, None) => self.no_work_reason(refusal, may_take_open),
        };
        self.touch(miner);
        actions.push(Action::Idle {
            miner: self.roster.name(miner),
            reason,
        });
    }

    /// Refuses a miner any seat, if its record or that of its owner says so.
    fn refuse(&mut self, miner: MinerIndex, actions: &mut Vec<Action>) -> bool {
        let Some(reason) = self.refusal_by_record(miner) else {
            return false;
        };
        self.withdraw_seats(miner, actions);
        self.touch(miner);
        actions.push(Action::Idle {
            miner: self.roster.name(miner),
            reason,
        });
        true
    }

    /// Whether a miner may take an open seat at once. Where miners without a record are limited, open seats are
    /// drawn.
    pub(super) fn may_take_open(&self, miner: MinerIndex, refusal: Option<NoWork>) -> bool {
        let may_select = matches!(refusal, None | Some(NoWork::Probation));
        !self.draws_open_seats() && (may_select || self.is_first_answer_wanted(miner, refusal))
    }

    /// While the network's pace is unknown, the first answer of every miner is wanted.
    fn is_first_answer_wanted(&self, miner: MinerIndex, refusal: Option<NoWork>) -> bool {
        refusal == Some(NoWork::PaceUnknown) && !self.roster[miner].has_answered
    }

    /// Why a miner gets no work, if no seat was found for it.
    pub(super) fn no_work_reason(&self, refusal: Option<NoWork>, may_take_open: bool) -> NoWork {
        match refusal {
            Some(reason)
                if !self.stealable.is_empty() || !(may_take_open || self.open_seats.is_empty()) =>
            {
                reason
            }
            _ if self.roster.assigned_seats() > 0 || !self.open_seats.is_empty() => {
                NoWork::NotEligible
            }
            _ => NoWork::NothingPending,
        }
    }

    /// Gives a miner a seat that is assigned to another one and not started, or that of a
    /// straggler.
    fn steal_or_speculate(&mut self, miner: MinerIndex, actions: &mut Vec<Action>) -> bool {
        if let Some((seat, from)) = self.next_stealable_for(miner) {
            let grant = Grant::Stolen {
                from: self.roster.name(from),
            };
            self.give_seat(miner, seat, grant, actions);
            // The owner that lost its seat may now take another one of the job.
            if self.roster.siblings(from) > 1 {
                self.renew_tickets(seat);
            }
            return true;
        }
        if let Some((seat, from)) = self.next_straggler_for(miner) {
            let grant = Grant::Speculative {
                from: self.roster.name(from),
            };
            self.grant(miner, seat, grant, actions);
            return true;
        }
        false
    }

    /// A miner that requests work at full capacity has lost one of its jobs: it gets the oldest one
    /// again, unless that is not needed any more.
    fn reissue(&mut self, miner: MinerIndex, actions: &mut Vec<Action>) -> bool {
        while self.roster[miner].leases.len() >= self.roster[miner].capacity as usize {
            let old = self.roster[miner].leases[0];
            let Some(active) = self.leases.get(&old) else {
                return false;
            };
            let (seat, times) = (active.seat, active.reissued);
            let limit = self.reissue_limit(active);
            let in_time = limit.is_none_or(|limit| self.now < limit);
            if times < MAX_REISSUES && in_time && self.is_sole_worker(seat, old) {
                let before = self.end_lease(old, Ending::Reissued);
                self.grant(miner, seat, Grant::Reissued { old }, actions);
                self.continue_lease(LeaseId(self.granted), before.as_deref(), limit);
                return true;
            }
            if let Some(ended) = self.revoke(old, Ending::Forgotten, actions) {
                self.abandon(old, &ended, Ending::Forgotten, actions);
            }
        }
        false
    }

    /// When the last of the leases that a miner without a good record gets for a seat ends: otherwise
    /// it could hold the seat for several times as long by requesting work again.
    fn reissue_limit(&self, active: &Lease) -> Option<Millis> {
        let is_limited = self.doubts_unproven() && !self.roster[active.miner].record.is_good();
        is_limited.then(|| self.latest_end(active))
    }

    /// Continues an ended lease under a new one, which has to end by `limit` if there is one.
    fn continue_lease(&mut self, lease: LeaseId, before: Option<&Lease>, limit: Option<Millis>) {
        let (Some(active), Some(before)) = (self.leases.get_mut(&lease), before) else {
            return;
        };
        active.is_self_selected = before.is_self_selected;
        active.reissued = before.reissued + 1;
        if let Some(limit) = limit {
            active.granted = before.granted;
            let expires = active.expires.min(limit);
            self.lease_deadlines.remove(&(active.expires, lease));
            self.lease_deadlines.insert((expires, lease));
            active.expires = expires;
        }
    }

    /// Whether no other miner works, or has worked, at the seat of this lease.
    fn is_sole_worker(&self, seat: SeatRef, lease: LeaseId) -> bool {
        let job = self.jobs.get(seat.job());
        let state = job.and_then(|job| job.seats.get(seat.number()));
        matches!(state, Some(Seat::Leased { worker, speculative: None }) if worker.lease == lease)
    }

    fn give_seat(
        &mut self,
        miner: MinerIndex,
        seat: SeatRef,
        grant: Grant,
        actions: &mut Vec<Action>,
    ) {
        self.grant(miner, seat, grant, actions);
        let has_trust = self.rules.trust.is_some();
        if has_trust && self.is_single(seat.job()) && !self.is_trusted(miner) {
            self.widen(seat.job(), actions);
        }
    }

    /// The oldest seat that is assigned to this miner and waits for it. If its owner has got
    /// another seat of the same job since, the seat is reassigned.
    fn next_assigned_to(
        &mut self,
        miner: MinerIndex,
        actions: &mut Vec<Action>,
    ) -> Option<SeatRef> {
        while let Some((seat, round)) = self.roster[miner].assigned.pop_front() {
            if self.is_assigned_to(seat, round, miner) {
                if self.may_hold(miner, seat) {
                    return Some(seat);
                }
                self.reassign(seat, actions);
            }
        }
        None
    }

    pub(super) fn is_assigned_to(&self, seat: SeatRef, round: u32, miner: MinerIndex) -> bool {
        let Some(job) = self.jobs.get(seat.job()) else {
            return false;
        };
        // The earlier round may have had more seats.
        let state = job.seats.get(seat.number());
        job.round == round && matches!(state, Some(Seat::Assigned { to }) if *to == miner)
    }

    pub(super) fn next_open_for(&mut self, miner: MinerIndex) -> Option<SeatRef> {
        let cursor = self.roster[miner].open_cursor;
        let mut candidates = self.open_seats.from(cursor);
        let found = candidates.find(|(_, seat)| self.may_hold(miner, *seat));
        let cursor = found.map_or(self.open_seats.next_ticket(), |(ticket, _)| ticket);
        self.roster[miner].open_cursor = cursor;
        found.map(|(_, seat)| seat)
    }

    /// A seat of the oldest job that has one assigned to another miner which this one may steal,
    /// and that miner.
    fn next_stealable_for(&mut self, miner: MinerIndex) -> Option<(SeatRef, MinerIndex)> {
        let cursor = self.roster[miner].stealable_cursor;
        let mut queued = self.stealable.from(cursor);
        let found =
            queued.find_map(|(ticket, job)| Some((ticket, self.slowest_assigned(miner, job)?)));
        let cursor = found.map_or(self.stealable.next_ticket(), |(ticket, _)| ticket);
        self.roster[miner].stealable_cursor = cursor;
        found.map(|(_, seat)| seat)
    }

    /// Of the seats of a job that this miner may steal, the one whose miner has the longest
    /// backlog. A job in which its owner had a seat before is left to others.
    pub(super) fn slowest_assigned(
        &self,
        miner: MinerIndex,
        job: JobRef,
    ) -> Option<(SeatRef, MinerIndex)> {
        let open = self.jobs.get(job)?;
        if open.former_owners.contains(&self.roster[miner].owner) {
            return None;
        }
        let mut slowest = None;
        for (number, state) in open.seats.iter().enumerate() {
            let Seat::Assigned { to } = state else {
                continue;
            };
            let seat = job.seat(number);
            let backlog_ms = self.backlog_ms(*to);
            let is_slower = slowest.is_none_or(|(_, _, most_ms)| backlog_ms > most_ms);
            if is_slower && self.may_hold(miner, seat) {
                slowest = Some((seat, *to, backlog_ms));
            }
        }
        slowest.map(|(seat, from, _)| (seat, from))
    }

    /// Whether no other seat of the job is held by this miner's owner.
    pub(super) fn may_hold(&self, miner: MinerIndex, seat: SeatRef) -> bool {
        let owner = self.roster[miner].owner;
        self.jobs.get(seat.job()).is_some_and(|job| {
            let mut others = job.seats.iter().enumerate();
            others.all(|(number, other)| {
                number == seat.number()
                    || other.holders().all(|held| self.roster[held].owner != owner)
            })
        })
    }

    /// Adds a job to the queue of jobs with a seat that may be stolen, or removes it, by its
    /// present state.
    pub(super) fn queue_stealable(&mut self, job: JobRef) {
        let rules = &self.rules;
        let Some(open) = self.jobs.get_mut(job) else {
            return;
        };
        let may_be = rules.work_stealing
            && open.may_be_self_selected(rules)
            && open.seats.iter().any(Seat::is_assigned);
        match open.stealable {
            None if may_be => open.stealable = Some(self.stealable.push(job)),
            Some(ticket) if !may_be => {
                self.stealable.remove(ticket);
                open.stealable = None;
            }
            _ => {}
        }
    }
}
