//! Leases and the presence of miners: how they begin, are renewed and end.

use naschain_core::Measurement;
use serde::{Deserialize, Serialize};

use super::JobBoard;
use super::job::{Seat, Worker};
use super::jobs::SeatRef;
use super::roster::MinerIndex;
use crate::{Action, Ending, Grant, LeaseId, Millis, MinerId};

/// A miner requests work as soon as it has joined; one that has never worked and requests nothing
/// for this long counts as away.
const FIRST_REQUEST_MS: u64 = 5_000;

/// An active lease.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Lease {
    pub(super) miner: MinerIndex,
    #[serde(rename = "place")]
    pub(super) seat: SeatRef,
    /// The size of the job.
    pub(super) flops: u64,
    pub(super) granted: Millis,
    /// Time of the latest heartbeat, or of the grant.
    pub(super) renewed: Millis,
    pub(super) expires: Millis,
    pub(super) epoch: u32,
    /// Estimated end of the training, while this is the only lease of its seat and there is a
    /// watchdog.
    pub(super) estimate: Option<Millis>,
    pub(super) is_speculative: bool,
    /// Whether its miner stole the seat or trains it speculatively.
    pub(super) is_self_selected: bool,
    /// Number of times its miner lost the job and got the seat again.
    pub(super) reissued: u32,
    /// The consensus of its job, if that has ended: the answer will only be compared with it.
    pub(super) check: Option<Box<Measurement>>,
}

impl JobBoard {
    pub(super) fn join(
        &mut self,
        name: MinerId,
        terms: Option<(Option<MinerId>, u32)>,
        actions: &mut Vec<Action>,
    ) {
        // The event was accepted because there was a place for the miner, and there still is one.
        let taken = self.place_for(self.now, &name).ok().flatten();
        if let Some(before) = taken {
            self.evict(before, actions);
        }
        if let Some(rules) = self.rules.reputation {
            self.roster.limit_owners(rules.max_miners);
        }
        let is_known = self.roster.is_known(&name);
        let miner = self.roster.join(name, terms, taken);
        if !is_known {
            self.roster[miner].useful_at = self.now;
            self.renew_place(miner);
        }
        // A miner that only keeps joining does not work on the seats assigned to it.
        if self.roster.is_present(miner) || self.roster.has_only_joined(miner) {
            return;
        }
        // Joining costs nothing, so it does not make a miner that has worked eligible for seats.
        if self.counts_disputes() && !self.roster.is_new(miner) {
            return;
        }
        self.touch(miner);
        if self.roster.is_new(miner) {
            let wait_ms = FIRST_REQUEST_MS.min(self.rules.away_ms);
            self.set_away_timer(miner, Some(self.now.plus(wait_ms)));
        }
    }

    /// Marks a miner as present after a message. Without a lease it counts as away after a while;
    /// with one, the lease has its own deadline.
    pub(super) fn touch(&mut self, miner: MinerIndex) {
        if self.blocked_until(miner).is_some() && !self.roster.is_present(miner) {
            return;
        }
        self.roster.add_present(miner);
        let idle = self.roster[miner].leases.is_empty();
        let away_at = idle.then(|| self.now.plus(self.rules.away_ms));
        self.set_away_timer(miner, away_at);
    }

    pub(super) fn set_away_timer(&mut self, miner: MinerIndex, away_at: Option<Millis>) {
        let old = std::mem::replace(&mut self.roster[miner].away_at, away_at);
        if old == away_at {
            return;
        }
        if let Some(old) = old {
            self.away_deadlines.remove(&(old, miner));
        }
        if let Some(new) = away_at {
            self.away_deadlines.insert((new, miner));
        }
    }

