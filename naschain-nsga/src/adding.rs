use crate::lineage::Parents;
use crate::state::Slot;
use crate::{Search, Space};

impl<S: Space> Search<S> {
    pub(crate) fn keyed(&self, genome: S::Genome, parents: Parents) -> Keyed<S::Genome> {
        let genome = self.state.space.repaired(genome);
        Keyed {
            canonical: self.state.space.canonical(&genome),
            genome,
            parents,
        }
    }

    /// Adds a candidate and returns `true`, unless its canonical form belongs to another one.
    #[inline]
    pub(crate) fn add(&mut self, genome: S::Genome, parents: Parents) -> bool {
        self.add_keyed(self.keyed(genome, parents))
    }

    /// As [`Search::add`], with a canonical form that is known already.
    #[inline]
    pub(crate) fn add_keyed(&mut self, keyed: Keyed<S::Genome>) -> bool {
        let Keyed {
            genome,
            canonical,
            parents,
        } = keyed;
        if !self.dedup.insert(&self.state.slots, &genome, canonical) {
            self.state.duplicates += 1;
            return false;
        }
        if self.has_rungs() {
            self.ladder.begin();
        }
        self.push_slot(genome, parents);
        true
    }

    /// Adds a candidate that has its place on the ladder already.
    #[inline]
    pub(crate) fn push_slot(&mut self, genome: S::Genome, parents: Parents) {
        self.state.parents.push(parents);
        // Unlike `push`, this constructs the slot in place.
        let slot = std::iter::once_with(|| Slot::Pending(genome));
        self.state.slots.extend(slot);
        let rows = &mut self.scores.rows;
        rows.resize(rows.len() + self.scores.objectives, f64::NAN);
        self.scores.violations.push(f64::INFINITY);
        self.pending += 1;
    }
}

/// A genome with its canonical form.
pub(crate) struct Keyed<G> {
    pub(crate) genome: G,
    pub(crate) canonical: G,
    pub(crate) parents: Parents,
}
