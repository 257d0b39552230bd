use naschain_core::{Purpose, Stream};

use crate::config::{Mode, Pace};
use crate::lineage::Parents;
use crate::offspring::Child;
use crate::search::Finish;
use crate::selection::{Ranked, Selection};
use crate::{Genes, Search, Space, Surrogate};

impl<S: Space> Search<S> {
    /// Selects among the candidates told since the last call, and makes the next wave.
    pub(crate) fn advance(&mut self) {
        if self.has_all_generations() {
            self.record_last_generation();
            return;
        }
        let epoch = self.state.slots.len() as u64;
        let parents = self.select_and_record();
        self.promote();
        let until = self.next_wave_end();
        if until > self.state.slots.len() {
            if self.state.config.mode == Mode::Surrogate {
                self.breed_by_origin(&parents, until, epoch);
            }
            self.breed(&parents, until, epoch);
            self.add_random(until, epoch);
        }
    }

    /// Makes each candidate by the origin that its index determines.
    fn breed_by_origin(&mut self, parents: &[Ranked], until: usize, epoch: u64) {
        let most_surviving = self.most_surviving_origin();
        let promoted = self.ladder.promoted();
        let genomes = self.genomes_made()..until - promoted;
        let origins = genomes.map(|index| match index % 4 {
            1 if index >= ALL_ORIGINS_FROM => most_surviving,
            2 if index >= ALL_ORIGINS_FROM => Origin::Offspring,
            3 if index >= ALL_ORIGINS_FROM => Origin::BlockMutation,
            3 if index >= OFFSPRING_FROM => self.second_origin(),
            _ => Origin::Model,
        });
        let origins: Vec<Origin> = origins.collect();
        for run in origins.chunk_by(|a, b| a == b) {
            let end = (self.state.slots.len() + run.len()).min(until);
            match run[0] {
                Origin::Model => self.propose(parents, end, epoch),
                Origin::Offspring => self.breed(parents, end, epoch),
                Origin::BlockMutation => self.mutate_blocks(parents, end, epoch),
                Origin::Neighbour => self.add_neighbours(end, epoch),
            }
        }
    }

    /// The origin of every fourth candidate until all origins are used.
    fn second_origin(&self) -> Origin {
        match self.state.config.surrogate {
            Surrogate::Ridge => Origin::Offspring,
            Surrogate::Ensemble => Origin::Neighbour,
        }
    }

    /// The origin of most survivors among the newest candidates. Only the three quarters whose origin
    /// is fixed are compared; the model wins ties.
    fn most_surviving_origin(&self) -> Origin {
        let newest = self.genomes_made().saturating_sub(ORIGIN_WINDOW);
        let oldest = newest.max(ALL_ORIGINS_FROM);
        let survivors = |remainder: usize| {
            let population = self.state.population.iter();
            let genomes = population.map(|&index| self.ladder.ordinal(index));
            genomes
                .filter(|&index| index >= oldest && index % 4 == remainder)
                .count()
        };
        let (model, offspring, block_mutation) = (survivors(0), survivors(2), survivors(3));
        if model >= offspring.max(block_mutation) {
            Origin::Model
        } else if offspring >= block_mutation {
            Origin::Offspring
        } else {
            Origin::BlockMutation
        }
    }

    /// Whether only [`Search::extend`] can add candidates.
    pub(crate) fn has_all_generations(&self) -> bool {
        let config = &self.state.config;
        config.pace == Pace::Generational
            && self.state.ended.is_none()
            && !self.has_rungs()
            && self.state.slots.len() == config.max_candidates()
    }

    /// Records statistics, but leaves the last generation unselected, for the selection that
    /// [`Search::extend`] repeats: the ranks and distances of its survivors, which tournaments
    /// compare, do not follow from the survivors alone.
    fn record_last_generation(&mut self) {
        self.state.waiting.sort_unstable();
        let (population, waiting) = (&self.state.population, &self.state.waiting);
        let (population, waiting) = (population.clone(), waiting.clone());
        let front = self.front.clone();
        self.select_and_record();
        // A search that has stalled cannot be extended.
        if self.state.ended.is_none() {
            self.front = front;
            (self.state.population, self.state.waiting) = (population, waiting);
        }
    }

    /// Selects the survivors, which are the parents of the next candidates, and records statistics.
    pub(crate) fn select_and_record(&mut self) -> Vec<Ranked> {
        let parents = self.select(self.state.slots.len() as u64);
        self.record();
        parents
    }

    /// Selects the survivors among the population and the candidates told since the last selection.
    fn select(&mut self, epoch: u64) -> Vec<Ranked> {
        // The result must not depend on the order in which outcomes were told.
        self.state.waiting.sort_unstable();
        self.update_violations();
        let selection = self.selection(epoch);
        // A candidate that is dominated within the pool cannot be on the front of all candidates.
        let waiting = std::mem::take(&mut self.state.waiting);
        let first = waiting.first().copied().unwrap_or(usize::MAX);
        // With rungs the pool has results of several budgets, which do not exclude each other.
        let possible = if self.has_rungs() {
            &waiting
        } else {
            &selection.non_dominated
        };
        for &index in possible {
            let is_new = index >= first && waiting.binary_search(&index).is_ok();
            if is_new && self.is_full(index) {
                self.front.insert(&self.scores, index);
            }
        }
        let parents = selection.survivors;
        self.state.population = parents.iter().map(|ranked| ranked.index).collect();
        parents
    }

