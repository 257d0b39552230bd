use std::fmt::Debug;
use std::hash::Hash;
use std::ops::Range;
use std::sync::Arc;

use naschain_core::{Genome, Stream};

use crate::Error;

/// A kind of genome that NSGA-II can create and vary, such as the bits of a [`Genome`], a
/// [`RealVector`](crate::RealVector) or a [`Design`](crate::Design).
pub trait Genes: Clone + Ord + Hash + Debug {
    /// What a space says about its genes, such as the categories of each; `()` if there is nothing to
    /// say but their number.
    type Domain: 'static;

    /// The domain of a [`Space`](crate::Space) that does not state one.
    const DEFAULT_DOMAIN: &'static Self::Domain;

    /// Returns a random genome of `len` genes, uniformly distributed.
    fn random(domain: &Self::Domain, len: usize, stream: &mut Stream) -> Self;

    /// Enumerates the genomes of `len` genes: returns number `index`, or `None` beyond the last one or
    /// if there are infinitely many.
    fn nth(domain: &Self::Domain, len: usize, index: u64) -> Option<Self>;

    /// The number of genes.
    fn gene_count(&self) -> usize;

    /// Checks that this is a genome of `len` genes of the domain.
    ///
    /// # Errors
    /// [`Error::GenomeLength`], or another error that names the gene.
    fn check(&self, domain: &Self::Domain, len: usize) -> Result<(), Error>;

    /// Crosses two genomes of equal length in place; afterwards they are the children.
    fn cross(&mut self, other: &mut Self, domain: &Self::Domain, stream: &mut Stream);

    /// Mutates each gene that [`Mutations::next`] returns, until it returns `None`.
    fn mutate(&mut self, domain: &Self::Domain, mutations: &mut Mutations, stream: &mut Stream);

    /// The inputs of a linear model; as many for each genome of the same length.
    fn features(&self, domain: &Self::Domain) -> Vec<f64>;
}

/// The check of a genome all of whose genes are valid.
pub(crate) fn check_gene_count(found: usize, expected: usize) -> Result<(), Error> {
    if found == expected {
        Ok(())
    } else {
        Err(Error::GenomeLength { found, expected })
    }
}

/// Two-point crossover and bit-flip mutation.
impl Genes for Genome {
    type Domain = ();
    const DEFAULT_DOMAIN: &'static () = &();

    fn random(_domain: &(), len: usize, stream: &mut Stream) -> Self {
        Genome::random(len, stream)
    }

    fn nth(_domain: &(), len: usize, index: u64) -> Option<Self> {
        (len < 64 && index >> len == 0)
            .then(|| Genome::from_bits((0..len).rev().map(|place| index >> place & 1 == 1)))
    }

    fn gene_count(&self) -> usize {
        Genome::len(self)
    }

    fn check(&self, _domain: &(), len: usize) -> Result<(), Error> {
        check_gene_count(Genome::len(self), len)
    }

    fn cross(&mut self, other: &mut Self, _domain: &(), stream: &mut Stream) {
        // Two different cuts of the len + 1 possible ones, both ends included.
        let places = Genome::len(self) + 1;
        let (first, second) = stream.two_indices(places);
        let second = second + usize::from(second >= first);
        self.swap_range(other, first.min(second)..first.max(second));
    }

    fn mutate(&mut self, _domain: &(), mutations: &mut Mutations, stream: &mut Stream) {
        while let Some(index) = mutations.next(stream) {
            self.flip(index);
        }
    }

    fn features(&self, _domain: &()) -> Vec<f64> {
        self.bits().map(f64::from).collect()
    }
}

/// Draws the genes that mutate in one genome after the other, each with the same probability.
///
/// It draws the gaps between mutations, so that it takes one random number per mutation instead of one
/// per gene.
#[derive(Clone, Debug)]
pub struct Mutations {
    /// Number of genes of a genome.
    len: usize,
    gaps: Arc<GapTable>,
    /// The next gene that may mutate; all genes before it are decided. Counts beyond `len` into the
    /// following genomes.
    at: usize,
    /// Whether that gene mutates.
    mutates: bool,
    /// Genes that mutate next, independent of the probability.
    block: Range<usize>,
}

/// The distribution of the number of genes between two mutations, a truncated geometric one: maps a
/// uniform whole number below 2⁵³ to a gap.
#[derive(Debug)]
struct GapTable {
    /// The probability that 1, 2, 3, ... consecutive genes do not mutate, times 2⁵³ and rounded up.
    limits: Vec<u64>,
    /// A first guess: the number of limits above the smallest number of each of [`BUCKETS`] equal
    /// ranges of uniform numbers, and 0 at the end.
    above: Vec<u16>,
}

/// Maximum gap of the table in genomes and in genes. Longer gaps, which are rare, are composed of
/// several.
const MAX_GAP_GENOMES: usize = 3;
const MAX_GAP_GENES: usize = 512;

/// Maximum number of genes of a block mutation.
const MAX_BLOCK_LEN: usize = 8;

/// Number of ranges of the first guess.
const BUCKETS: usize = 1 << BUCKET_BITS;
const BUCKET_BITS: u32 = 10;

