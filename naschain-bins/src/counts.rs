//! Counts of concurrent uses by key, such as connections of a network or waiting requests of a miner.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many uses each key has at a time. Memory grows with the uses only.
pub(crate) struct Counts<K>(Mutex<BTreeMap<K, usize>>);

/// A counted use; dropping it releases the count.
pub(crate) struct CountedUse<K: Ord> {
    counts: Arc<Counts<K>>,
    key: K,
}

impl<K> Default for Counts<K> {
    fn default() -> Counts<K> {
        Counts(Mutex::new(BTreeMap::new()))
    }
}

impl<K: Ord + Clone> Counts<K> {
    /// Counts another use of a key; `None` if it has `limit` already.
    pub(crate) fn enter(self: &Arc<Self>, key: &K, limit: usize) -> Option<CountedUse<K>> {
        let mut counts = self.lock();
        let count = counts.entry(key.clone()).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(CountedUse {
            counts: self.clone(),
            key: key.clone(),
        })
    }
}

impl<K> Counts<K> {
    /// Ignores poisoning: no update can be left incomplete by a panic.
    pub(crate) fn lock(&self) -> MutexGuard<'_, BTreeMap<K, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Ord> Drop for CountedUse<K> {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_a_limited_number_of_uses() {
        let counts = Arc::new(Counts::default());
        let (ada, bob) = ("ada".to_owned(), "bob".to_owned());
        let first = counts.enter(&ada, 2).unwrap();
        let _second = counts.enter(&ada, 2).unwrap();
        assert!(counts.enter(&ada, 2).is_none());
        assert!(counts.enter(&bob, 2).is_some());
        drop(first);
        assert!(counts.enter(&ada, 2).is_some());
        assert_eq!(counts.lock().len(), 1);
    }
}
