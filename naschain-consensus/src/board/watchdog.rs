//! How long things take, and who lags.

use serde::{Deserialize, Serialize};

use super::JobBoard;
use super::job::Seat;
use super::jobs::SeatRef;
use super::lease::Lease;
use super::roster::MinerIndex;
use crate::{LeaseId, Millis, NoWork};

/// A mean of durations for each unit of work, in which the latest count most.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Pace {
    ms_per_flop: f64,
    samples: u32,
}

impl Pace {
    /// What one more duration weighs at least, for a single miner.
    const MINER_WEIGHT: f64 = 0.3;
    /// The same for the network, whose durations differ more.
    const NETWORK_WEIGHT: f64 = 0.02;
    /// The same for one that is too short to be believed.
    const IMPLAUSIBLE_WEIGHT: f64 = 0.002;

    /// A miner's own.
    pub(super) fn learn(&mut self, ms: u64, flops: u64) {
        self.update_weighted(ms, flops, Pace::MINER_WEIGHT);
    }

    fn update_weighted(&mut self, ms: u64, flops: u64, least: f64) {
        self.samples = self.samples.saturating_add(1);
        let weight = least.max(1.0 / f64::from(self.samples));
        let latest = ms as f64 / flops.max(1) as f64;
        self.ms_per_flop += weight * (latest - self.ms_per_flop);
    }

    pub(super) fn has_joined(&self) -> bool {
        self.samples > 0
    }

    fn ms_for(&self, flops: u64) -> Option<u64> {
        let ms = self.ms_per_flop * flops.max(1) as f64;
        // Casts of floats saturate.
        self.has_joined().then_some(ms as u64)
    }
}

impl JobBoard {
    /// Learns from a job that a miner has answered. An answer that came sooner than is believed
    /// hardly counts for the network's pace, so that those who do not train do not set it; but if
    /// all become faster, it follows.
    pub(super) fn update_pace(&mut self, ended: &Lease) {
        let (ms, flops) = (self.now.since(ended.granted), ended.flops);
        let min_plausible_ms = self.min_plausible_ms(flops).unwrap_or(0);
        self.roster[ended.miner].pace.learn(ms, flops);
        if ms >= min_plausible_ms {
            self.pace.update_weighted(ms, flops, Pace::NETWORK_WEIGHT);
        } else {
            self.pace
                .update_weighted(min_plausible_ms, flops, Pace::IMPLAUSIBLE_WEIGHT);
        }
    }

    /// How long the network takes for so much work on average; not known until half of the miners
    /// present have answered.
    pub(super) fn average_ms(&self, flops: u64) -> Option<u64> {
        let known = self.roster.half_have_answered();
        known.then(|| self.pace.ms_for(flops)).flatten()
    }

    /// How long the fastest miner that is believed would take for so much work.
    fn min_plausible_ms(&self, flops: u64) -> Option<u64> {
        let ms = u128::from(self.average_ms(flops)?) * 100;
        u64::try_from(ms / u128::from(self.rules.max_speed_percent)).ok()
    }

    /// Notes what a miner has been given, by the time that the fastest one would need for it.
    pub(super) fn charge(&mut self, miner: MinerIndex, flops: u64) {
        let ms = self.min_plausible_ms(flops).unwrap_or(0);
        let (now, known) = (self.now, &mut self.roster[miner]);
        let each_ms = ms / u64::from(known.capacity.max(1));
        known.busy_until = known.busy_until.max(now).plus(each_ms);
    }

    /// Why a miner may not be given what it was not drawn for, if it may not.
    pub(super) fn self_selection_refusal(&self, miner: MinerIndex) -> Option<NoWork> {
        if !self.roster.half_have_answered() {
            return Some(NoWork::PaceUnknown);
        }
        let known = &self.roster[miner];
        // What it works at it has not claimed to have done.
        let held = known.leases.iter().filter_map(|id| self.leases.get(id));
        let held_ms = held.filter_map(|live| self.min_plausible_ms(live.flops));
        let held_ms = held_ms.fold(0, u64::saturating_add) / u64::from(known.capacity.max(1));
        let until = Millis(known.busy_until.0.saturating_sub(held_ms));
        (until > self.now).then_some(NoWork::TooFast { until })
    }

    /// How long this miner, or else the average one, would take for so much work.
    pub(super) fn expected_ms(&self, miner: MinerIndex, flops: u64) -> Option<u64> {
        let own = self.roster[miner].pace.ms_for(flops);
        own.or_else(|| self.pace.ms_for(flops))
    }

    /// How long a miner would take for all that it was dealt and has not started on.
    pub(super) fn backlog_ms(&self, miner: MinerIndex) -> u64 {
        let flops = u64::try_from(self.roster[miner].queued_flops).unwrap_or(u64::MAX);
        self.expected_ms(miner, flops).unwrap_or(0)
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
    pub(super) fn update_estimate(&mut self, lease: LeaseId) {
        if self.rules.watchdog.is_none() {
            return;
        }
        let Some(live) = self.leases.get(&lease) else {
            return;
        };
        let seat = self.jobs.get(live.place.job());
        let seat = seat.and_then(|job| job.seats.get(live.place.seat()));
        let alone = matches!(
            seat,
            Some(Seat::Leased {
                speculative: None,
                ..
            })
        );
        let estimate = if alone { self.estimate_end(live) } else { None };
        if estimate == live.estimate {
            return;
        }
        if let Some(live) = self.leases.get_mut(&lease) {
            if let Some(old) = live.estimate {
                self.estimated_ends.remove(&(old, lease));
            }
            if let Some(new) = estimate {
                self.estimated_ends.insert((new, lease));
            }
            live.estimate = estimate;
        }
    }

    /// The seat that lags most among those that this miner would finish before, if it lags enough
    /// and not too many seats are being copied already.
    pub(super) fn next_straggler_for(&self, miner: MinerIndex) -> Option<(SeatRef, MinerIndex)> {
        // The worst few: if this miner can take none of those, it is not worth looking further.
        const MAX_CANDIDATES: usize = 16;
        let watchdog = self.rules.watchdog?;
        let most = self.leases.len() as u64 * u64::from(watchdog.max_speculative_percent) / 100;
        if self.speculative_leases >= most.max(1) {
            return None;
        }
        self.estimated_ends
            .iter()
            .rev()
            .take(MAX_CANDIDATES)
            .filter_map(|(_, lease)| self.leases.get(lease))
            .find(|live| {
                let lags = self.lags(live, watchdog.lag_percent);
                lags && self.finishes_before(miner, live) && self.may_speculate(miner, live)
            })
            .map(|live| (live.place, live.miner))
    }

    fn lags(&self, live: &Lease, lag_percent: u32) -> bool {
        let (Some(average_ms), Some(end)) = (self.average_ms(live.flops), live.estimate) else {
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

    fn may_speculate(&self, miner: MinerIndex, live: &Lease) -> bool {
        let same_owner = self.roster[live.miner].owner == self.roster[miner].owner;
        let trust_ok = self.is_trusted(miner) || !self.is_single(live.place.job());
        let job = self.jobs.get(live.place.job());
        let room = job.is_some_and(|job| job.self_selected < self.rules.max_self_selected);
        room && !same_owner && trust_ok && self.may_hold(miner, live.place)
    }
}
