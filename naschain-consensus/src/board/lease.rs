//! How leases and the presence of miners begin, go on and end.

use naschain_core::Measurement;
use serde::{Deserialize, Serialize};

use super::JobBoard;
use super::job::{Seat, Worker};
use super::jobs::SeatRef;
use super::roster::MinerIndex;
use crate::{Action, Ending, Grant, LeaseId, Millis, MinerId};

/// A miner asks for work as soon as it has joined; one that has never worked and does not ask
/// within this time is taken to be away.
const FIRST_WORD_MS: u64 = 5_000;

/// A live lease.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Lease {
    pub(super) miner: MinerIndex,
    pub(super) place: SeatRef,
    /// The size of the job.
    pub(super) flops: u64,
    pub(super) granted: Millis,
    /// When its time between heartbeats began.
    pub(super) renewed: Millis,
    pub(super) expires: Millis,
    pub(super) epoch: u32,
    /// When the training will end; only known while it is alone at its seat and being watched.
    pub(super) estimate: Option<Millis>,
    pub(super) is_copy: bool,
    /// Whether its miner took the seat over or is the second one there.
    pub(super) is_undrawn: bool,
    /// How often its miner has forgotten that it holds the seat.
    pub(super) asked_again: u32,
    /// The consensus of its job, if that has ended: all that is left to do is a spot check.
    pub(super) check: Option<Box<Measurement>>,
}

impl JobBoard {
    pub(super) fn join(&mut self, name: MinerId, terms: Option<(Option<MinerId>, u32)>) {
        let miner = self.roster.join(name, terms);
        // Who only joins again and again does not work at what it was dealt.
        if self.roster.is_present(miner) || self.roster.has_only_joined(miner) {
            return;
        }
        self.touch(miner);
        if self.roster.is_new(miner) {
            let wait_ms = FIRST_WORD_MS.min(self.rules.away_ms);
            self.set_away_timer(miner, Some(self.now.plus(wait_ms)));
        }
    }

    /// A miner has spoken: it is present, and not away for a while unless it holds a lease, which
    /// has its own time.
    pub(super) fn touch(&mut self, miner: MinerIndex) {
        self.roster.add_present(miner);
        let idle = self.roster[miner].leases.is_empty();
        let away_at = idle.then(|| self.now.plus(self.rules.away_ms));
        self.set_away_timer(miner, away_at);
    }

    fn set_away_timer(&mut self, miner: MinerIndex, away_at: Option<Millis>) {
        let old = std::mem::replace(&mut self.roster[miner].away_at, away_at);
        if old == away_at {
            return;
        }
        if let Some(old) = old {
            self.due_away.remove(&(old, miner));
        }
        if let Some(new) = away_at {
            self.due_away.insert((new, miner));
        }
    }

    /// Gives a miner a lease for a seat that waits, that it held under a lease just ended, or
    /// that another one lags at.
    pub(super) fn grant(
        &mut self,
        miner: MinerIndex,
        place: SeatRef,
        grant: Grant,
        actions: &mut Vec<Action>,
    ) {
        self.granted += 1;
        let lease = LeaseId(self.granted);
        let term_ms = self.rules.lease_ms.min(self.rules.job_limit_ms);
        let expires = self.now.plus(term_ms);
        let is_copy = matches!(grant, Grant::Copied { .. });
        let is_undrawn = is_copy || matches!(grant, Grant::TakenOver { .. });
        let Some(flops) = self.seat_worker(place, Worker { miner, lease }, is_copy, is_undrawn)
        else {
            return;
        };
        let estimate = match self.rules.watchdog {
            Some(_) if !is_copy => self.expected_ms(miner, flops).map(|ms| self.now.plus(ms)),
            _ => None,
        };
        self.ends.extend(estimate.map(|end| (end, lease)));
        let live = Lease {
            miner,
            place,
            flops,
            granted: self.now,
            renewed: self.now,
            expires,
            epoch: 0,
            estimate,
            is_copy,
            is_undrawn,
            asked_again: 0,
            check: None,
        };
        self.leases.insert(lease, Box::new(live));
        self.copies += u64::from(is_copy);
        self.due_leases.insert((expires, lease));
        self.roster[miner].leases.push(lease);
        self.roster.note_work(miner);
        self.set_away_timer(miner, None);
        if !matches!(grant, Grant::Again { .. }) {
            self.charge(miner, flops);
        }
        actions.push(Action::Leased {
            miner: self.roster.name(miner),
            job: place.id,
            seat: place.seat(),
            lease,
            expires,
            grant,
        });
    }

    /// Puts a miner to work at a seat, beside the one that lags there if it is a copy, and returns
    /// the size of the job.
    fn seat_worker(
        &mut self,
        place: SeatRef,
        new: Worker,
        is_copy: bool,
        is_undrawn: bool,
    ) -> Option<u64> {
        let job = self.jobs.get_mut(place.job())?;
        job.undrawn += usize::from(is_undrawn);
        let flops = job.flops;
        let seat = &mut job.seats[place.seat()];
        let mut lagging = None;
        match seat {
            Seat::Leased { worker, copy } if is_copy => {
                *copy = Some(new);
                lagging = Some(worker.lease);
            }
            _ => {
                self.open_seats.forget(seat);
                self.roster.forget_dealt(seat, flops);
                *seat = Seat::Leased {
                    worker: new,
                    copy: None,
                };
            }
        }
        if let Some(lagging) = lagging {
            self.watch(lagging);
        }
        self.queue_take_over(place.job());
        Some(flops)
    }

