//! How long things take, and who lags.

use serde::{Deserialize, Serialize};

use super::JobBoard;
use super::batch::Seat;
use super::lease::Lease;
use super::queue::SeatRef;
use super::roster::MinerIndex;
use crate::{LeaseId, Millis};

/// A mean of durations for each unit of work, in which the latest count most.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Pace {
    ms_per_flop: Option<f64>,
}

impl Pace {
    fn learn(&mut self, ms: u64, flops: u64, weight: f64) {
        let latest = ms as f64 / flops.max(1) as f64;
        self.ms_per_flop = Some(match self.ms_per_flop {
            Some(mean) => mean + weight * (latest - mean),
            None => latest,
        });
    }

    fn ms_for(&self, flops: u64) -> Option<u64> {
        let ms = self.ms_per_flop? * flops.max(1) as f64;
        // Casts of floats saturate.
        Some(ms as u64)
    }
}

impl JobBoard {
    /// Learns from a job that a miner has answered.
    pub(super) fn learn_pace(&mut self, ended: &Lease) {
        let ms = self.now.since(ended.granted);
        self.roster[ended.miner].pace.learn(ms, ended.flops, 0.3);
        self.pace.learn(ms, ended.flops, 0.02);
    }

    /// How long this miner, or else the average one, would take for so much work.
    pub(super) fn expected_ms(&self, miner: MinerIndex, flops: u64) -> Option<u64> {
        let own = self.roster[miner].pace.ms_for(flops);
        own.or_else(|| self.pace.ms_for(flops))
    }

    /// When a job in training will end: from its epochs if they are known, else from its size and
    /// its miner's pace. One that should have ended is taken to be half done.
    fn estimate_end(&self, lease: &Lease) -> Option<Millis> {
        let spent = self.now.since(lease.granted);
        let by_epochs = match (self.rules.epochs, lease.epoch) {
            (0, _) | (_, 0) => None,
            (all, done) => {
                let ms = u128::from(spent) * u128::from(all) / u128::from(done.min(all));
                Some(u64::try_from(ms).unwrap_or(u64::MAX))
            }
        };
        let ms = by_epochs.or_else(|| self.expected_ms(lease.miner, lease.flops))?;
        let ms = if ms > spent || spent == 0 {
            ms
        } else {
            spent.saturating_mul(2)
        };
        Some(lease.granted.plus(ms))
    }

    /// Enters a lease among those that may be copied, or takes it out, by its present state.
    pub(super) fn watch(&mut self, lease: LeaseId) {
        if self.rules.watchdog.is_none() {
            return;
        }
        let Some(live) = self.leases.get(&lease) else {
            return;
        };
        let seat = self.batches.get(&live.place.batch);
        let seat = seat.and_then(|batch| batch.seats.get(live.place.seat));
        let alone = matches!(seat, Some(Seat::Leased { copy: None, .. }));
        let estimate = if alone { self.estimate_end(live) } else { None };
        if estimate == live.estimate {
            return;
        }
        if let Some(live) = self.leases.get_mut(&lease) {
            if let Some(old) = live.estimate {
                self.ends.remove(&(old, lease));
            }
            if let Some(new) = estimate {
                self.ends.insert((new, lease));
            }
            live.estimate = estimate;
        }
    }

    /// The seat that lags most among those that this miner would finish before, if it lags enough
    /// and not too many seats are being copied already.
    pub(super) fn next_copied_by(&self, miner: MinerIndex) -> Option<(SeatRef, MinerIndex)> {
        // The worst few: if this miner can take none of those, it is not worth looking further.
        const LOOKED_AT: usize = 16;
        let watchdog = self.rules.watchdog?;
        let most = self.leases.len() as u64 * u64::from(watchdog.max_copies_percent) / 100;
        if self.copies >= most.max(1) {
            return None;
        }
        self.ends
            .iter()
            .rev()
            .take(LOOKED_AT)
            .filter_map(|(_, lease)| self.leases.get(lease))
            .find(|live| {
                let lags = self.lags(live, watchdog.lag_percent);
                lags && self.finishes_before(miner, live) && self.may_copy(miner, live)
            })
            .map(|live| (live.place, live.miner))
    }

    fn lags(&self, live: &Lease, lag_percent: u32) -> bool {
        let (Some(average_ms), Some(end)) = (self.pace.ms_for(live.flops), live.estimate) else {
            return false;
        };
        let end = end.max(self.now);
        let ms = u128::from(end.since(live.granted));
        ms * 100 > u128::from(average_ms) * u128::from(lag_percent)
    }

    fn finishes_before(&self, miner: MinerIndex, live: &Lease) -> bool {
        let (Some(ms), Some(end)) = (self.expected_ms(miner, live.flops), live.estimate) else {
            return false;
        };
        // A job past its estimated end may go on for ever.
        end <= self.now || self.now.plus(ms) < end
    }

    fn may_copy(&self, miner: MinerIndex, live: &Lease) -> bool {
        let same_owner = self.roster[live.miner].owner == self.roster[miner].owner;
        let trust_ok = self.is_trusted(miner) || !self.is_single(live.place.batch);
        let batch = self.batches.get(&live.place.batch);
        let room = batch.is_some_and(|batch| batch.taken_over < self.rules.max_taken_over);
        room && !same_owner && trust_ok && self.may_sit(miner, live.place)
    }
}
