//! The hotkeys that have passed an entrance examination of one of many runs.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use naschain_consensus::MinerId;

/// Most hotkeys; beyond it, the one that was admitted first is forgotten and examined
/// again. Each has cost a training.
pub(crate) const MAX_ADMITTED: usize = 20_000;

/// Hotkeys that need no further examination.
#[derive(Default)]
pub(crate) struct Admitted(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    miners: BTreeSet<MinerId>,
    /// The same, the oldest first.
    oldest: VecDeque<MinerId>,
    /// Those that the home's database does not have yet.
    new: Vec<MinerId>,
}

impl Admitted {
    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a hotkey was admitted.
    pub(super) fn has(&self, miner: &MinerId) -> bool {
        self.lock().miners.contains(miner)
    }

    /// Admits a hotkey that has passed an examination here.
    pub(super) fn add(&self, miner: MinerId) {
        if self.remember(miner.clone()) {
            self.lock().new.push(miner);
        }
    }

    /// Takes the hotkeys that have passed an examination here since the last call.
    pub(crate) fn take_new(&self) -> Vec<MinerId> {
        std::mem::take(&mut self.lock().new)
    }

    /// Admits a hotkey; false if it was known.
    pub(crate) fn remember(&self, miner: MinerId) -> bool {
        let mut known = self.lock();
        if !known.miners.insert(miner.clone()) {
            return false;
        }
        known.oldest.push_back(miner);
        if known.oldest.len() > MAX_ADMITTED
            && let Some(first) = known.oldest.pop_front()
        {
            known.miners.remove(&first);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_are_forgotten() {
        let admitted = Admitted::default();
        let name = |number: usize| format!("m{number}").parse::<MinerId>().unwrap();
        for number in 0..=MAX_ADMITTED {
            admitted.add(name(number));
            admitted.add(name(number));
        }
        assert!(!admitted.has(&name(0)) && admitted.has(&name(1)));
        assert_eq!(admitted.lock().miners.len(), MAX_ADMITTED);
    }
}
