//! Pace of the miners, estimated ends of leases, and stragglers.

use serde::{Deserialize, Serialize};

use super::JobBoard;
use super::job::Seat;
use super::jobs::SeatRef;
use super::lease::Lease;
use super::roster::MinerIndex;
use crate::{LeaseId, Millis, NoWork};

/// A moving average of milliseconds per FLOP.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct AveragePace {
    ms_per_flop: f64,
    samples: u32,
}

impl AveragePace {
    /// Minimum weight of a new duration for a single miner.
    const MINER_WEIGHT: f64 = 0.3;
    /// Minimum weight for the network, whose durations vary more.
    const NETWORK_WEIGHT: f64 = 0.02;
    /// Minimum weight for the network of an implausibly short duration.
    const IMPLAUSIBLE_WEIGHT: f64 = 0.002;

    pub(super) fn update(&mut self, ms: u64, flops: u64) {
        self.update_weighted(ms, flops, AveragePace::MINER_WEIGHT);
    }

    fn update_weighted(&mut self, ms: u64, flops: u64, min_weight: f64) {
        self.samples = self.samples.saturating_add(1);
        let weight = min_weight.max(1.0 / f64::from(self.samples));
        let latest = ms as f64 / flops.max(1) as f64;
        self.ms_per_flop += weight * (latest - self.ms_per_flop);
    }

    pub(super) fn is_known(&self) -> bool {
        self.samples > 0
    }

    /// The average, if known.
    pub(super) fn ms_per_flop(&self) -> Option<f64> {
        self.is_known().then_some(self.ms_per_flop)
    }

    fn ms_for(&self, flops: u64) -> Option<u64> {
        let ms = self.ms_per_flop * flops.max(1) as f64;
        // Casts of floats saturate.
        self.is_known().then_some(ms as u64)
    }
}

impl JobBoard {
    /// Updates the paces after an answer. An implausibly fast answer hardly changes the network's
    /// pace, so that miners that do not train do not determine it; if all miners become faster, it
    /// follows.
    pub(super) fn update_pace(&mut self, ended: &Lease) {
        let (ms, flops) = (self.now.since(ended.granted), ended.flops);
        let min_plausible_ms = self.min_plausible_ms(flops).unwrap_or(0);
        self.roster[ended.miner].pace.update(ms, flops);
        if ms >= min_plausible_ms {
            self.pace
                .update_weighted(ms, flops, AveragePace::NETWORK_WEIGHT);
        } else {
            self.pace
                .update_weighted(min_plausible_ms, flops, AveragePace::IMPLAUSIBLE_WEIGHT);
        }
    }

    /// Whether the network's pace is known: once half of the present miners have answered or, so that
    /// many that never answer cannot keep it unknown, enough have a good record.
    fn is_pace_known(&self) -> bool {
        self.roster.half_have_answered() || self.has_proven_miners()
    }

    /// Average duration of a job of this size, once the pace is known.
    pub(super) fn average_ms(&self, flops: u64) -> Option<u64> {
        let known = self.is_pace_known();
        known.then(|| self.pace.ms_for(flops)).flatten()
    }

    /// Duration of a job of this size for the fastest plausible miner.
    fn min_plausible_ms(&self, flops: u64) -> Option<u64> {
        let ms = u128::from(self.average_ms(flops)?) * 100;
        u64::try_from(ms / u128::from(self.rules.max_speed_percent)).ok()
    }

    /// Charges a miner for a job it was given, by the time that the fastest plausible miner needs
    /// for it.
    pub(super) fn charge(&mut self, miner: MinerIndex, flops: u64) {
        let ms = self.min_plausible_ms(flops).unwrap_or(0);
        let (now, known) = (self.now, &mut self.roster[miner]);
        let each_ms = ms / u64::from(known.capacity.max(1));
        known.busy_until = known.busy_until.max(now).plus(each_ms);
    }

    /// Why a miner may not get a seat that it was not drawn for; `None` if it may.
    pub(super) fn self_selection_refusal(&self, miner: MinerIndex) -> Option<NoWork> {
        if !self.is_pace_known() {
            return Some(NoWork::PaceUnknown);
        }
        let known = &self.roster[miner];
        // Jobs still in training do not count: their duration is not claimed yet.
        let held = known.leases.iter().filter_map(|id| self.leases.get(id));
        let held_ms = held.filter_map(|active| self.min_plausible_ms(active.flops));
        let held_ms = held_ms.fold(0, u64::saturating_add) / u64::from(known.capacity.max(1));
        let until = Millis(known.busy_until.0.saturating_sub(held_ms));
        if until > self.now {
            return Some(NoWork::TooFast { until });
        }
        // One that does not train is always the first to find a seat that others have not started.
        let is_unproven = self.has_proven_miners() && !known.record.is_good();
        (is_unproven || known.is_refuted).then_some(NoWork::Probation)
    }

