use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A set of numbers that is small while they are used nearly in order: ranges, first to last.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct IdSet {
    ranges: BTreeMap<u64, u64>,
}

impl IdSet {
    pub(super) fn contains(&self, id: u64) -> bool {
        let below = self.ranges.range(..=id).next_back();
        below.is_some_and(|(_, last)| id <= *last)
    }

    pub(super) fn insert(&mut self, id: u64) {
        if self.contains(id) {
            return;
        }
        let after = id.checked_add(1).and_then(|next| self.ranges.remove(&next));
        let last = after.unwrap_or(id);
        match self.ranges.range_mut(..id).next_back() {
            Some((_, end)) if end.checked_add(1) == Some(id) => *end = last,
            _ => {
                self.ranges.insert(id, last);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_a_set(ids in prop::collection::vec(prop_oneof![0u64..40, Just(u64::MAX), Just(u64::MAX - 1)], 0..60)) {
            let mut ranges = IdSet::default();
            let mut plain = BTreeSet::new();
            for id in ids {
                ranges.insert(id);
                plain.insert(id);
                for probe in (0..41).chain([u64::MAX - 2, u64::MAX - 1, u64::MAX]) {
                    prop_assert_eq!(ranges.contains(probe), plain.contains(&probe));
                }
            }
            let gaps = plain.iter().filter(|id| **id > 0 && !plain.contains(&(**id - 1))).count();
            let runs = gaps + usize::from(plain.contains(&0));
            prop_assert_eq!(ranges.ranges.len(), runs);
        }
    }
}
