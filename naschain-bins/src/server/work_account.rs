//! What a user's runs get of the miners' work, and the processor time that they have used.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use naschain_consensus::{FairShare, LeaseId};
use naschain_run::{Job, RunSpec};

use crate::clock;

/// The shares of all users of a genomaster.
pub(crate) type Shares = Arc<Mutex<FairShare<String>>>;

/// Leases whose beginning is remembered, at most; the oldest are forgotten first.
const MAX_LEASES: usize = 100_000;

/// The account of one run, which is its owner's.
pub(crate) struct WorkAccount {
    user: String,
    shares: Shares,
    begun: Mutex<BTreeMap<LeaseId, Instant>>,
    /// Time of ended leases that is not in the database yet.
    used_ms: AtomicU64,
    /// Work that was handed out and that other genomasters have not been told.
    new_work: AtomicU64,
}

impl WorkAccount {
    /// Charges this user.
    pub(crate) fn new(user: String, shares: Shares) -> WorkAccount {
        WorkAccount {
            user,
            shares,
            begun: Mutex::default(),
            used_ms: AtomicU64::new(0),
            new_work: AtomicU64::new(0),
        }
    }

    /// A miner has got this job.
    pub(crate) fn charge(&self, spec: &RunSpec, job: &Job) {
        let work = training_work(spec, job);
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        shares.charge(&self.user, work);
        drop(shares);
        self.new_work.fetch_add(work, Ordering::Relaxed);
        let mut begun = self.begun();
        begun.insert(job.lease, clock::now());
        if begun.len() > MAX_LEASES {
            begun.pop_first();
        }
    }

    /// A miner has answered under this lease.
    pub(crate) fn answered(&self, lease: LeaseId) {
        if let Some(begun) = self.begun().remove(&lease) {
            let ms = begun.elapsed().as_millis() as u64;
            self.used_ms.fetch_add(ms, Ordering::Relaxed);
        }
    }

    /// Takes the time that was used since the last call.
    pub(crate) fn take_used_ms(&self) -> u64 {
        self.used_ms.swap(0, Ordering::Relaxed)
    }

    /// Takes the work that was handed out since the last call, in FLOPs.
    pub(crate) fn take_new_work(&self) -> u64 {
        self.new_work.swap(0, Ordering::Relaxed)
    }

    fn begun(&self) -> MutexGuard<'_, BTreeMap<LeaseId, Instant>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// FLOPs of the forward passes of a job's training, to which its time is about proportional.
fn training_work(spec: &RunSpec, job: &Job) -> u64 {
    let costs = spec.costs_of(&job.genome);
    let flops = costs.map_or(1, |costs| costs.flops);
    let epochs = job.part.map_or(spec.recipe.epochs, |part| {
        part.until_epoch.saturating_sub(part.from_epoch)
    });
    let images = spec.recipe.train_images as u64;
    flops
        .saturating_mul(images)
        .saturating_mul(u64::from(epochs))
        .max(1)
}
