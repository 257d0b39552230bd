//! Which miners have asked for work a moment ago, whether there was any or not, and how fast they were
//! when they trained last.

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
pub(super) struct WaitingMiners {
    asked: Mutex<BTreeMap<MinerId, Instant>>,
    /// FLOPs in a second. What they say of themselves counts for estimates only.
    paces: Mutex<BTreeMap<MinerId, f64>>,
}

impl WaitingMiners {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<MinerId, Instant>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the FLOPs that a miner does in a second.
    pub(super) fn note_pace(&self, miner: MinerId, flops_per_second: f64) {
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        if paces.len() >= MAX_REMEMBERED && !paces.contains_key(&miner) {
            paces.pop_first();
        }
        paces.insert(miner, flops_per_second);
    }

    /// The FLOPs that a miner did in a second when it trained last.
    pub(super) fn pace(&self, miner: &MinerId) -> Option<f64> {
        let paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        paces.get(miner).copied()
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
