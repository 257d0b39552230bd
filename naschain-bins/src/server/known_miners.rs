//! What is known of miners from all runs of a server.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use naschain_consensus::{MinerId, TrackRecord};
use naschain_core::Digest;

/// Most hotkeys; beyond it, the one that was admitted first is forgotten and examined again. Each has
/// cost a training.
pub(crate) const MAX_KNOWN: usize = 20_000;
/// Runs of which the records of a miner are remembered.
const MAX_RUNS: usize = 8;

/// The hotkeys that have passed an entrance examination in one of the runs, and so need no further one,
/// and what their answers in the runs say of them.
#[derive(Default)]
pub(crate) struct KnownMiners(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    /// The latest run is the last one.
    miners: BTreeMap<MinerId, VecDeque<(Digest, TrackRecord)>>,
    /// The same, the oldest first.
    oldest: VecDeque<MinerId>,
    /// Records that the home's database does not have.
    changed: BTreeSet<(MinerId, Digest)>,
}

impl Remembered {
    /// The records of a miner, which is remembered from now on.
    fn records(&mut self, miner: MinerId) -> &mut VecDeque<(Digest, TrackRecord)> {
        if !self.miners.contains_key(&miner) {
            self.oldest.push_back(miner.clone());
            if self.oldest.len() > MAX_KNOWN
                && let Some(first) = self.oldest.pop_front()
            {
                self.miners.remove(&first);
            }
        }
        self.miners.entry(miner).or_default()
    }
}

impl KnownMiners {
    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a hotkey was admitted.
    pub(crate) fn has(&self, miner: &MinerId) -> bool {
        self.lock().miners.contains_key(miner)
    }

    /// What is known of a miner from all runs, if it is more than nothing.
    pub(crate) fn track_record(&self, miner: &MinerId) -> Option<TrackRecord> {
        let known = self.lock();
        let records = known.miners.get(miner)?.iter().map(|(_, record)| *record);
        // What has admitted it is no answer.
        let records = records.filter(|record| *record != TrackRecord::default());
        records.reduce(TrackRecord::with)
    }

    /// Admits a hotkey that has passed the examination of a run here.
    pub(super) fn admit(&self, miner: MinerId, run: Digest) {
        if !self.has(&miner) {
            self.note(miner, run, TrackRecord::default(), true);
        }
    }

    /// Notes what the answers of a miner in a run say of it; `is_new` if the home's database does not have
    /// it.
    pub(crate) fn note(&self, miner: MinerId, run: Digest, record: TrackRecord, is_new: bool) {
        let mut known = self.lock();
        let key = (miner.clone(), run);
        if !is_new && known.changed.contains(&key) {
            return;
        }
        let records = known.records(miner);
        match records.iter_mut().find(|(one, _)| *one == run) {
            Some((_, before)) if *before == record => return,
            Some((_, before)) => *before = record,
            None => {
                if records.len() == MAX_RUNS {
                    records.pop_front();
                }
                records.push_back((run, record));
            }
        }
        if is_new {
            known.changed.insert(key);
        }
    }

    /// Takes what has changed here since the last call.
    pub(crate) fn take_changed(&self) -> Vec<(MinerId, Digest, TrackRecord)> {
        let mut known = self.lock();
        let changed = std::mem::take(&mut known.changed);
        let found = changed.into_iter().filter_map(|(miner, run)| {
            let records = known.miners.get(&miner)?;
            let (_, record) = records.iter().find(|(one, _)| *one == run)?;
            Some((miner, run, *record))
        });
        found.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: Digest = Digest([1; 32]);

    fn name(number: usize) -> MinerId {
        format!("m{number}").parse().unwrap()
    }

    #[test]
    fn the_first_are_forgotten() {
        let known = KnownMiners::default();
        for number in 0..=MAX_KNOWN {
            known.admit(name(number), RUN);
            known.admit(name(number), RUN);
        }
        assert!(!known.has(&name(0)) && known.has(&name(1)));
        assert_eq!(known.lock().miners.len(), MAX_KNOWN);
    }

    #[test]
    fn what_has_changed_is_taken_once_and_runs_are_merged() {
        let (known, ada) = (KnownMiners::default(), name(1));
        let good = TrackRecord {
            valid_in_a_row: 9,
            credit: 4,
            flops_per_second: 100,
        };
        let bad = TrackRecord {
            valid_in_a_row: 0,
            credit: 1,
            flops_per_second: 300,
        };
        known.admit(ada.clone(), RUN);
        assert_eq!(known.track_record(&ada), None, "nothing is known yet");
        assert_eq!(known.take_changed().len(), 1);
        known.note(ada.clone(), RUN, good, true);
        assert_eq!(known.take_changed(), [(ada.clone(), RUN, good)]);
        known.note(ada.clone(), RUN, good, true);
        assert_eq!(known.take_changed(), []);
        assert_eq!(known.track_record(&ada), Some(good));
        // Of another run, from the database.
        known.note(ada.clone(), Digest([2; 32]), bad, false);
        assert_eq!(known.take_changed(), []);
        assert_eq!(known.track_record(&ada), Some(good.with(bad)));
        for run in 3..20 {
            known.note(ada.clone(), Digest([run; 32]), good, false);
        }
        assert_eq!(
            known.track_record(&ada),
            Some(good),
            "only the last runs count"
        );
    }
}
