//! How leases and the presence of miners begin, go on and end.

use super::JobBoard;
use super::batch::Seat;
use super::queue::SeatRef;
use super::roster::MinerIndex;
use crate::{Action, Grant, LeaseId, Millis, MinerId};

/// A live lease.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    pub(super) miner: MinerIndex,
    pub(super) place: SeatRef,
    pub(super) granted: Millis,
    pub(super) expires: Millis,
    pub(super) epoch: u32,
}

/// What becomes due at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

    /// Gives a miner a seat that nobody works at.
    pub(super) fn grant(
        &mut self,
        miner: MinerIndex,
        place: SeatRef,
        grant: Grant,
        actions: &mut Vec<Action>,
    ) {
        self.granted += 1;
        let lease = LeaseId(self.granted);
        let expires = self
            .now
            .plus(self.rules.lease_ms.min(self.rules.job_limit_ms));
        self.leases.insert(
            lease,
            Lease {
                miner,
                place,
                granted: self.now,
                expires,
                epoch: 0,
            },
        );
        self.timers.insert((expires, Timer::Lease(lease)));
        self.roster[miner].leases.push(lease);
        self.set_away_timer(miner, None);
        if let Some(batch) = self.batches.get_mut(&place.batch) {
            batch.seats[place.seat] = Seat::Leased { miner, lease };
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
    pub(super) fn end_lease(&mut self, lease: LeaseId) -> Option<Lease> {
        let ended = self.leases.remove(&lease)?;
        self.timers.remove(&(ended.expires, Timer::Lease(lease)));
        self.roster[ended.miner]
            .leases
            .retain(|live| *live != lease);
        Some(ended)
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
        self.reopen(ended.place);
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
            let Some(ended) = self.end_lease(lease) else {
                continue;
            };
            self.reopen(ended.place);
            actions.push(Action::Revoked {
                miner: self.roster.name(miner),
                batch: ended.place.batch,
                seat: ended.place.seat,
                lease,
            });
        }
        self.set_away_timer(miner, None);
        self.roster.remove_present(miner);
        self.undeal(miner);
        self.roster[miner].has_left = true;
    }
}
