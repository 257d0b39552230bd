use naschain_core::{Purpose, Stream};

use crate::selection::{Ranked, Tournaments, survivors};
use crate::state::Slot;
use crate::{Genes, Search, Space};

impl<S: Space> Search<S> {
    /// All candidates are told: selects the survivors and breeds the next generation from them.
    pub(crate) fn turn(&mut self) {
        self.merge_front();
        let state = &self.state;
        let (seed, epoch) = (state.config.seed, state.generation as u64);
        let newest = self.newest..state.slots.len();
        let pool: Vec<usize> = state.population.iter().copied().chain(newest).collect();
        let mut stream = Stream::new(seed, Purpose::Selection, epoch, 0);
        let parents = survivors(&self.scores, &pool, state.config.population, &mut stream);
        self.state.population = parents.iter().map(|ranked| ranked.index).collect();
        if !self.state.exhausted && self.state.generation < self.state.config.generations {
            self.state.generation += 1;
            self.newest = self.state.slots.len();
            self.breed(&parents);
            self.fill_up();
            if self.untold == 0 {
                self.state.generation -= 1;
            }
        }
    }

    /// Fills the newest generation with the parents' children, as far as they are new.
    fn breed(&mut self, parents: &[Ranked]) {
        let config = &self.state.config;
        let (seed, epoch) = (config.seed, self.state.generation as u64);
        let (crossover, mutation) = (config.crossover_probability, config.gene_mutation());
        let stream = Stream::new(seed, Purpose::Selection, epoch, 1);
        let mut tournaments = Tournaments::new(parents, stream);
        let (mut mating, mut fruitless) = (0, 0);
        while self.room() > 0 && fruitless < RETRIES {
            let mut stream = Stream::new(seed, Purpose::Variation, epoch, mating);
            let mut parent = || self.state.slots[tournaments.winner()].genome().clone();
            let (mut one, mut other) = (parent(), parent());
            if stream.chance(crossover) {
                one.cross(&mut other, &mut stream);
            }
            one.mutate(mutation, &mut stream);
            other.mutate(mutation, &mut stream);
            let found = self.add(one) | (self.room() > 0 && self.add(other));
            fruitless = if found { 0 } else { fruitless + 1 };
            mating += 1;
        }
    }

    /// Fills the newest generation with random genomes; what then is missing does not exist.
    pub(crate) fn fill_up(&mut self) {
        let (seed, len) = (self.state.config.seed, self.state.config.genome_len);
        let epoch = self.state.generation as u64;
        while self.room() > 0 {
            let index = self.state.slots.len() as u64;
            let mut stream = Stream::new(seed, Purpose::Initialisation, epoch, index);
            let found = (0..RETRIES).any(|_| self.add(S::Genome::random(len, &mut stream)));
            if !found && !self.add_unseen(&mut stream) {
                self.state.exhausted = true;
                return;
            }
        }
    }

    /// Adds the first new genome from a random place on, in a space small enough to go through.
    fn add_unseen(&mut self, stream: &mut Stream) -> bool {
        let len = self.state.config.genome_len;
        let genome = |index| S::Genome::nth(len, index);
        let Some(count) = (0..=LISTED).find(|&index| genome(index).is_none()) else {
            return false;
        };
        let start = stream.below(count.max(1));
        let round = (start..count).chain(0..start);
        round.filter_map(genome).any(|genome| self.add(genome))
    }

    /// Adds a candidate to the newest generation, unless its like was added before.
    pub(crate) fn add(&mut self, genome: S::Genome) -> bool {
        if !self.seen.insert(self.state.space.canonical(&genome)) {
            return false;
        }
        let generation = self.state.generation;
        self.state.slots.push(Slot::Untold { genome, generation });
        let rows = &mut self.scores.rows;
        rows.resize(rows.len() + self.scores.objectives, f64::NAN);
        self.scores.violations.push(f64::INFINITY);
        self.untold += 1;
        true
    }

    /// Candidates that the newest generation still lacks.
    pub(crate) fn room(&self) -> usize {
        let population = self.state.config.population;
        population.saturating_sub(self.state.slots.len() - self.newest)
    }
}

/// Matings, or random genomes, in a row without a new genome before giving up.
const RETRIES: usize = 200;

/// The largest number of genomes that are gone through one by one.
const LISTED: u64 = 1 << 16;
