use naschain_core::Stream;

use crate::lineage::Parents;
use crate::{Genes, Search, Space};

impl<S: Space> Search<S> {
    /// Genome number `index` of an enumeration of the space.
    fn nth(&self, index: u64) -> Option<S::Genome> {
        S::Genome::nth(
            self.state.space.domain(),
            self.state.config.genome_len,
            index,
        )
    }

    /// Whether the space is small enough to be enumerated.
    pub(crate) fn is_enumerable(&self) -> bool {
        self.nth(0).is_some() && self.nth(MAX_ENUMERATED).is_none()
    }

    /// Adds the first new genome after a random one in the order of an enumerable space.
    pub(crate) fn add_enumerated(&mut self, stream: &mut Stream) -> bool {
        if !self.is_enumerable() {
            return false;
        }
        let count = (0..MAX_ENUMERATED)
            .take_while(|&index| self.nth(index).is_some())
            .count() as u64;
        let start = stream.below(count);
        (start..count).chain(0..start).any(|index| {
            let genome = self.nth(index);
            genome.is_some_and(|genome| self.add(genome, Parents::NONE))
        })
    }
}

/// Maximum number of genomes of a space that is enumerated.
const MAX_ENUMERATED: u64 = 1 << 16;
