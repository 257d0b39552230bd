//! Which genomasters had no work for which miners a moment ago.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use naschain_consensus::MinerId;

use crate::clock;

/// How long a genomaster that had no work for a miner is not asked again.
const PAUSE: Duration = Duration::from_secs(1);
/// The same for questions, which are rare and wait for minutes.
const QUESTION_PAUSE: Duration = Duration::from_secs(5);

/// A genomaster, a miner, and whether it was about questions.
pub(super) type Asked = (String, MinerId, bool);

/// The genomasters that had no work.
#[derive(Default)]
pub(super) struct WithoutWork(Mutex<BTreeMap<Asked, Instant>>);

impl WithoutWork {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Asked, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it may be asked.
    pub(super) fn may_ask(&self, asked: &Asked) -> bool {
        let known = self.lock();
        known
            .get(asked)
            .is_none_or(|since| since.elapsed() >= pause(asked))
    }

    /// It had no work.
    pub(super) fn note(&self, asked: Asked) {
        self.lock().insert(asked, clock::now());
    }

    /// Forgets what is over.
    pub(super) fn clean(&self) {
        self.lock()
            .retain(|asked, since| since.elapsed() < pause(asked));
    }
}

fn pause((_, _, is_question): &Asked) -> Duration {
    if *is_question { QUESTION_PAUSE } else { PAUSE }
}
