use std::collections::BTreeSet;

use naschain_core::{Purpose, Stream};

use crate::config::{Mode, Pace};
use crate::search::Finish;
use crate::seen::hash;
use crate::selection::{Ranked, Selection, Tournaments};
use crate::state::{Slot, State};
use crate::{Genes, Mutations, Search, Space};

impl<S: Space> Search<S> {
    /// Takes in what was told since the last turn, and makes the next candidates.
    pub(crate) fn turn(&mut self) {
        let epoch = self.state.slots.len() as u64;
        let parents = self.take_in();
        let until = self.next_batch_end();
        if until > self.state.slots.len() {
            if self.state.config.mode == Mode::Surrogate {
                self.breed_by_origin(&parents, until, epoch);
            }
            self.breed(&parents, until, epoch);
            self.fill_up(until, epoch);
        }
    }

    /// Makes each candidate in the way that its number says.
    fn breed_by_origin(&mut self, parents: &[Ranked], until: usize, epoch: u64) {
        let most_surviving = self.most_surviving();
        let origins = (self.state.slots.len()..until).map(|index| match index % 4 {
            1 if index >= FREE => most_surviving,
            2 if index >= FREE => Origin::Plain,
            3 if index >= FREE => Origin::Leap,
            3 if index >= MODEL_ALONE => Origin::Plain,
            _ => Origin::Model,
        });
        let origins: Vec<Origin> = origins.collect();
        for run in origins.chunk_by(|a, b| a == b) {
            let end = (self.state.slots.len() + run.len()).min(until);
            match run[0] {
                Origin::Model => self.propose(parents, end, epoch),
                Origin::Plain => self.breed(parents, end, epoch),
                Origin::Leap => self.leap(parents, end, epoch),
            }
        }
    }

    /// Who made most survivors among the newest candidates, of those that each makes one in four of; of
    /// equals the model.
    fn most_surviving(&self) -> Origin {
        let oldest = self.state.slots.len().saturating_sub(NEWEST).max(FREE);
        let survivors = |rest: usize| {
            let population = self.state.population.iter();
            population
                .filter(|&&index| index >= oldest && index % 4 == rest)
                .count()
        };
        let (model, plain, leap) = (survivors(0), survivors(2), survivors(3));
        if model >= plain.max(leap) {
            Origin::Model
        } else if plain >= leap {
            Origin::Plain
        } else {
            Origin::Leap
        }
    }

    /// Takes in what was told since the last time; the survivors are the parents of what comes next.
    pub(crate) fn take_in(&mut self) -> Vec<Ranked> {
        let parents = self.select(self.state.slots.len() as u64);
        self.record();
        parents
    }

    /// The survivors of the population and those told since the last selection.
    fn select(&mut self, epoch: u64) -> Vec<Ranked> {
        // In one order, whatever the order of tells.
        self.state.waiting.sort_unstable();
        let mut pool = std::mem::take(&mut self.state.population);
        pool.extend(&self.state.waiting);
        let config = &self.state.config;
        let mut stream = Stream::new(config.seed, Purpose::Selection, epoch, 0);
        let selection = Selection::of(&self.scores, pool, config.population, &mut stream);
        // Whom somebody of the pool dominates is not on the front of all.
        let waiting = &mut self.state.waiting;
        let first = waiting.first().copied().unwrap_or(usize::MAX);
        for &index in &selection.best {
            if index >= first && waiting.binary_search(&index).is_ok() {
                self.front.join(&self.scores, index);
            }
        }
        waiting.clear();
        let parents = selection.survivors;
        self.state.population = parents.iter().map(|ranked| ranked.index).collect();
        parents
    }

    /// How many candidates there shall be after the next batch, which ends with its generation.
    fn next_batch_end(&self) -> usize {
        let (config, made) = (&self.state.config, self.state.slots.len());
        if self.state.ended.is_some() {
            return made;
        }
        let generation_end = (made / config.population + 1) * config.population;
        let batch = match (config.pace, config.mode) {
            (Pace::SteadyState, _) => 1,
            (Pace::Generational, Mode::Nsga2) => config.population,
            (Pace::Generational, Mode::Surrogate) => BATCH,
        };
        // Batches of the surrogate end at whole fours, as the origins of its candidates repeat.
        (made / batch * batch + batch)
            .min(generation_end)
            .min(config.limit())
            .max(made)
    }

