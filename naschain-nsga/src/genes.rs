use std::fmt::Debug;
use std::hash::Hash;
use std::hint::select_unpredictable;

use naschain_core::{Genome, Stream};

/// A genome that NSGA-II can make and vary: the bits of a [`Genome`] or a
/// [`RealVector`](crate::RealVector).
pub trait Genes: Clone + Ord + Hash + Debug {
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
        self.swap_range(other, first.min(second)..first.max(second));
    }

    fn mutate(&mut self, probability: f64, stream: &mut Stream) {
        let mut mutations = Mutations::new(Genome::len(self), probability, stream);
        while let Some(index) = mutations.next(stream) {
            self.flip(index);
        }
    }

    fn features(&self) -> Vec<f64> {
        self.bits().map(f64::from).collect()
    }
}

/// Says which genes mutate, with one random number a mutation instead of one a gene.
pub(crate) struct Mutations {
    /// The gene from which on the next mutation may be, and the number of genes.
    from: usize,
    len: usize,
    /// The probability that 1, 2, 4, 8, ... genes in a row do not mutate; products alone, so that
    /// it is the same on every machine.
    spared: [f64; DOUBLINGS],
    /// How many of these are looked at: runs of up to `len` genes are sums of them.
    doublings: usize,
    /// The uniform number under which the probability of no mutation must fall for the next one.
    threshold: f64,
}

/// Longer runs than 2¹⁶ - 1 genes are put together from several.
const DOUBLINGS: usize = 16;

impl Mutations {
    pub(crate) fn new(len: usize, probability: f64, stream: &mut Stream) -> Self {
        let doublings = DOUBLINGS.min((usize::BITS - len.leading_zeros()) as usize);
        let mut spared = [0.0; DOUBLINGS];
        let mut power = 1.0 - probability;
        for cell in &mut spared[..doublings] {
            *cell = power;
            power *= power;
        }
        Mutations {
            from: 0,
            len,
            spared,
            doublings,
            threshold: stream.unit_f64(),
        }
    }

    /// The next gene that mutates.
    pub(crate) fn next(&mut self, stream: &mut Stream) -> Option<usize> {
        loop {
            // The longest run of genes whose probability of no mutation is above the threshold.
            let (mut run, mut none_yet) = (0, 1.0);
            for (doubling, spared) in self.spared[..self.doublings].iter().enumerate().rev() {
                let longer = none_yet * spared;
                let is_above = longer > self.threshold;
                run += usize::from(is_above) << doubling;
                none_yet = select_unpredictable(is_above, longer, none_yet);
            }
            self.from += run;
            if self.from >= self.len {
                return None;
            }
            self.threshold = stream.unit_f64();
            if run + 1 < 1 << DOUBLINGS {
                self.from += 1;
                return Some(self.from - 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use naschain_core::Purpose;
    use proptest::prelude::*;

    #[test]
    fn every_gene_mutates_with_its_probability() {
        for (probability, low, high) in [(0.0, 0, 0), (0.1, 850, 1150), (1.0, 10_000, 10_000)] {
            let mut counts = [0; 12];
            for index in 0..10_000 {
                let mut stream = Stream::new(1, Purpose::Simulation, 0, index);
                let mut genome = Genome::zeros(12);
                genome.mutate(probability, &mut stream);
                genome
                    .bits()
                    .zip(&mut counts)
                    .for_each(|(bit, count)| *count += u32::from(bit));
            }
            assert!(
                counts.iter().all(|count| (low..=high).contains(count)),
                "{counts:?}"
            );
        }
    }

    #[test]
    fn runs_without_a_mutation_may_be_long() {
        let mut stream = Stream::new(1, Purpose::Simulation, 0, 0);
        let (len, probability) = (100_000_000, 1e-5);
        let mut mutations = Mutations::new(len, probability, &mut stream);
        let mut halves = [0; 2];
        let mut before = None;
        while let Some(gene) = mutations.next(&mut stream) {
            assert!(before < Some(gene) && gene < len);
            halves[gene * 2 / len] += 1;
            before = Some(gene);
        }
        // 500 in each half, with a deviation of 22.
        assert!(
            halves.iter().all(|count| (400..600).contains(count)),
            "{halves:?}"
        );
    }

    proptest! {
        #[test]
        fn crossing_trades_one_stretch(a in "[01]{1,130}", seed: u64) {
            let mut stream = Stream::new(seed, Purpose::Simulation, 0, 0);
            let (mut one, mut other): (Genome, Genome) = (a.parse().unwrap(), a.parse().unwrap());
            (0..a.len()).for_each(|index| other.flip(index));
            one.cross(&mut other, &mut stream);
            let parent: Genome = a.parse().unwrap();
            let traded: Vec<bool> = one.bits().zip(parent.bits()).map(|(x, y)| x != y).collect();
            prop_assert!(traded.chunk_by(|x, y| x == y).filter(|run| run[0]).count() == 1);
            prop_assert!(one.bits().zip(other.bits()).all(|(x, y)| x != y));
        }

        #[test]
        fn genomes_are_counted_in_order(len in 1usize..12) {
            let all: Vec<Genome> = (0..1 << len).map_while(|index| Genome::nth(len, index)).collect();
            prop_assert_eq!(all.len(), 1 << len);
            prop_assert!(all.is_sorted_by(|a, b| a < b));
            prop_assert_eq!(Genome::nth(len, 1 << len), None);
        }
    }
}
