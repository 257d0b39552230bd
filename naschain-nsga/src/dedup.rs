use std::collections::BTreeMap;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::Genes;
use crate::state::Slot;

/// Finds duplicates among the candidates by their canonical forms, each of which is computed once.
///
/// Only membership is asked of the hash table, so nothing depends on its layout. The methods take the
/// candidates as an argument, so that most genomes are stored only once.
#[derive(Clone, Debug)]
pub(crate) struct DedupIndex<G> {
    /// The candidates' indices, hashed by their canonical forms.
    table: HashTable<u32>,
    /// The canonical forms that differ from the candidates' genomes, by candidate.
    forms: BTreeMap<usize, G>,
}

impl<G: Genes> DedupIndex<G> {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        DedupIndex {
            table: HashTable::with_capacity(capacity),
            forms: BTreeMap::new(),
        }
    }

    /// The canonical form of a candidate.
    pub(crate) fn canonical<'a>(&'a self, candidates: &'a [Slot<G>], index: usize) -> &'a G {
        canonical(&self.forms, candidates, index)
    }

    /// Returns whether a candidate has this canonical form.
    pub(crate) fn contains(&self, candidates: &[Slot<G>], form: &G) -> bool {
        let is_equal = |index: &u32| self.canonical(candidates, *index as usize) == form;
        self.table.find(hash(form), is_equal).is_some()
    }

    /// Adds the next candidate and returns `true`, unless another one has its canonical form.
    #[inline]
    pub(crate) fn insert(&mut self, candidates: &[Slot<G>], genome: &G, form: G) -> bool {
        let DedupIndex { table, forms } = self;
        let is_equal = |index: &u32| *canonical(forms, candidates, *index as usize) == form;
        let rehash = |index: &u32| hash(canonical(forms, candidates, *index as usize));
        match table.entry(hash(&form), is_equal, rehash) {
            Entry::Occupied(_) => return false,
            Entry::Vacant(entry) => entry.insert(candidates.len() as u32),
        };
        if form != *genome {
            forms.insert(candidates.len(), form);
        }
        true
    }

    /// Keeps the first `len` candidates.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.table.retain(|index| (*index as usize) < len);
        self.forms.split_off(&len);
    }
}

#[inline]
fn canonical<'a, G>(
    forms: &'a BTreeMap<usize, G>,
    candidates: &'a [Slot<G>],
    index: usize,
) -> &'a G {
    let form = forms.get(&index);
    form.unwrap_or_else(|| candidates[index].genome())
}

#[inline]
fn hash<G: Genes>(genome: &G) -> u64 {
    FixedState::default().hash_one(genome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use naschain_core::Genome;
    use proptest::prelude::*;

    proptest! {
        /// The canonical form of a number is the number without its last bit.
        #[test]
        fn it_is_a_set_of_canonical_forms(
            numbers in prop::collection::vec(0u16..600, 0..600),
            kept in 0usize..200,
            capacity in 0usize..100,
        ) {
            let genome = |number: u16| Genome::from_bits((0..16).map(|bit| number >> bit & 1 == 1));
            let mut index = DedupIndex::with_capacity(capacity);
            let (mut candidates, mut order) = (Vec::new(), Vec::new());
            for number in numbers {
                let is_new = !order.contains(&(number & !1));
                let added = index.insert(&candidates, &genome(number), genome(number & !1));
                prop_assert_eq!(added, is_new);
                if is_new {
                    order.push(number & !1);
                    candidates.push(Slot::Pending(genome(number)));
                }
            }
            for step in 0..2 {
                for number in 0..600 {
                    let found = index.contains(&candidates, &genome(number));
                    prop_assert_eq!(found, order.contains(&number), "{} {}", step, number);
                }
                for (at, number) in order.iter().enumerate() {
                    prop_assert_eq!(index.canonical(&candidates, at), &genome(*number));
                }
                index.truncate(kept);
                candidates.truncate(kept);
                order.truncate(kept);
            }
        }
    }
}
