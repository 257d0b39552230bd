//! Which miners have asked for work a moment ago, whether there was any or not.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use naschain_consensus::MinerId;

use crate::clock;

/// A miner that has asked for nothing for so long is away: one that waits asks again within 30 s.
const AWAY_AFTER: Duration = Duration::from_secs(60);
/// Miners that are remembered, at most: names cost nothing where nothing is signed.
const MAX_REMEMBERED: usize = 10_000;

/// The miners that have asked for work.
#[derive(Default)]
pub(super) struct WaitingMiners(Mutex<BTreeMap<MinerId, Instant>>);

impl WaitingMiners {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<MinerId, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A miner asks for work.
    pub(super) fn note(&self, miner: &MinerId) {
        let mut asked = self.lock();
        if asked.len() >= MAX_REMEMBERED {
            asked.retain(|_, since| since.elapsed() < AWAY_AFTER);
        }
        if asked.len() < MAX_REMEMBERED || asked.contains_key(miner) {
            asked.insert(miner.clone(), clock::now());
        }
    }

    /// Those that are here.
    pub(super) fn here(&self) -> Vec<MinerId> {
        let mut asked = self.lock();
        asked.retain(|_, since| since.elapsed() < AWAY_AFTER);
        asked.keys().cloned().collect()
    }
}
