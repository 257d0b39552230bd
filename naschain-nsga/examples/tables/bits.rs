//! A table whose genes are bits, as those of the spaces of runs are.

use naschain_core::Genome;
use naschain_nsga::{Design, OperationGraph, Space};

use crate::table::Table;

/// A [`Table`] with genomes of bits: each gene is a binary number, which is read modulo the number of its
/// values.
#[derive(Clone, Copy)]
pub(crate) struct BitTable<'t> {
    pub(crate) table: &'t Table,
    /// Whether the surrogate also learns from a feature for each value of each gene.
    pub(crate) has_categories: bool,
}

/// Bits of a gene with this number of values.
fn width(choices: usize) -> usize {
    (usize::BITS - choices.saturating_sub(1).leading_zeros()) as usize
}

impl BitTable<'_> {
    pub(crate) fn genome_len(&self) -> usize {
        self.table.choices().map(width).sum()
    }

    fn genes(&self, genome: &Genome) -> Vec<usize> {
        let mut bits = genome.bits();
        let gene = |choices: usize| {
            let number = bits.by_ref().take(width(choices));
            number.fold(0, |number, bit| 2 * number + usize::from(bit)) % choices
        };
        self.table.choices().map(gene).collect()
    }

    pub(crate) fn design(&self, genome: &Genome) -> Design {
        self.table.design(&self.genes(genome))
    }
}

impl Space for BitTable<'_> {
    type Genome = Genome;

    fn repaired(&self, genome: Genome) -> Genome {
        let genes = self.genes(&genome).into_iter().zip(self.table.choices());
        let bits = genes.flat_map(|(gene, choices)| {
            (0..width(choices))
                .rev()
                .map(move |bit| gene >> bit & 1 == 1)
        });
        Genome::from_bits(bits)
    }

    fn known_objectives(&self, genome: &Genome) -> Vec<Option<f64>> {
        self.table.known_objectives(&self.design(genome))
    }

    fn features(&self, genome: &Genome) -> Vec<f64> {
        if !self.has_categories {
            return Vec::new();
        }
        let genes = self.genes(genome).into_iter().zip(self.table.choices());
        let values = genes.flat_map(|(gene, choices)| (0..choices).map(move |value| value == gene));
        values
            .map(|is_value| f64::from(u8::from(is_value)))
            .collect()
    }

    fn graphs(&self, genome: &Genome) -> Vec<OperationGraph> {
        self.table.graphs(&self.design(genome))
    }
}
