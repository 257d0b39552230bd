//! What is known of miners from all runs of a server.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use naschain_consensus::{MinerId, TrackRecord};

/// Most hotkeys; beyond it, the one that was admitted first is forgotten and examined again. Each has
/// cost a training.
pub(crate) const MAX_KNOWN: usize = 20_000;

/// The hotkeys that have passed an entrance examination in one of the runs, and so need no further one,
/// and what their answers in all runs say of them.
#[derive(Default)]
pub(crate) struct KnownMiners(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    miners: BTreeMap<MinerId, TrackRecord>,
    /// The same, the oldest first.
    oldest: VecDeque<MinerId>,
    /// Those that the home's database does not have as they are.
    changed: BTreeSet<MinerId>,
}

impl Remembered {
    fn add(&mut self, miner: MinerId, record: TrackRecord) {
        if self.miners.insert(miner.clone(), record).is_some() {
            return;
        }
        self.oldest.push_back(miner);
        if self.oldest.len() > MAX_KNOWN
            && let Some(first) = self.oldest.pop_front()
        {
            self.miners.remove(&first);
        }
    }
}

impl KnownMiners {
    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a hotkey was admitted.
    pub(super) fn has(&self, miner: &MinerId) -> bool {
        self.lock().miners.contains_key(miner)
    }

    /// What is known of a miner, if it is more than nothing.
    pub(super) fn track_record(&self, miner: &MinerId) -> Option<TrackRecord> {
        let record = self.lock().miners.get(miner).copied();
        record.filter(|record| *record != TrackRecord::default())
    }

    /// Admits a hotkey that has passed an examination here.
    pub(super) fn admit(&self, miner: MinerId) {
        let mut known = self.lock();
        if !known.miners.contains_key(&miner) {
            known.changed.insert(miner.clone());
            known.add(miner, TrackRecord::default());
        }
    }

    /// Notes what the answers of a miner say of it, if it was admitted.
    pub(crate) fn note(&self, miner: &MinerId, record: TrackRecord) {
        let mut known = self.lock();
        if let Some(before) = known.miners.get_mut(miner)
            && *before != record
        {
            *before = record;
            known.changed.insert(miner.clone());
        }
    }

    /// Takes what has changed here since the last call.
    pub(crate) fn take_changed(&self) -> Vec<(MinerId, TrackRecord)> {
        let mut known = self.lock();
        let changed = std::mem::take(&mut known.changed);
        let found = changed.into_iter().filter_map(|miner| {
            let record = *known.miners.get(&miner)?;
            Some((miner, record))
        });
        found.collect()
    }

    /// Remembers what the home's database has.
    pub(crate) fn remember(&self, miner: MinerId, record: TrackRecord) {
        let mut known = self.lock();
        if !known.changed.contains(&miner) {
            known.add(miner, record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_are_forgotten() {
        let known = KnownMiners::default();
        let name = |number: usize| format!("m{number}").parse::<MinerId>().unwrap();
        for number in 0..=MAX_KNOWN {
            known.admit(name(number));
            known.admit(name(number));
        }
        assert!(!known.has(&name(0)) && known.has(&name(1)));
        assert_eq!(known.lock().miners.len(), MAX_KNOWN);
    }

    #[test]
    fn what_has_changed_is_taken_once() {
        let known = KnownMiners::default();
        let (ada, eve): (MinerId, MinerId) = ("ada".parse().unwrap(), "eve".parse().unwrap());
        let record = TrackRecord {
            credit: 2,
            ..TrackRecord::default()
        };
        known.admit(ada.clone());
        assert_eq!(known.track_record(&ada), None, "nothing is known yet");
        known.note(&ada, record);
        known.note(&eve, record);
        assert_eq!(known.take_changed(), [(ada.clone(), record)]);
        known.note(&ada, record);
        assert_eq!(known.take_changed(), []);
        known.remember(eve.clone(), record);
        assert_eq!(known.track_record(&eve), Some(record));
    }
}
