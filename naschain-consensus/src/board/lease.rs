//! How leases and the presence of miners begin, go on and end.

use naschain_core::Measurement;
use serde::{Deserialize, Serialize};

use super::JobBoard;
use super::batch::{Late, Seat, Worker};
use super::queue::SeatRef;
use super::roster::MinerIndex;
use crate::{Action, Grant, LeaseId, Millis, MinerId};

/// A live lease.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Lease {
    pub(super) miner: MinerIndex,
    pub(super) place: SeatRef,
    /// The size of the job.
    pub(super) flops: u64,
    pub(super) granted: Millis,
    pub(super) expires: Millis,
    pub(super) epoch: u32,
    /// When the training will end; only known while it is alone at its seat and being watched.
    pub(super) estimate: Option<Millis>,
    pub(super) is_copy: bool,
    /// The consensus of its batch, if that has ended: all that is left to do is a spot check.
    pub(super) check: Option<Box<Measurement>>,
}

/// What becomes due at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Timer {
    Lease(LeaseId),
    Away(MinerIndex),
}

impl JobBoard {
    pub(super) fn join(&mut self, name: MinerId, terms: Option<(Option<MinerId>, u32)>) {
        let miner = self.roster.join(name, terms);
        self.touch(miner);
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
            self.timers.remove(&(old, Timer::Away(miner)));
        }
        if let Some(new) = away_at {
            self.timers.insert((new, Timer::Away(miner)));
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
        let Some(batch) = self.batches.get_mut(&place.batch) else {
            return;
        };
        let flops = batch.flops;
        let undrawn = is_copy || matches!(grant, Grant::TakenOver { .. });
        batch.taken_over += usize::from(undrawn);
        let new = Worker { miner, lease };
        let seat = &mut batch.seats[place.seat];
        let mut lagging = None;
        match seat {
            Seat::Leased { worker, copy } if is_copy => {
                *copy = Some(new);
                lagging = Some(worker.lease);
            }
            _ => {
                if let Seat::Waiting { dealt_to, ticket } = *seat {
                    match dealt_to {
                        Some(_) => self.dealt_seats.remove(ticket),
                        None => self.open_seats.remove(ticket),
                    }
                }
                *seat = Seat::Leased {
                    worker: new,
                    copy: None,
                };
            }
        }
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
            expires,
            epoch: 0,
            estimate,
            is_copy,
            check: None,
        };
        self.leases.insert(lease, Box::new(live));
        self.copies += u64::from(is_copy);
        self.timers.insert((expires, Timer::Lease(lease)));
        self.roster[miner].leases.push(lease);
        self.set_away_timer(miner, None);
        if let Some(lagging) = lagging {
            self.watch(lagging);
        }
        actions.push(Action::Leased {
            miner: self.roster.name(miner),
            batch: place.batch,
            seat: place.seat,
            lease,
            expires,
            grant,
        });
    }

    /// Forgets a lease; its seat is the caller's to care for.
    pub(super) fn end_lease(&mut self, lease: LeaseId) -> Option<Box<Lease>> {
        let ended = self.leases.remove(&lease)?;
        self.timers.remove(&(ended.expires, Timer::Lease(lease)));
        if let Some(estimate) = ended.estimate {
            self.ends.remove(&(estimate, lease));
        }
        self.copies -= u64::from(ended.is_copy);
        self.roster[ended.miner]
            .leases
            .retain(|live| *live != lease);
        Some(ended)
    }

    /// Ends a lease whose work is not needed any more.
    pub(super) fn revoke(&mut self, lease: LeaseId, actions: &mut Vec<Action>) {
        let Some(ended) = self.end_lease(lease) else {
            return;
        };
        self.touch(ended.miner);
        actions.push(Action::Revoked {
            miner: self.roster.name(ended.miner),
            batch: ended.place.batch,
            seat: ended.place.seat,
            lease,
        });
    }

    /// Takes the worker of an ended lease from its seat. If it was alone there, the seat is open
    /// to all.
    pub(super) fn vacate(&mut self, place: SeatRef, lease: LeaseId) {
        let batch = self.batches.get_mut(&place.batch);
        let Some(seat) = batch.and_then(|batch| batch.seats.get_mut(place.seat)) else {
            return;
        };
        let mut watched = None;
        match seat {
            Seat::Leased {
                worker,
                copy: Some(copy),
            } => {
                let stays = if worker.lease == lease {
                    *copy
                } else {
                    *worker
                };
                *seat = Seat::Leased {
                    worker: stays,
                    copy: None,
                };
                watched = Some(stays.lease);
            }
            Seat::Leased { worker, copy: None } if worker.lease == lease => {
                return self.reopen(place);
            }
            Seat::Answered { late, .. } => {
                let training = |late: &Late| matches!(late, Late::Training(w) if w.lease == lease);
                if late.as_deref().is_some_and(training) {
                    *late = None;
                }
            }
            Seat::Leased { .. } | Seat::Waiting { .. } => {}
        }
        if let Some(watched) = watched {
            self.watch(watched);
        }
        self.renew_tickets(place.batch);
    }

    pub(super) fn heartbeat(&mut self, lease: LeaseId, epoch: u32, actions: &mut Vec<Action>) {
        let Some(live) = self.leases.get_mut(&lease) else {
            return;
        };
        let limit = live.granted.plus(self.rules.job_limit_ms);
        let expires = self.now.plus(self.rules.lease_ms).min(limit);
        self.timers.remove(&(live.expires, Timer::Lease(lease)));
        self.timers.insert((expires, Timer::Lease(lease)));
        live.expires = expires;
        live.epoch = live.epoch.max(epoch);
        actions.push(Action::Renewed {
            miner: self.roster.name(live.miner),
            lease,
            expires,
        });
        self.watch(lease);
    }

    /// Ends what is due.
    pub(super) fn expire(&mut self, actions: &mut Vec<Action>) {
        while let Some(&(deadline, timer)) = self.timers.first() {
            if deadline > self.now {
                break;
            }
            match timer {
                Timer::Lease(lease) => self.expire_lease(lease, actions),
                Timer::Away(miner) => self.set_away(miner, actions),
            }
        }
    }

    fn expire_lease(&mut self, lease: LeaseId, actions: &mut Vec<Action>) {
        let Some(ended) = self.end_lease(lease) else {
            return;
        };
        actions.push(Action::Expired {
            miner: self.roster.name(ended.miner),
            batch: ended.place.batch,
            seat: ended.place.seat,
            lease,
        });
        self.vacate(ended.place, lease);
        if self.roster[ended.miner].leases.is_empty() {
            self.set_away(ended.miner, actions);
        }
    }

    fn set_away(&mut self, miner: MinerIndex, actions: &mut Vec<Action>) {
        self.set_away_timer(miner, None);
        if !self.roster.is_present(miner) {
            return;
        }
        self.roster.remove_present(miner);
        self.undeal(miner);
        actions.push(Action::Away {
            miner: self.roster.name(miner),
        });
    }

    /// Opens to all the seats that a miner was dealt and has not started on.
    fn undeal(&mut self, miner: MinerIndex) {
        for (place, dealing) in std::mem::take(&mut self.roster[miner].dealt) {
            if self.is_dealt_to(place, dealing, miner) {
                self.reopen(place);
            }
        }
    }

    pub(super) fn leave(&mut self, miner: MinerIndex, actions: &mut Vec<Action>) {
        for lease in self.roster[miner].leases.clone() {
            let place = self.leases.get(&lease).map(|live| live.place);
            self.revoke(lease, actions);
            if let Some(place) = place {
                self.vacate(place, lease);
            }
        }
        self.set_away_timer(miner, None);
        self.roster.remove_present(miner);
        self.undeal(miner);
        self.roster[miner].has_left = true;
    }
}