    /// Expected duration of a job of this size for this miner, or on average if its own pace is
    /// unknown.
    pub(super) fn expected_ms(&self, miner: MinerIndex, flops: u64) -> Option<u64> {
        let own = self.roster[miner].pace.ms_for(flops);
        own.or_else(|| self.pace.ms_for(flops))
    }

    /// Expected duration of all jobs that are assigned to a miner and not started.
    pub(super) fn backlog_ms(&self, miner: MinerIndex) -> u64 {
        let flops = u64::try_from(self.roster[miner].queued_flops).unwrap_or(u64::MAX);
        self.expected_ms(miner, flops).unwrap_or(0)
    }

    /// Estimated end of a training: from its epochs if they are known, else from its size and its
    /// miner's pace. A training past its estimate counts as half done.
    fn estimate_end(&self, lease: &Lease) -> Option<Millis> {
        let spent = self.now.since(lease.granted);
        let by_epochs = match (self.epochs_of(lease), lease.epoch) {
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

    /// Updates the estimated end of a lease, which makes it a candidate for speculative execution
    /// or removes it from the candidates.
    pub(super) fn update_estimate(&mut self, lease: LeaseId) {
        if self.rules.watchdog.is_none() {
            return;
        }
        let Some(active) = self.leases.get(&lease) else {
            return;
        };
        let job = self.jobs.get(active.seat.job());
        let state = job.and_then(|job| job.seats.get(active.seat.number()));
        let alone = matches!(
            state,
            Some(Seat::Leased {
                speculative: None,
                ..
            })
        );
        let estimate = if alone {
            self.estimate_end(active)
        } else {
            None
        };
        if estimate == active.estimate {
            return;
        }
        if let Some(active) = self.leases.get_mut(&lease) {
            if let Some(old) = active.estimate {
                self.estimated_ends.remove(&(old, lease));
            }
            if let Some(new) = estimate {
                self.estimated_ends.insert((new, lease));
            }
            active.estimate = estimate;
        }
    }

    /// The worst straggler that this miner would finish earlier. Once too many leases are speculative,
    /// only stragglers without a good record are left, under the rules that doubt them.
    pub(super) fn next_straggler_for(&self, miner: MinerIndex) -> Option<(SeatRef, MinerIndex)> {
        // If this miner can take none of the worst few, further ones are not worth the search.
        const MAX_CANDIDATES: usize = 16;
        let watchdog = self.rules.watchdog?;
        let max = self.leases.len() as u64 * u64::from(watchdog.max_speculative_percent) / 100;
        let is_full = self.speculative_leases >= max.max(1);
        if is_full && !self.doubts_unproven() {
            return None;
        }
        // Leases from before the pace was known have no estimate.
        let oldest = self.lease_deadlines.iter();
        let oldest = oldest.take(if self.doubts_unproven() {
            MAX_CANDIDATES
        } else {
            0
        });
        let worst = self.estimated_ends.iter().rev().take(MAX_CANDIDATES);
        let candidates = worst
            .chain(oldest)
            .filter_map(|(_, lease)| self.leases.get(lease));
        let found =
            candidates.filter(|active| !is_full || !self.roster[active.miner].record.is_good());
        let mut found = found.filter_map(|active| Some((active, self.straggler_end(active)?)));
        found
            .find(|(active, end)| {
                self.lags(active, *end, watchdog.lag_percent)
                    && self.finishes_before(miner, active, *end)
                    && self.may_speculate(miner, active)
            })
            .map(|(active, _)| (active.seat, active.miner))
    }

    /// The estimated end of a lease that is the only one of its seat.
    fn straggler_end(&self, active: &Lease) -> Option<Millis> {
        if active.estimate.is_some() {
            return active.estimate;
        }
        let job = self.jobs.get(active.seat.job())?;
        match job.seats.get(active.seat.number())? {
            Seat::Leased {
                speculative: None, ..
            } => self.estimate_end(active),
            _ => None,
        }
    }

    fn lags(&self, active: &Lease, end: Millis, lag_percent: u32) -> bool {
        let Some(average_ms) = self.average_ms(active.flops) else {
            return false;
        };
        let end = end.max(self.now);
        let ms = u128::from(end.since(active.granted));
        ms * 100 > u128::from(average_ms) * u128::from(lag_percent)
    }

    fn finishes_before(&self, miner: MinerIndex, active: &Lease, end: Millis) -> bool {
        let Some(ms) = self.expected_ms(miner, active.flops) else {
            return false;
        };
        // A training past its estimated end may never end.
        end <= self.now || self.now.plus(ms) < end
    }

    fn may_speculate(&self, miner: MinerIndex, active: &Lease) -> bool {
        let same_owner = self.roster[active.miner].owner == self.roster[miner].owner;
        let trust_ok = self.is_trusted(miner) || !self.is_single(active.seat.job());
        let job = self.jobs.get(active.seat.job());
        let room = job.is_some_and(|job| job.may_be_self_selected(&self.rules));
        room && !same_owner && trust_ok && self.may_hold(miner, active.seat)
    }
}
