use std::fmt::Debug;
use std::hash::Hash;
use std::ops::Range;
use std::sync::Arc;

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

    /// Mutates the genes that `mutations` names, until it names no more.
    fn mutate(&mut self, mutations: &mut Mutations, stream: &mut Stream);

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
        let (first, second) = stream.two_indices(places);
        let second = second + usize::from(second >= first);
        self.swap_range(other, first.min(second)..first.max(second));
    }

    fn mutate(&mut self, mutations: &mut Mutations, stream: &mut Stream) {
        while let Some(index) = mutations.next(stream) {
            self.flip(index);
        }
    }

    fn features(&self) -> Vec<f64> {
        self.bits().map(f64::from).collect()
    }
}

/// Says which genes of genome after genome mutate, each with the same probability: with one random
/// number a mutation, not one a gene.
#[derive(Clone, Debug)]
pub struct Mutations {
    /// Genes of a genome.
    len: usize,
    rows: Arc<SparedRows>,
    /// The gene up to which it is known that none mutates; beyond `len` in the genomes to come.
    at: usize,
    /// Whether that gene mutates.
    mutates: bool,
    /// Genes that mutate next, whatever their probability.
    stretch: Range<usize>,
}

/// How many genes in a row do not mutate, by a uniform whole number below 2⁵³.
#[derive(Debug)]
struct SparedRows {
    /// The probability that 1, 2, 3, ... genes in a row do not mutate, times 2⁵³ and rounded up.
    limits: Vec<u64>,
    /// How many of these are above the least number of each of [`PARTS`] equal parts, and at last above
    /// all numbers.
    above: Vec<u16>,
}

/// Longer rows of genes that do not mutate are put together from several; few are longer than this
/// many genomes, or genes.
const LONGEST_ROW: (usize, usize) = (3, 512);

/// The most genes of a stretch.
const LONGEST_STRETCH: usize = 8;

/// Parts of the uniform numbers, a power of 2.
const PARTS: usize = 1 << PART_BITS;
const PART_BITS: u32 = 10;

impl SparedRows {
    fn new(len: usize, probability: f64) -> Self {
        const ALL: f64 = (1u64 << 53) as f64;
        // Products alone, so that it is the same on every machine.
        let one = 1.0 - probability;
        let longest = (LONGEST_ROW.0 * len).min(LONGEST_ROW.1);
        let spared = std::iter::successors(Some(one), |row| Some(row * one));
        let limits = spared.take(longest).map(|row| (row * ALL).ceil() as u64);
        let limits: Vec<u64> = limits.collect();
        let mut count = limits.len();
        let mut above = |part: usize| {
            let least = (part as u64) << (53 - PART_BITS);
            count = limits[..count].partition_point(|&limit| limit > least);
            count as u16
        };
        SparedRows {
            above: (0..=PARTS).map(&mut above).collect(),
            limits,
        }
    }

    /// A random number of genes in a row that do not mutate, and whether the gene after them does.
    #[inline]
    fn random(&self, stream: &mut Stream) -> (usize, bool) {
        let uniform = stream.next_u64() >> 11;
        let part = (uniform >> (53 - PART_BITS)) as usize;
        let mut row = usize::from(self.above[part + 1]);
        // Few limits lie within a part.
        while row < self.limits.len() && self.limits[row] > uniform {
            row += 1;
        }
        (row, row < self.limits.len())
    }
}

impl Mutations {
    /// For genomes of `len` genes, at least 1, that mutate with this probability each.
    pub fn new(len: usize, probability: f64) -> Self {
        Mutations {
            len,
            rows: Arc::new(SparedRows::new(len, probability)),
            at: 0,
            mutates: false,
            stretch: 0..0,
        }
    }

    /// For one genome: all genes of a stretch mutate, and no other; its place is random, and so is its
    /// length, 2 to 8 where there are as many genes.
    pub(crate) fn of_a_stretch(&self, stream: &mut Stream) -> Self {
        let most = LONGEST_STRETCH.min(self.len);
        let count = most.min(2 + stream.index(most.max(2) - 1));
        let start = stream.index(self.len - count + 1);
        Mutations {
            len: 0,
            rows: self.rows.clone(),
            at: 0,
            mutates: false,
            stretch: start..start + count,
        }
    }

    /// The next gene of this genome that mutates; after `None` the next genome begins.
    #[inline]
    pub fn next(&mut self, stream: &mut Stream) -> Option<usize> {
        if let Some(gene) = self.stretch.next() {
            return Some(gene);
        }
        while self.at < self.len {
            let (gene, mutates) = (self.at, self.mutates);
            let (spared, next_mutates) = self.rows.random(stream);
            self.at += usize::from(mutates) + spared;
            self.mutates = next_mutates;
            if mutates {
                return Some(gene);
            }
        }
        self.at -= self.len;
        None
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
            let mut mutations = Mutations::new(12, probability);
            let mut stream = Stream::new(1, Purpose::Simulation, 0, 0);
            for _ in 0..10_000 {
                let mut genome = Genome::zeros(12);
                genome.mutate(&mut mutations, &mut stream);
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
        let mut mutations = Mutations::new(len, probability);
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
        fn a_stretch_mutates_whole_and_once(len in 1usize..200, seed: u64) {
            let mut stream = Stream::new(seed, Purpose::Simulation, 0, 0);
            let mut mutations = Mutations::new(len, 0.5).of_a_stretch(&mut stream);
            let mut genome = Genome::zeros(len);
            genome.mutate(&mut mutations, &mut stream);
            let ones: Vec<usize> = (0..len).filter(|&bit| genome.get(bit)).collect();
            let expected = len.min(2)..=8;
            prop_assert!(expected.contains(&ones.len()), "{}", genome);
            prop_assert_eq!(ones[ones.len() - 1] - ones[0] + 1, ones.len());
            genome.mutate(&mut mutations, &mut stream);
            prop_assert_eq!(genome.count_ones(0..len), ones.len());
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