    /// Forgets a lease; its seat is the caller's to care for.
    pub(super) fn end_lease(&mut self, lease: LeaseId, why: Ending) -> Option<Box<Lease>> {
        let ended = self.leases.remove(&lease)?;
        self.due_leases.remove(&(ended.expires, lease));
        if let Some(estimate) = ended.estimate {
            self.ends.remove(&(estimate, lease));
        }
        self.copies -= u64::from(ended.is_copy);
        let miner = &mut self.roster[ended.miner];
        miner.leases.retain(|live| *live != lease);
        // So many that no retry of a miner that trains several jobs at once is forgotten.
        let most = (miner.capacity as usize).max(2);
        if miner.ended.len() >= most {
            miner.ended.remove(0);
        }
        miner.ended.push((lease, why));
        Some(ended)
    }

    /// Ends a lease whose work is not needed any more, or that its miner gives up.
    pub(super) fn revoke(
        &mut self,
        lease: LeaseId,
        why: Ending,
        actions: &mut Vec<Action>,
    ) -> Option<Box<Lease>> {
        let ended = self.end_lease(lease, why)?;
        self.touch(ended.miner);
        actions.push(Action::Revoked {
            miner: self.roster.name(ended.miner),
            job: ended.place.id,
            seat: ended.place.seat(),
            lease,
            why,
        });
        Some(ended)
    }

    pub(super) fn heartbeat(&mut self, lease: LeaseId, epoch: u32, actions: &mut Vec<Action>) {
        let flops = self.leases.get(&lease).map_or(0, |live| live.flops);
        let limit_ms = self.limit_ms(flops);
        let Some(live) = self.leases.get_mut(&lease) else {
            return;
        };
        let limit = live.granted.plus(limit_ms).max(self.now);
        let expires = self.now.plus(self.rules.lease_ms).min(limit);
        self.due_leases.remove(&(live.expires, lease));
        self.due_leases.insert((expires, lease));
        live.expires = expires;
        live.renewed = self.now;
        live.epoch = live.epoch.max(epoch);
        actions.push(Action::Renewed {
            miner: self.roster.name(live.miner),
            lease,
            expires,
        });
        self.watch(lease);
    }

    /// How long a lease may last at most.
    fn limit_ms(&self, flops: u64) -> u64 {
        let stalled = self.rules.watchdog.and_then(|watchdog| {
            let average_ms = u128::from(self.average_ms(flops)?);
            let ms = average_ms * u128::from(watchdog.stalled_percent) / 100;
            u64::try_from(ms).ok()
        });
        // Where jobs are short, waiting for one heartbeat is no stalling.
        let stalled = stalled.map_or(u64::MAX, |ms| ms.max(self.rules.lease_ms));
        self.rules.job_limit_ms.min(stalled)
    }

    /// Ends what is due.
    pub(super) fn expire(&mut self, actions: &mut Vec<Action>) {
        while let Some(deadline) = self.next_deadline().filter(|due| *due <= self.now) {
            match (self.due_leases.first(), self.due_away.first()) {
                (Some(&(due, lease)), _) if due == deadline => self.expire_lease(lease, actions),
                (_, Some(&(_, miner))) => self.set_away(miner, actions),
                _ => return,
            }
        }
    }

    fn expire_lease(&mut self, lease: LeaseId, actions: &mut Vec<Action>) {
        let Some(live) = self.leases.get(&lease) else {
            return;
        };
        let why = self.why_due(live);
        let Some(ended) = self.end_lease(lease, why) else {
            return;
        };
        actions.push(Action::Expired {
            miner: self.roster.name(ended.miner),
            job: ended.place.id,
            seat: ended.place.seat(),
            lease,
            why,
        });
        self.abandon(lease, &ended, actions);
        if self.roster[ended.miner].leases.is_empty() {
            match why {
                Ending::Silent => self.set_away(ended.miner, actions),
                _ => self.touch(ended.miner),
            }
        }
    }

    /// Why a lease that is due ends: one that had all its time between heartbeats, by their want.
    pub(super) fn why_due(&self, live: &Lease) -> Ending {
        if live.expires.since(live.renewed) >= self.rules.lease_ms {
            Ending::Silent
        } else {
            Ending::TooLong
        }
    }

    fn set_away(&mut self, miner: MinerIndex, actions: &mut Vec<Action>) {
        self.set_away_timer(miner, None);
        if !self.roster.is_present(miner) {
            return;
        }
        self.roster.remove_present(miner);
        self.roster.note_silence(miner);
        actions.push(Action::Away {
            miner: self.roster.name(miner),
        });
        self.undeal(miner, actions);
    }

    /// Deals to others the seats that a miner was dealt and has not started on.
    fn undeal(&mut self, miner: MinerIndex, actions: &mut Vec<Action>) {
        for (place, dealing) in std::mem::take(&mut self.roster[miner].dealt) {
            if self.is_dealt_to(place, dealing, miner) {
                self.redraw(place, actions);
            }
        }
    }

    pub(super) fn leave(&mut self, miner: MinerIndex, actions: &mut Vec<Action>) {
        for lease in self.roster[miner].leases.clone() {
            if let Some(ended) = self.revoke(lease, Ending::Left, actions) {
                // Gone before others are drawn for its seat.
                self.roster.remove_present(miner);
                self.abandon(lease, &ended, actions);
            }
        }
        self.set_away_timer(miner, None);
        self.roster.remove_present(miner);
        self.undeal(miner, actions);
        self.roster[miner].has_left = true;
    }
}