    /// The selection among the population and the candidates told since the last one, in the order of
    /// `waiting`.
    pub(crate) fn selection(&self, epoch: u64) -> Selection {
        let mut pool = self.state.population.clone();
        pool.extend(&self.state.waiting);
        if self.has_rungs() {
            // Each genome takes part with its latest result.
            pool.retain(|&index| !self.is_superseded(index));
        }
        let config = &self.state.config;
        let mut stream = Stream::new(config.seed, Purpose::Selection, epoch, 0);
        Selection::of(&self.scores, pool, config.population, &mut stream)
    }

    /// The number of candidates after the next wave. A wave is the group of candidates that are made
    /// at once; it never spans two generations.
    fn next_wave_end(&self) -> usize {
        let (config, made) = (&self.state.config, self.genomes_made());
        let promoted = self.ladder.promoted();
        // At the steady-state pace a promoted candidate takes the place of a new one.
        let is_served = config.pace == Pace::SteadyState && self.state.asked < made + promoted;
        if self.state.ended.is_some() || is_served {
            return made + promoted;
        }
        let generation_end = (made / config.population + 1) * config.population;
        let wave = match (config.pace, config.mode) {
            (Pace::SteadyState, _) => 1,
            (Pace::Generational, Mode::Nsga2) => config.population,
            (Pace::Generational, Mode::Surrogate) => SURROGATE_WAVE,
        };
        // Waves of the surrogate end at multiples of four, the period of the candidates' origins.
        (made / wave * wave + wave)
            .min(generation_end)
            .min(config.max_candidates())
            .max(made)
            + promoted
    }

    /// Adds offspring of the parents, except duplicates, until there are `until` candidates.
    fn breed(&mut self, parents: &[Ranked], until: usize, epoch: u64) {
        let mut mating = self.mating(parents, epoch, 0);
        let (mut failures, mut pairs) = (0, Vec::new());
        while self.state.slots.len() < until && failures < MAX_FAILURES && !parents.is_empty() {
            // All missing pairs are made before any is looked up: the look-ups' cache misses would
            // otherwise interrupt each mating.
            let missing = (until - self.state.slots.len()).div_ceil(2);
            (0..missing).for_each(|_| self.mate(&mut mating, &mut pairs));
            for pair in pairs.drain(..) {
                failures += 1;
                for child in pair {
                    if self.state.slots.len() < until && self.add_child(child) {
                        failures = 0;
                    }
                }
            }
        }
    }

    #[inline]
    fn add_child(&mut self, child: Child<S::Genome>) -> bool {
        if child.is_copy {
            self.state.duplicates += 1;
            return false;
        }
        self.add(child.genome, child.parents)
    }

    /// Adds parents in which one block of adjacent genes is mutated at once. This reaches better
    /// genomes when changing the genes one by one leads through worse ones.
    fn mutate_blocks(&mut self, parents: &[Ranked], until: usize, epoch: u64) {
        let mut mating = self.mating(parents, epoch, 2);
        let mut failures = 0;
        while self.state.slots.len() < until && failures < MAX_FAILURES && !parents.is_empty() {
            let parent = mating.tournaments.winner();
            let mut block = self.mutations.of_block(&mut mating.stream);
            let (genome, of_one) = self.mutated(parent, &mut block, &mut mating.stream);
            failures += usize::from(!self.add(genome, of_one));
        }
    }

    /// Adds members of the front in which one gene is mutated.
    fn add_neighbours(&mut self, until: usize, epoch: u64) {
        let mut stream = Stream::new(self.state.config.seed, Purpose::Variation, epoch, 3);
        let mut failures = 0;
        while self.state.slots.len() < until && failures < MAX_FAILURES {
            let Some((genome, parents)) = self.neighbour(&mut stream) else {
                return;
            };
            failures += usize::from(!self.add(genome, parents));
        }
    }

    /// Adds random genomes until there are `until` candidates. Ends the search if no new genome is
    /// found.
    pub(crate) fn add_random(&mut self, until: usize, epoch: u64) {
        let (seed, len) = (self.state.config.seed, self.state.config.genome_len);
        while self.state.slots.len() < until {
            let index = self.state.slots.len() as u64;
            let mut stream = Stream::new(seed, Purpose::Initialisation, epoch, index);
            let found = (0..MAX_FAILURES).any(|_| {
                let genome = S::Genome::random(self.state.space.domain(), len, &mut stream);
                self.add(genome, Parents::NONE)
            });
            if !found && !self.add_enumerated(&mut stream) {
                // Pending candidates may become parents of new genomes.
                let waits = self.state.config.pace == Pace::SteadyState && self.pending > 0;
                if !waits || self.is_enumerable() {
                    self.state.ended = Some(Finish::Exhausted);
                }
                return;
            }
        }
    }
}

/// Maximum number of consecutive matings or random genomes without a new genome.
const MAX_FAILURES: usize = 200;

/// Candidates that the surrogate proposes before it waits for their outcomes.
const SURROGATE_WAVE: usize = 4;

/// How a candidate of the default mode is made.
#[derive(Clone, Copy, PartialEq)]
enum Origin {
    /// Selected by the model.
    Model,
    /// Offspring of plain NSGA-II, without the model.
    Offspring,
    /// A parent with one block of adjacent genes mutated at once.
    BlockMutation,
    /// A member of the front with one gene mutated.
    Neighbour,
}

/// Number of the first candidate that is not the model's. From it on, one in four is plain offspring or a
/// neighbour of the front, so that a long search makes progress even if its model is wrong.
const OFFSPRING_FROM: usize = 100;

/// Number of the first candidate from which on, of every four, one is made by each origin and one by
/// the origin with the most recent survivors.
const ALL_ORIGINS_FROM: usize = 400;

/// Number of the newest candidates whose survivors decide between the origins.
const ORIGIN_WINDOW: usize = 400;