impl GapTable {
    fn new(len: usize, probability: f64) -> Self {
        const ALL: f64 = (1u64 << 53) as f64;
        // Computed by multiplications alone, so that it is the same on every machine.
        let one = 1.0 - probability;
        let longest = (MAX_GAP_GENOMES * len).min(MAX_GAP_GENES);
        let unchanged = std::iter::successors(Some(one), |gap| Some(gap * one));
        let limits = unchanged.take(longest).map(|gap| (gap * ALL).ceil() as u64);
        let limits: Vec<u64> = limits.collect();
        let mut count = limits.len();
        let mut above = |bucket: usize| {
            let least = (bucket as u64) << (53 - BUCKET_BITS);
            count = limits[..count].partition_point(|&limit| limit > least);
            count as u16
        };
        GapTable {
            above: (0..=BUCKETS).map(&mut above).collect(),
            limits,
        }
    }

    /// Draws a number of genes that do not mutate, and whether the gene after them does.
    #[inline]
    fn random(&self, stream: &mut Stream) -> (usize, bool) {
        let uniform = stream.next_u64() >> 11;
        let bucket = (uniform >> (53 - BUCKET_BITS)) as usize;
        let mut gap = usize::from(self.above[bucket + 1]);
        // A bucket contains few limits.
        while gap < self.limits.len() && self.limits[gap] > uniform {
            gap += 1;
        }
        (gap, gap < self.limits.len())
    }
}

impl Mutations {
    /// Mutations of genomes of `len` genes, at least 1, that mutate with this probability each.
    pub fn new(len: usize, probability: f64) -> Self {
        Mutations {
            len,
            gaps: Arc::new(GapTable::new(len, probability)),
            at: 0,
            mutates: false,
            block: 0..0,
        }
    }

    /// The mutations of one genome in which exactly one random gene mutates.
    pub(crate) fn of_one(&self, stream: &mut Stream) -> Self {
        let gene = stream.index(self.len);
        self.of_genes(gene..gene + 1)
    }

    /// The mutations of one genome in which exactly the genes of one block mutate. The block has a
    /// random position and a random length of 2 to 8 genes, or fewer if the genome is shorter.
    pub(crate) fn of_block(&self, stream: &mut Stream) -> Self {
        let most = MAX_BLOCK_LEN.min(self.len);
        let count = most.min(2 + stream.index(most.max(2) - 1));
        let start = stream.index(self.len - count + 1);
        self.of_genes(start..start + count)
    }

    fn of_genes(&self, block: Range<usize>) -> Self {
        Mutations {
            len: 0,
            gaps: self.gaps.clone(),
            at: 0,
            mutates: false,
            block,
        }
    }

    /// Returns the index of the next gene of this genome that mutates. After `None`, the next genome
    /// begins.
    #[inline]
    pub fn next(&mut self, stream: &mut Stream) -> Option<usize> {
        if let Some(gene) = self.block.next() {
            return Some(gene);
        }
        while self.at < self.len {
            let (gene, mutates) = (self.at, self.mutates);
            let (gap, next_mutates) = self.gaps.random(stream);
            self.at += usize::from(mutates) + gap;
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
                genome.mutate(&(), &mut mutations, &mut stream);
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
    fn gaps_longer_than_the_table_occur() {
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
        // Expected: 500 in each half, with a standard deviation of 22.
        assert!(
            halves.iter().all(|count| (400..600).contains(count)),
            "{halves:?}"
        );
    }

    proptest! {
        #[test]
        fn crossover_swaps_one_range(a in "[01]{1,130}", seed: u64) {
            let mut stream = Stream::new(seed, Purpose::Simulation, 0, 0);
            let (mut one, mut other): (Genome, Genome) = (a.parse().unwrap(), a.parse().unwrap());
            (0..a.len()).for_each(|index| other.flip(index));
            one.cross(&mut other, &(), &mut stream);
            let parent: Genome = a.parse().unwrap();
            let swapped: Vec<bool> = one.bits().zip(parent.bits()).map(|(x, y)| x != y).collect();
            prop_assert!(swapped.chunk_by(|x, y| x == y).filter(|run| run[0]).count() == 1);
            prop_assert!(one.bits().zip(other.bits()).all(|(x, y)| x != y));
        }

        #[test]
        fn a_block_mutates_whole_and_once(len in 1usize..200, seed: u64) {
            let mut stream = Stream::new(seed, Purpose::Simulation, 0, 0);
            let mut mutations = Mutations::new(len, 0.5).of_block(&mut stream);
            let mut genome = Genome::zeros(len);
            genome.mutate(&(), &mut mutations, &mut stream);
            let ones: Vec<usize> = (0..len).filter(|&bit| genome.get(bit)).collect();
            let expected = len.min(2)..=8;
            prop_assert!(expected.contains(&ones.len()), "{}", genome);
            prop_assert_eq!(ones[ones.len() - 1] - ones[0] + 1, ones.len());
            genome.mutate(&(), &mut mutations, &mut stream);
            prop_assert_eq!(genome.count_ones(0..len), ones.len());
        }

        #[test]
        fn genomes_are_enumerated_in_order(len in 1usize..12) {
            let all: Vec<Genome> = (0..1 << len).map_while(|index| Genome::nth(&(), len, index)).collect();
            prop_assert_eq!(all.len(), 1 << len);
            prop_assert!(all.is_sorted_by(|a, b| a < b));
            prop_assert_eq!(Genome::nth(&(), len, 1 << len), None);
        }
    }
}
