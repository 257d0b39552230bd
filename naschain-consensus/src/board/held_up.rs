//! Jobs whose consensus is certain and that only miners without a good record hold up.

use super::JobBoard;
use super::job::Seat;
use super::jobs::JobRef;
use super::lease::Lease;
use super::roster::MinerIndex;
use crate::{Action, Millis};

/// If none of this many leases that are expected to end first or last, or that expire first, holds a
/// job up, further ones are not examined.
const MAX_CANDIDATES: usize = 16;
/// Machines that need at most this percentage of the average duration are waited for.
const SLOW_PERCENT: u128 = 600;

/// Whether a job is held up.
pub(super) enum HeldUp {
    /// This job is not waited for any more.
    Now(JobRef),
    /// None now; the first one will be at this time if nothing changes.
    From(Millis),
    /// None.
    No,
}

impl JobBoard {
    /// Ends the jobs that wait only for miners without a good record, once more than half of their
    /// seats agree and those miners are late. Called when a miner finds no work: as long as there is
    /// other work, slow miners may take their time to earn a record.
    pub(super) fn end_held_up_jobs(&mut self, actions: &mut Vec<Action>) -> Option<Millis> {
        loop {
            match self.held_up() {
                HeldUp::Now(job) if self.dispute(job, actions) => {}
                HeldUp::Now(job) => {
                    let idle = self.holders_without_progress(job);
                    if let Some(open) = self.jobs.get(job) {
                        let verdict = self.verdict_of(open);
                        self.close(job, verdict, actions);
                    }
                    for miner in idle {
                        self.strike(miner, 0);
                        self.withdraw_seats(miner, actions);
                    }
                }
                HeldUp::From(until) => return Some(until),
                HeldUp::No => return None,
            }
        }
    }

    /// Whether a job is held up.
    pub(super) fn held_up(&self) -> HeldUp {
        if !self.doubts_unproven() {
            return HeldUp::No;
        }
        let ends = || self.estimated_ends.iter();
        // Leases from before the pace was known have no estimate.
        let candidates = (self.lease_deadlines.iter().take(MAX_CANDIDATES))
            .chain(ends().take(MAX_CANDIDATES))
            .chain(ends().rev().take(MAX_CANDIDATES));
        let mut found = HeldUp::No;
        for (_, lease) in candidates {
            let Some((job, until)) = self.leases.get(lease).and_then(|l| self.held_up_by(l)) else {
                continue;
            };
            if until <= self.now {
                return HeldUp::Now(job);
            }
            found = match found {
                HeldUp::From(earlier) => HeldUp::From(earlier.min(until)),
                _ => HeldUp::From(until),
            };
        }
        found
    }

    /// The job of a lease, if it waits only for leases of miners without a good record and its
    /// consensus is certain, and when all of them are late.
    fn held_up_by(&self, lease: &Lease) -> Option<(JobRef, Millis)> {
        let id = lease.seat.job();
        let is_unproven = |miner| !self.roster[miner].record.is_good();
        if !is_unproven(lease.miner) {
            return None;
        }
        let job = self.jobs.get(id).filter(|job| !job.is_disputed())?;
        let mut until = Millis(0);
        for seat in &job.seats {
            match seat {
                Seat::Answered { .. } => {}
                Seat::Leased {
                    worker,
                    speculative: None,
                } if is_unproven(worker.miner) => {
                    let active = self.leases.get(&worker.lease)?;
                    until = until.max(self.late_at(active)?);
                }
                _ => return None,
            }
        }
        let agreed = self.verdict_of(job).agreed;
        let agreed = agreed.iter().filter(|agreed| **agreed).count();
        (agreed * 2 > job.seats.len()).then_some((id, until))
    }

    /// When a lease is late: after [`crate::Watchdog::lag_percent`] of the average duration, or after
    /// [`SLOW_PERCENT`] if its miner reports epochs at the pace of a slow machine.
    fn late_at(&self, lease: &Lease) -> Option<Millis> {
        let percent = if self.makes_progress(lease) {
            SLOW_PERCENT
        } else {
            u128::from(self.rules.watchdog?.lag_percent)
        };
        let ms = u128::from(self.average_ms(lease.flops)?) * percent / 100;
        Some(lease.granted.plus(u64::try_from(ms).unwrap_or(u64::MAX)))
    }

    /// The miners that hold a seat of the job without training it, as far as heartbeats tell.
    fn holders_without_progress(&self, job: JobRef) -> Vec<MinerIndex> {
        let seats = self.jobs.get(job).map(|job| job.seats.iter());
        let workers = seats.into_iter().flatten().filter_map(|seat| match seat {
            Seat::Leased { worker, .. } => Some(worker),
            _ => None,
        });
        let idle = workers.filter(|worker| {
            let lease = self.leases.get(&worker.lease);
            lease.is_some_and(|lease| {
                // By what it reported it would have answered by now.
                let is_overdue = self
                    .late_at(lease)
                    .is_none_or(|late_at| late_at <= self.now);
                is_overdue || !self.makes_progress(lease)
            })
        });
        idle.map(|worker| worker.miner).collect()
    }

    /// Whether a miner reports epochs, not yet all, at a pace at which it ends within
    /// [`SLOW_PERCENT`] of the average duration.
    fn makes_progress(&self, lease: &Lease) -> bool {
        let (epochs, done) = (self.epochs_of(lease), lease.epoch);
        let spent_ms = u128::from(lease.renewed.since(lease.granted));
        let average_ms = u128::from(self.average_ms(lease.flops).unwrap_or(0));
        let ends_in_time =
            spent_ms * u128::from(epochs) * 100 <= average_ms * u128::from(done) * SLOW_PERCENT;
        0 < done && done < epochs && ends_in_time
    }
}