    /// Grants a miner a lease for a seat that waits, that it held under a lease just ended, or at
    /// which another miner is a straggler.
    pub(super) fn grant(
        &mut self,
        miner: MinerIndex,
        seat: SeatRef,
        grant: Grant,
        actions: &mut Vec<Action>,
    ) {
        self.granted += 1;
        let lease = LeaseId(self.granted);
        let is_silent = self.rules.silent_uids && self.roster[miner].name.uid().is_some();
        let term_ms = if is_silent {
            self.rules.job_limit_ms
        } else {
            self.rules.lease_ms.min(self.rules.job_limit_ms)
        };
        let expires = self.now.plus(term_ms);
        let is_speculative = matches!(grant, Grant::Speculative { .. });
        let is_self_selected = is_speculative || matches!(grant, Grant::Stolen { .. });
        let Some(flops) = self.seat_worker(
            seat,
            Worker { miner, lease },
            is_speculative,
            is_self_selected,
        ) else {
            return;
        };
        let estimate = match self.rules.watchdog {
            Some(_) if !is_speculative => {
                self.expected_ms(miner, flops).map(|ms| self.now.plus(ms))
            }
            _ => None,
        };
        self.estimated_ends.extend(estimate.map(|end| (end, lease)));
        let active = Lease {
            miner,
            seat,
            flops,
            granted: self.now,
            renewed: self.now,
            expires,
            epoch: 0,
            estimate,
            is_speculative,
            is_self_selected,
            reissued: 0,
            check: None,
        };
        self.leases.insert(lease, Box::new(active));
        self.speculative_leases += u64::from(is_speculative);
        self.lease_deadlines.insert((expires, lease));
        self.roster[miner].leases.push(lease);
        self.renew_place(miner);
        self.roster.note_work(miner);
        self.set_away_timer(miner, None);
        if !matches!(grant, Grant::Reissued { .. }) {
            self.charge(miner, flops);
        }
        actions.push(Action::Leased {
            miner: self.roster.name(miner),
            job: seat.id,
            seat: seat.number(),
            lease,
            expires,
            grant,
        });
    }

    /// Makes a miner the worker of a seat, or its second worker if it is speculative, and returns
    /// the size of the job.
    fn seat_worker(
        &mut self,
        seat: SeatRef,
        new: Worker,
        is_speculative: bool,
        is_self_selected: bool,
    ) -> Option<u64> {
        let job = self.jobs.get_mut(seat.job())?;
        job.self_selected += usize::from(is_self_selected);
        let flops = job.flops;
        let state = &mut job.seats[seat.number()];
        let mut lagging = None;
        match state {
            Seat::Leased {
                worker,
                speculative,
            } if is_speculative => {
                *speculative = Some(new);
                lagging = Some(worker.lease);
            }
            _ => {
                self.open_seats.forget(state);
                self.roster.unassign(state, flops);
                *state = Seat::Leased {
                    worker: new,
                    speculative: None,
                };
            }
        }
        if let Some(lagging) = lagging {
            self.update_estimate(lagging);
        }
        self.queue_stealable(seat.job());
        Some(flops)
    }

    /// Removes a lease. The caller takes care of its seat.
    pub(super) fn end_lease(&mut self, lease: LeaseId, reason: Ending) -> Option<Box<Lease>> {
        let ended = self.leases.remove(&lease)?;
        self.lease_deadlines.remove(&(ended.expires, lease));
        if let Some(estimate) = ended.estimate {
            self.estimated_ends.remove(&(estimate, lease));
        }
        self.speculative_leases -= u64::from(ended.is_speculative);
        let miner = &mut self.roster[ended.miner];
        miner.leases.retain(|active| *active != lease);
        // Enough that a repeated answer of a miner that trains several jobs at once is recognised.
        let max_ended = (miner.capacity as usize).max(2);
        if miner.ended.len() >= max_ended {
            miner.ended.remove(0);
        }
        miner.ended.push((lease, reason));
        self.renew_place(ended.miner);
        Some(ended)
    }

    /// Ends a lease whose work is not needed any more, or that its miner gives up.
    pub(super) fn revoke(
        &mut self,
        lease: LeaseId,
        reason: Ending,
        actions: &mut Vec<Action>,
    ) -> Option<Box<Lease>> {
        let ended = self.end_lease(lease, reason)?;
        self.touch(ended.miner);
        actions.push(Action::Revoked {
            miner: self.roster.name(ended.miner),
            job: ended.seat.id,
            seat: ended.seat.number(),
            lease,
            reason,
        });
        Some(ended)
    }

    pub(super) fn heartbeat(&mut self, lease: LeaseId, epoch: u32, actions: &mut Vec<Action>) {
        if let Some(active) = self.leases.get_mut(&lease) {
            active.epoch = active.epoch.max(epoch);
        }
        let limit = self
            .leases
            .get(&lease)
            .map(|active| self.latest_end(active));
        let (Some(limit), Some(active)) = (limit, self.leases.get_mut(&lease)) else {
            return;
        };
        let limit = limit.max(self.now);
        let expires = self.now.plus(self.rules.lease_ms).min(limit);
        self.lease_deadlines.remove(&(active.expires, lease));
        self.lease_deadlines.insert((expires, lease));
        active.expires = expires;
        active.renewed = self.now;
        actions.push(Action::Renewed {
            miner: self.roster.name(active.miner),
            lease,
            expires,
        });
        self.update_estimate(lease);
    }

