//! What good and bad outcomes do to a miner and its owner.

use super::JobBoard;
use super::job::Seat;
use super::jobs::JobRef;
use super::lease::Lease;
use super::roster::{MinerIndex, OwnerIndex};
use crate::{Action, Millis, NoWork, Reputation};

/// A plausible machine is at most this much slower than the slowest with accepted answers.
const SLOWER: f64 = 10.0;
/// How fast the slowest accepted pace follows faster answers. Low, so that a few miners that answer
/// at once cannot make honest ones look stalled.
const SLOWEST_WEIGHT: f64 = 0.002;
/// Former owners that a job remembers.
const MAX_FORMER_OWNERS: usize = 256;

impl JobBoard {
    /// Until when a miner or its owner gets no seats; `None` if it may.
    pub(super) fn blocked_until(&self, miner: MinerIndex) -> Option<Millis> {
        self.blocked_at(self.now, miner)
    }

    /// As [`JobBoard::blocked_until`] at a given time. While too few others are present for a job,
    /// nobody is blocked: otherwise miners that lose leases by a bad network could wait for each
    /// other.
    pub(super) fn blocked_at(&self, now: Millis, miner: MinerIndex) -> Option<Millis> {
        self.rules.reputation?;
        let until = self.roster.blocked_until(miner);
        let others = || self.roster.available_owners(&[self.roster[miner].owner]);
        (until > now && others() >= self.rules.seats).then_some(until)
    }

    /// Why a miner gets no further seat at all.
    pub(super) fn refusal_by_record(&self, miner: MinerIndex) -> Option<NoWork> {
        self.rules.reputation?;
        if let Some(until) = self.blocked_until(miner) {
            return Some(NoWork::BackOff { until });
        }
        let known = &self.roster[miner];
        let is_full = known.leases.len() >= known.record.max_leases();
        is_full.then_some(NoWork::Probation)
    }

    /// Whether the rules are those of [`Reputation::version`] 2 or later.
    pub(super) fn counts_disputes(&self) -> bool {
        self.reputation_version() >= 2
    }

    /// Whether the rules are those of [`Reputation::version`] 3 or later.
    pub(super) fn doubts_unproven(&self) -> bool {
        self.reputation_version() >= 3
    }

    fn reputation_version(&self) -> u32 {
        self.rules.reputation.map_or(0, |rules| rules.version)
    }

    /// Whether enough miners with a good record are present for a job, so that nothing depends on
    /// those without one.
    pub(super) fn has_proven_miners(&self) -> bool {
        self.doubts_unproven() && self.roster.present_proven() >= self.rules.seats
    }

    /// Counts a bad outcome against a miner and its owner.
    pub(super) fn strike(&mut self, miner: MinerIndex, held_ms: u64) {
        if let Some(rules) = self.rules.reputation {
            let base_ms = rules.backoff_ms.max(held_ms);
            self.roster
                .strike(miner, self.now, base_ms, rules.max_backoff_ms);
        }
    }

    /// Counts an outcome that may be another's fault: only against a miner without a good record.
    pub(super) fn strike_unproven(&mut self, miner: MinerIndex) {
        if !self.roster[miner].record.is_good() {
            self.strike(miner, 0);
        }
    }

    /// Counts it against a miner without a good record that it let the seats assigned to it wait. One
    /// that never worked gets no seats any more until it requests work.
    pub(super) fn strike_for_unclaimed_seats(&mut self, miner: MinerIndex) {
        let known = &self.roster[miner];
        let is_excused = self.roster.is_new(miner) && !self.doubts_unproven();
        if !self.counts_disputes() || is_excused {
            return;
        }
        let owner = known.owner;
        let unclaimed = known
            .assigned
            .iter()
            .filter(|(seat, round)| self.is_assigned_to(*seat, *round, miner));
        let jobs: Vec<JobRef> = unclaimed.map(|(seat, _)| seat.job()).collect();
        if jobs.is_empty() {
            return;
        }
        for job in jobs {
            self.note_former_owner(job, owner);
        }
        self.strike_unproven(miner);
    }

