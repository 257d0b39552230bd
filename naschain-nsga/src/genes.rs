use std::fmt::Debug;

use naschain_core::{Genome, Stream};

/// A genome that NSGA-II can make and vary: the bits of a [`Genome`] or a
/// [`RealVector`](crate::RealVector).
pub trait Genes: Clone + Ord + Debug {
    /// A genome of `len` genes, each of its values equally likely.
    fn random(len: usize, stream: &mut Stream) -> Self;

    /// Genome number `index` of all genomes of `len` genes, or `None` beyond the last one or
    /// where they cannot be counted.
    fn nth(len: usize, index: u64) -> Option<Self>;

    /// The number of genes.
    fn gene_count(&self) -> usize;

    /// Crosses two genomes of one length, which become the children.
    fn cross(&mut self, other: &mut Self, stream: &mut Stream);

    /// Mutates each gene with this probability.
    fn mutate(&mut self, probability: f64, stream: &mut Stream);

    /// Numbers that say what the genome is, as many for each genome of one length: what a linear
    /// model learns from.
    fn features(&self) -> Vec<f64>;
}

/// Two-point crossover and bit-flip mutation.
impl Genes for Genome {
    fn random(len: usize, stream: &mut Stream) -> Self {
        let mut word = 0;
        Genome::from_bits((0..len).map(|index| {
            if index.is_multiple_of(64) {
                word = stream.next_u64();
            }
            word >> (index % 64) & 1 == 1
        }))
    }

    fn nth(len: usize, index: u64) -> Option<Self> {
        (len < 64 && index >> len == 0)
            .then(|| Genome::from_bits((0..len).rev().map(|place| index >> place & 1 == 1)))
    }

    fn gene_count(&self) -> usize {
        Genome::len(self)
    }

    fn cross(&mut self, other: &mut Self, stream: &mut Stream) {
        // Two of the len + 1 places between bits, the ends included; different ones.
        let places = Genome::len(self) + 1;
        let first = stream.index(places);
        let second = (first + 1 + stream.index(places - 1)) % places;
        for index in first.min(second)..first.max(second) {
            if self.get(index) != other.get(index) {
                self.flip(index);
                other.flip(index);
            }
        }
    }

    fn mutate(&mut self, probability: f64, stream: &mut Stream) {
        for index in 0..Genome::len(self) {
            if stream.chance(probability) {
                self.flip(index);
            }
        }
    }
    fn features(&self) -> Vec<f64> {
        self.bits().map(f64::from).collect()
    }
}