    /// When a lease ends at the latest, by the epochs that its miner has reported.
    pub(super) fn latest_end(&self, active: &Lease) -> Millis {
        let limit_ms = self.limit_ms(active.flops);
        active
            .granted
            .plus(limit_ms.min(self.progress_limit_ms(active)))
    }

    /// Maximum duration of a lease in milliseconds.
    fn limit_ms(&self, flops: u64) -> u64 {
        let stalled = self.rules.watchdog.and_then(|watchdog| {
            let average_ms = u128::from(self.average_ms(flops)?);
            let ms = average_ms * u128::from(watchdog.stalled_percent) / 100;
            u64::try_from(ms).ok()
        });
        // Where jobs are short, waiting for one heartbeat is not stalling.
        let stalled = stalled.map_or(u64::MAX, |ms| ms.max(self.rules.lease_ms));
        self.rules.job_limit_ms.min(stalled)
    }

    /// Ends all leases and presences that are due.
    pub(super) fn expire(&mut self, actions: &mut Vec<Action>) {
        while let Some(deadline) = self.next_deadline().filter(|due| *due <= self.now) {
            if self.draw_at == Some(deadline) {
                self.draw_open_seats(actions);
                continue;
            }
            let lease = self.lease_deadlines.first();
            match (
                lease,
                self.questions.first_due(),
                self.away_deadlines.first(),
            ) {
                (Some(&(due, lease)), _, _) if due == deadline => self.expire_lease(lease, actions),
                (_, Some((due, question)), _) if due == deadline => {
                    self.end_unanswered(question, actions);
                }
                (_, _, Some(&(_, miner))) => self.set_away(miner, actions),
                _ => return,
            }
        }
    }

    fn expire_lease(&mut self, lease: LeaseId, actions: &mut Vec<Action>) {
        let Some(active) = self.leases.get(&lease) else {
            return;
        };
        let reason = self.expiry_reason(active);
        let Some(ended) = self.end_lease(lease, reason) else {
            return;
        };
        actions.push(Action::Expired {
            miner: self.roster.name(ended.miner),
            job: ended.seat.id,
            seat: ended.seat.number(),
            lease,
            reason,
        });
        self.abandon(lease, &ended, reason, actions);
        if self.roster[ended.miner].leases.is_empty() {
            match reason {
                Ending::Silent => self.set_away(ended.miner, actions),
                _ => self.touch(ended.miner),
            }
        }
    }

    /// Why a lease that is due ends: [`Ending::Silent`] if the whole time between heartbeats has
    /// passed.
    pub(super) fn expiry_reason(&self, active: &Lease) -> Ending {
        if active.expires.since(active.renewed) >= self.rules.lease_ms {
            Ending::Silent
        } else {
            Ending::TooLong
        }
    }

    pub(super) fn set_away(&mut self, miner: MinerIndex, actions: &mut Vec<Action>) {
        self.set_away_timer(miner, None);
        if !self.roster.is_present(miner) {
            return;
        }
        self.roster.remove_present(miner);
        self.roster.note_silence(miner);
        actions.push(Action::Away {
            miner: self.roster.name(miner),
        });
        self.strike_for_unclaimed_seats(miner);
        self.reassign_all(miner, actions);
        self.end_collections_from(miner, actions);
    }

    /// Reassigns the seats that are assigned to a miner and not started.
    pub(super) fn reassign_all(&mut self, miner: MinerIndex, actions: &mut Vec<Action>) {
        for (seat, round) in std::mem::take(&mut self.roster[miner].assigned) {
            if self.is_assigned_to(seat, round, miner) {
                self.reassign(seat, actions);
            }
        }
    }

    pub(super) fn leave(&mut self, miner: MinerIndex, actions: &mut Vec<Action>) {
        for lease in self.roster[miner].leases.clone() {
            if let Some(ended) = self.revoke(lease, Ending::Left, actions) {
                // Absent before a miner is drawn for its seat.
                self.roster.remove_present(miner);
                self.abandon(lease, &ended, Ending::Left, actions);
            }
        }
        self.set_away_timer(miner, None);
        self.roster.remove_present(miner);
        if self.doubts_unproven() {
            self.strike_for_unclaimed_seats(miner);
        }
        self.reassign_all(miner, actions);
        self.roster[miner].has_left = true;
        self.end_collections_from(miner, actions);
    }
}