    /// Counts an accepted answer.
    pub(super) fn accept(&mut self, miner: MinerIndex) {
        if self.rules.reputation.is_none() {
            return;
        }
        self.roster.accept(miner);
        if self.counts_disputes() {
            self.roster[miner].useful_at = self.now;
            self.renew_place(miner);
        }
        let Some(own) = self.roster[miner].pace.ms_per_flop() else {
            return;
        };
        let weight = if own > self.slowest_ms_per_flop {
            1.0
        } else {
            SLOWEST_WEIGHT
        };
        self.slowest_ms_per_flop += weight * (own - self.slowest_ms_per_flop);
    }

    /// Withdraws the seats assigned to a miner that is blocked.
    pub(super) fn withdraw_seats(&mut self, miner: MinerIndex, actions: &mut Vec<Action>) {
        if self.blocked_until(miner).is_some() && self.roster.is_present(miner) {
            self.set_away_timer(miner, None);
            self.roster.remove_present(miner);
            self.reassign_all(miner, actions);
        }
    }

    /// Whether a miner's loss of a seat does not count against the job: it has no good record, and
    /// others are there who could train the job instead.
    pub(super) fn does_not_count(&self, miner: MinerIndex, job: JobRef) -> bool {
        if self.rules.reputation.is_none() || self.roster[miner].record.is_good() {
            return false;
        }
        self.jobs.get(job).is_some_and(|job| {
            let held = job.seats.iter().flat_map(Seat::holders);
            let owners = held.map(|miner| self.roster[miner].owner);
            let owners: Vec<OwnerIndex> = owners.chain(job.former_owners.iter().copied()).collect();
            self.roster.available_owners(&owners) > 0
        })
    }

    /// Records that an owner lost a seat of a job.
    pub(super) fn note_former_owner(&mut self, job: JobRef, owner: OwnerIndex) {
        let is_bounded = self.rules.reputation.is_some();
        let Some(job) = self.jobs.get_mut(job) else {
            return;
        };
        if !job.former_owners.contains(&owner) {
            if is_bounded && job.former_owners.len() >= MAX_FORMER_OWNERS {
                job.former_owners.remove(0);
            }
            job.former_owners.push(owner);
        }
    }

    /// How long a lease may last with this many epochs done.
    pub(super) fn progress_limit_ms(&self, active: &Lease) -> u64 {
        let Some(rules) = self.rules.reputation else {
            return u64::MAX;
        };
        let whole_ms = self.slowest_ms(&rules, active.flops);
        let epochs = u64::from(self.epochs_of(active));
        // Without the checkpoint of an earlier job, a miner trains the epochs before this one first.
        let job = self.jobs.get(active.seat.job());
        let before = job
            .and_then(|job| job.part)
            .map_or(0, |part| part.from_epoch);
        let next = (u64::from(active.epoch) + 1).min(epochs) + u64::from(before);
        let ms = u128::from(whole_ms) * u128::from(next) / u128::from(epochs.max(1));
        let ms = if epochs == 0 { whole_ms } else { ms as u64 };
        // Loading data, and waiting for one heartbeat, is not stalling.
        ms.saturating_add(self.rules.lease_ms)
    }

    /// Duration of a job for the slowest plausible machine.
    fn slowest_ms(&self, rules: &Reputation, flops: u64) -> u64 {
        let ms = u128::from(flops) * 1_000 / u128::from(rules.min_flops_per_second);
        let ms = u64::try_from(ms).unwrap_or(u64::MAX);
        if self.slowest_ms_per_flop == 0.0 {
            return ms;
        }
        // Casts of floats saturate.
        let accepted_ms = (SLOWER * self.slowest_ms_per_flop * flops.max(1) as f64) as u64;
        ms.min(accepted_ms)
    }
}