    /// Makes the parents' children candidates, as far as they are new.
    fn breed(&mut self, parents: &[Ranked], until: usize, epoch: u64) {
        let mut mating = self.mating(parents, epoch, 0);
        let (mut fruitless, mut pairs) = (0, Vec::new());
        while self.state.slots.len() < until && fruitless < RETRIES && !parents.is_empty() {
            // As many as are missing at once: looking them up does not hold up making them.
            let missing = (until - self.state.slots.len()).div_ceil(2);
            (0..missing).for_each(|_| self.mate(&mut mating, &mut pairs));
            for pair in pairs.drain(..) {
                fruitless += 1;
                for child in pair {
                    if self.state.slots.len() < until && self.add_child(child) {
                        fruitless = 0;
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
        self.add(child.genome)
    }

    /// Makes candidates that differ from a parent in a stretch of genes, all of them at once: ways to
    /// better ones that lead through worse ones if they are gone gene by gene.
    fn leap(&mut self, parents: &[Ranked], until: usize, epoch: u64) {
        let mut mating = self.mating(parents, epoch, 2);
        let mut fruitless = 0;
        while self.state.slots.len() < until && fruitless < RETRIES && !parents.is_empty() {
            let parent = mating.tournaments.winner();
            let mut genome = self.state.slots[parent].genome().clone();
            let mut stretch = self.mutations.of_a_stretch(&mut mating.stream);
            genome.mutate(&mut stretch, &mut mating.stream);
            fruitless += usize::from(!self.add(genome));
        }
    }

    /// Some children of the parents, and some random genomes, that are new and different, each with its
    /// canonical form.
    pub(crate) fn unseen_pool(
        &self,
        parents: &[Ranked],
        count: usize,
        epoch: u64,
    ) -> Vec<(S::Genome, S::Genome)> {
        // Other random genomes than those of `fill_up`.
        const FIRST: u64 = 1 << 32;
        let config = &self.state.config;
        // Other children than those of `breed`.
        let mut mating = self.mating(parents, epoch, 1);
        let (mut pool, mut keys) = (Vec::with_capacity(count), BTreeSet::new());
        let mut pairs = Vec::new();
        for pair in 0..2 * count as u64 {
            self.mate(&mut mating, &mut pairs);
            let children = pairs.drain(..).flatten().filter(|child| !child.is_copy);
            let mut genomes: Vec<S::Genome> = children.map(|child| child.genome).collect();
            if pair % 4 == 0 {
                let index = FIRST + pair;
                let mut stream = Stream::new(config.seed, Purpose::Initialisation, epoch, index);
                genomes.push(S::Genome::random(config.genome_len, &mut stream));
            }
            for genome in genomes {
                let key = self.state.space.canonical(&genome);
                if pool.len() < count && !self.is_seen(&key) && keys.insert(key.clone()) {
                    pool.push((genome, key));
                }
            }
            if pool.len() == count {
                break;
            }
        }
        pool
    }

    /// A batch's matings among the parents; their variation is its stream number `index`.
    fn mating<'a>(&self, parents: &'a [Ranked], epoch: u64, index: u64) -> Mating<'a> {
        let config = &self.state.config;
        let selection = Stream::new(config.seed, Purpose::Selection, epoch, 1);
        Mating {
            tournaments: Tournaments::new(parents, selection),
            mutations: self.mutations.clone(),
            stream: Stream::new(config.seed, Purpose::Variation, epoch, index),
        }
    }

    /// Adds the two children of the next mating.
    #[inline]
    fn mate(&self, mating: &mut Mating, pairs: &mut Vec<[Child<S::Genome>; 2]>) {
        let winners = [mating.tournaments.winner(), mating.tournaments.winner()];
        let parents = winners.map(|index| self.state.slots[index].genome());
        // Varied where they stay, so that they need not be moved.
        pairs.push(parents.map(|parent| Child {
            genome: parent.clone(),
            is_copy: false,
        }));
        let Some([one, other]) = pairs.last_mut() else {
            return;
        };
        let Mating {
            mutations, stream, ..
        } = mating;
        if stream.chance(self.state.config.crossover_probability) {
            one.genome.cross(&mut other.genome, stream);
        }
        for child in [one, other] {
            child.genome.mutate(mutations, stream);
            child.is_copy = parents.contains(&&child.genome);
        }
    }

    /// Makes random genomes candidates; what then is missing does not exist.
    pub(crate) fn fill_up(&mut self, until: usize, epoch: u64) {
        let (seed, len) = (self.state.config.seed, self.state.config.genome_len);
        while self.state.slots.len() < until {
            let index = self.state.slots.len() as u64;
            let mut stream = Stream::new(seed, Purpose::Initialisation, epoch, index);
            let found = (0..RETRIES).any(|_| self.add(S::Genome::random(len, &mut stream)));
            if !found && !self.add_unseen(&mut stream) {
                // Outcomes on their way may bring parents of new ones.
                let waits = self.state.config.pace == Pace::SteadyState && self.untold > 0;
                if !waits || self.is_listed() {
                    self.state.ended = Some(Finish::Exhausted);
                }
                return;
            }
        }
    }

    /// Whether the space is small enough to go through.
    fn is_listed(&self) -> bool {
        let exists = |index| S::Genome::nth(self.state.config.genome_len, index).is_some();
        exists(0) && !exists(LISTED)
    }

    /// Adds the first new genome from a random place on, in a space small enough to go through.
    fn add_unseen(&mut self, stream: &mut Stream) -> bool {
        if !self.is_listed() {
            return false;
        }
        let len = self.state.config.genome_len;
        let genome = |index| S::Genome::nth(len, index);
        let all = (0..LISTED).take_while(|&index| genome(index).is_some());
        let count = all.count() as u64;
        let start = stream.below(count);
        let round = (start..count).chain(0..start);
        round.filter_map(genome).any(|genome| self.add(genome))
    }

    /// Whether there is a candidate with this canonical form.
    fn is_seen(&self, key: &S::Genome) -> bool {
        let State { space, slots, .. } = &self.state;
        self.seen.contains(hash(key), |index| {
            space.canonical(slots[index].genome()) == *key
        })
    }

    /// Adds a candidate, unless its like was added before.
    #[inline]
    pub(crate) fn add(&mut self, genome: S::Genome) -> bool {
        let State { space, slots, .. } = &self.state;
        let key = space.canonical(&genome);
        let is_same = |index: usize| space.canonical(slots[index].genome()) == key;
        if !self.seen.insert(hash(&key), is_same) {
            self.state.duplicates += 1;
            return false;
        }
        // Unlike `push`, this makes the slot where it stays.
        let slot = std::iter::once_with(|| Slot::Untold(genome));
        self.state.slots.extend(slot);
        let rows = &mut self.scores.rows;
        rows.resize(rows.len() + self.scores.objectives, f64::NAN);
        self.scores.violations.push(f64::INFINITY);
        self.untold += 1;
        true
    }
}

/// What comes of a mating.
struct Child<G> {
    genome: G,
    /// Whether it is as one of its parents, which needs no look at all others.
    is_copy: bool,
}

/// Who mates, and how the children vary.
struct Mating<'a> {
    tournaments: Tournaments<'a>,
    mutations: Mutations,
    stream: Stream,
}

/// Matings, or random genomes, in a row without a new genome before giving up.
const RETRIES: usize = 200;

/// The largest number of genomes that are gone through one by one.
const LISTED: u64 = 1 << 16;

/// Candidates that the surrogate proposes before it waits for what they turn out to be.
const BATCH: usize = 4;

/// How a candidate of the default comes about.
#[derive(Clone, Copy, PartialEq)]
enum Origin {
    /// The model has picked it.
    Model,
    /// As a child of NSGA-II that no model has a say in.
    Plain,
    /// A stretch of a parent's genes was mutated at once.
    Leap,
}

/// So many candidates are the model's alone. Then one in four is plain, so that a long search goes on
/// even where its model is wrong.
const MODEL_ALONE: usize = 100;

/// From this candidate on, of each four one is the model's, one plain and one a leap, and one of the
/// origin that has done best of late.
const FREE: usize = 400;

/// The newest candidates, among which the origins are compared.
const NEWEST: usize = 400;
