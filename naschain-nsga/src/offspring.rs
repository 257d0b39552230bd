//! New genomes from those of parents.

use std::collections::BTreeSet;

use naschain_core::{Purpose, Stream};

use crate::adding::Keyed;
use crate::lineage::Parents;
use crate::selection::{Ranked, Tournaments};
use crate::{Genes, Mutations, Search, Space, Surrogate};

impl<S: Space> Search<S> {
    /// A random member of the front with one gene mutated, or `None` if the front is empty.
    pub(crate) fn neighbour(&self, stream: &mut Stream) -> Option<(S::Genome, Parents)> {
        let front = self.front.candidates();
        let parent = *front.get(stream.index(front.len().max(1)))?;
        let mut one = self.mutations.of_one(stream);
        Some(self.mutated(parent, &mut one, stream))
    }

    /// The genome of a candidate with these mutations.
    pub(crate) fn mutated(
        &self,
        parent: usize,
        mutations: &mut Mutations,
        stream: &mut Stream,
    ) -> (S::Genome, Parents) {
        let mut genome = self.state.slots[parent].genome().clone();
        genome.mutate(self.state.space.domain(), mutations, stream);
        (genome, Parents::one(parent))
    }

    /// Returns up to `count` offspring, neighbours of the front and random genomes that are neither
    /// candidates nor duplicates of each other.
    pub(crate) fn new_genomes(
        &self,
        parents: &[Ranked],
        count: usize,
        epoch: u64,
    ) -> Vec<Keyed<S::Genome>> {
        // Keeps the streams of these random genomes apart from those of `add_random`.
        const FIRST_STREAM: u64 = 1 << 32;
        let config = &self.state.config;
        // Stream 1 keeps these offspring apart from those of `breed`.
        let mut mating = self.mating(parents, epoch, 1);
        let (mut pool, mut known) = (Vec::with_capacity(count), BTreeSet::new());
        let mut pairs = Vec::new();
        let mut of_neighbours = Stream::new(config.seed, Purpose::Variation, epoch, 4);
        let has_neighbours = config.surrogate == Surrogate::Ensemble;
        for pair in 0..2 * count as u64 {
            self.mate(&mut mating, &mut pairs);
            let children = pairs.drain(..).flatten().filter(|child| !child.is_copy);
            let genomes = children.map(|child| (child.genome, child.parents));
            let mut genomes: Vec<(S::Genome, Parents)> = genomes.collect();
            if has_neighbours {
                genomes.extend(self.neighbour(&mut of_neighbours));
            }
            if pair % 4 == 0 {
                let index = FIRST_STREAM + pair;
                let mut stream = Stream::new(config.seed, Purpose::Initialisation, epoch, index);
                let domain = self.state.space.domain();
                let random = S::Genome::random(domain, config.genome_len, &mut stream);
                genomes.push((random, Parents::NONE));
            }
            for (genome, parents) in genomes {
                let one = self.keyed(genome, parents);
                if pool.len() < count
                    && !self.dedup.contains(&self.state.slots, &one.canonical)
                    && known.insert(one.canonical.clone())
                {
                    pool.push(one);
                }
            }
            if pool.len() == count {
                break;
            }
        }
        pool
    }

    /// The matings of one wave; `index` numbers the stream of their variation.
    pub(crate) fn mating<'a>(&self, parents: &'a [Ranked], epoch: u64, index: u64) -> Mating<'a> {
        let config = &self.state.config;
        let selection = Stream::new(config.seed, Purpose::Selection, epoch, 1);
        Mating {
            tournaments: Tournaments::new(parents, selection),
            mutations: self.mutations.clone(),
            stream: Stream::new(config.seed, Purpose::Variation, epoch, index),
        }
    }

    /// Pushes the two children of the next mating onto `pairs`.
    #[inline]
    pub(crate) fn mate(&self, mating: &mut Mating, pairs: &mut Vec<[Child<S::Genome>; 2]>) {
        let winners = [mating.tournaments.winner(), mating.tournaments.winner()];
        let parents = winners.map(|index| self.state.slots[index].genome());
        // The children are varied in place, which saves moving them.
        pairs.push(winners.map(|parent| Child {
            genome: self.state.slots[parent].genome().clone(),
            parents: Parents::one(parent),
            is_copy: false,
        }));
        let Some([one, other]) = pairs.last_mut() else {
            return;
        };
        let Mating {
            mutations, stream, ..
        } = mating;
        let domain = self.state.space.domain();
        if stream.chance(self.state.config.crossover_probability) {
            one.genome.cross(&mut other.genome, domain, stream);
            (one.parents, other.parents) = (Parents::pair(winners), Parents::pair(winners));
        }
        for child in [one, other] {
            child.genome.mutate(domain, mutations, stream);
            child.is_copy = parents.contains(&&child.genome);
        }
    }
}

/// One of the two results of a mating.
pub(crate) struct Child<G> {
    pub(crate) genome: G,
    pub(crate) parents: Parents,
    /// Whether it equals one of its parents: a duplicate without a look-up.
    pub(crate) is_copy: bool,
}

/// Where the parents and the random numbers of matings come from.
pub(crate) struct Mating<'a> {
    pub(crate) tournaments: Tournaments<'a>,
    pub(crate) mutations: Mutations,
    pub(crate) stream: Stream,
}
