//! Which uploads are being checked.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

/// The checks of a genomaster.
pub(crate) struct UploadChecks {
    /// One at a time, so that they take at most one core and one share of memory.
    pub(super) turn: Semaphore,
    running: Mutex<BTreeSet<String>>,
}

impl Default for UploadChecks {
    fn default() -> UploadChecks {
        UploadChecks {
            turn: Semaphore::new(1),
            running: Mutex::default(),
        }
    }
}

impl UploadChecks {
    /// The uploads that are being checked.
    pub(super) fn running(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
