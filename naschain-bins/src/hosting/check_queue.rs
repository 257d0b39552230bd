//! Which uploads are being checked.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

/// Checks at a time.
const MAX_CHECKS: usize = 2;

/// The checks of a genomaster.
pub(crate) struct UploadChecks {
    /// A few at a time, so that they leave cores and memory to others.
    pub(super) turn: Semaphore,
    running: Mutex<BTreeSet<String>>,
}

impl Default for UploadChecks {
    fn default() -> UploadChecks {
        UploadChecks {
            turn: Semaphore::new(MAX_CHECKS),
            running: Mutex::default(),
        }
    }
}

impl UploadChecks {
    /// How many uploads are being checked or wait for it.
    pub(super) fn count(&self) -> usize {
        self.running().len()
    }

    /// The uploads that are being checked.
    pub(super) fn running(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
