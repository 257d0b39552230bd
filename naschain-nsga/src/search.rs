use serde::{Deserialize, Serialize};

use crate::candidate::{Ask, Candidate, CandidateId, Evaluated, Outcome};
use crate::config::{Pace, SearchConfig};
use crate::dedup::DedupIndex;
use crate::features::FeatureCounts;
use crate::front::Front;
use crate::lineage::Parents;
use crate::rungs::Ladder;
use crate::selection::Scores;
use crate::space::{Bits, Space};
use crate::state::{Slot, State};
use crate::statistics::Statistics;
use crate::surrogate::FeatureCache;
use crate::{Error, Genes, Mutations};

/// The reason why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Finish {
    /// All generations have been told.
    Generations,
    /// [`SearchConfig::evaluations`] candidates have been told.
    Evaluations,
    /// No genome was found that is not a candidate already.
    Exhausted,
    /// The hypervolume did not grow for [`SearchConfig::stalled_generations`] generations.
    Stalled,
    /// [`Search::stop`] was called.
    Stopped,
}

/// A multi-objective search by ask and tell: NSGA-II (Deb et al. 2002), by default with a surrogate.
///
/// At the generational pace (the default) a search depends on its configuration and the outcomes
/// alone, not on the order in which they are told. A search can be saved with serde at any point, in
/// any format, and continues after loading as if it had not been interrupted. Two conditions: a
/// [`Space`] of your own must save its genomes' floats exactly, and a reader of JSON must round the
/// floats of the configuration correctly (serde_json: feature `float_roundtrip`). All other floats
/// are strings in JSON.
#[derive(Clone, Debug)]
pub struct Search<S: Space = Bits> {
    pub(crate) state: State<S>,
    // Everything below is derived from the state.
    pub(crate) scores: Scores,
    pub(crate) dedup: DedupIndex<S::Genome>,
    /// Candidates without an outcome, asked or not.
    pub(crate) pending: usize,
    /// The candidates' rungs; empty without rungs.
    pub(crate) ladder: Ladder,
    /// The front as of the last selection.
    pub(crate) front: Front,
    /// The initial state of every wave's mutations.
    pub(crate) mutations: Mutations,
    /// Kept between waves, because known objectives may be slow to compute.
    pub(crate) feature_cache: FeatureCache,
    pub(crate) feature_counts: FeatureCounts,
}

impl Search<Bits> {
    /// Creates a search over all bitstrings of `config.genome_len` bits.
    ///
    /// # Errors
    /// [`Error::Config`] names the field that is out of range.
    pub fn new(config: SearchConfig) -> Result<Self, Error> {
        Search::in_space(config, Bits)
    }
}

impl<S: Space> Search<S> {
    /// Creates a search over any space.
    ///
    /// # Errors
    /// [`Error::Config`] names the field that is out of range.
    pub fn in_space(config: SearchConfig, space: S) -> Result<Self, Error> {
        Search::starting_from(config, space, Vec::new())
    }

    /// Creates a search whose first candidates are these genomes (a warm start), without duplicates.
    ///
    /// If there are fewer than the initial candidates of a search, random genomes are added. Genomes
    /// beyond the first generation are ignored.
    ///
    /// ```
    /// use naschain_nsga::{Bits, Objective, Search, SearchConfig};
    ///
    /// let mut config = SearchConfig::new(8, vec![Objective::maximize("ones")]);
    /// (config.population, config.generations) = (4, 10);
    /// let known = vec!["11110000".parse()?, "11001100".parse()?];
    /// let mut search = Search::starting_from(config, Bits, known.clone())?;
    /// for genome in known {
    ///     assert_eq!(search.ask().candidate().unwrap().genome, genome);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Config`] names the field that is out of range. As [`Genes::check`] for a genome
    /// that is not one of the space.
    pub fn starting_from(
        config: SearchConfig,
        space: S,
        genomes: Vec<S::Genome>,
    ) -> Result<Self, Error> {
        config.validate()?;
        for genome in &genomes {
            genome.check(space.domain(), config.genome_len)?;
        }
        let initial = config.initial_candidates();
        let capacity = config.max_candidates().min(MAX_INITIAL_CAPACITY);
        let mut search = Search::without_candidates(State {
            config,
            space,
            slots: Vec::with_capacity(capacity),
            asked: 0,
            population: Vec::new(),
            waiting: Vec::new(),
            duplicates: 0,
            ended: None,
            statistics: Vec::new(),
            reference: None,
            promotions: Vec::new(),
            parents: Vec::with_capacity(capacity),
        });
        let (population, limit) = (
            search.state.config.population,
            search.state.config.max_candidates(),
        );
        for genome in genomes {
            if search.state.slots.len() < population.min(limit) {
                search.add(genome, Parents::NONE);
            }
        }
        // One first: the domain may have another number of genes than the configuration, and then no
        // generation of such genomes may be made.
        search.add_random(initial.min(1), 0);
        if let Some(slot) = search.state.slots.first() {
            let (domain, len) = (search.space().domain(), search.config().genome_len);
            slot.genome().check(domain, len)?;
        }
        search.add_random(initial, 0);
        Ok(search)
    }

    /// Returns the next candidate to evaluate, or whether to wait for outcomes or to end.
    #[inline]
    pub fn ask(&mut self) -> Ask<S::Genome> {
        if self.state.asked == self.state.slots.len() && self.state.config.pace == Pace::SteadyState
        {
            self.advance();
        }
        let Some(slot) = self.state.slots.get(self.state.asked) else {
            return self.nothing_to_ask();
        };
        let genome = slot.genome().clone();
        let index = self.state.asked;
        self.state.asked += 1;
        Ask::Candidate(self.candidate(index, genome))
    }

    fn nothing_to_ask(&self) -> Ask<S::Genome> {
        let is_last = self.genomes_made() >= self.state.config.max_candidates();
        // The next outcome may promote a candidate.
        let is_open = self.may_promote() && self.pending > 0;
        if !is_open && (is_last || self.state.ended.is_some()) {
            Ask::Done
        } else {
            Ask::Wait
        }
    }

    /// Records the outcome of a candidate. Outcomes may be told in any order.
    ///
    /// # Errors
    /// [`Error::UnknownCandidate`] for an id that was not asked, [`Error::ToldTwice`] for a second
    /// outcome, [`Error::ObjectiveCount`] and [`Error::Violation`] for an invalid outcome. The search
    /// is unchanged after an error.
    #[inline]
    pub fn tell(&mut self, id: CandidateId, mut outcome: Outcome) -> Result<(), Error> {
        let asked = self.state.asked;
        let index = match usize::try_from(id.0) {
            Ok(index) if index < asked => index,
            _ => return Err(Error::UnknownCandidate { id, asked }),
        };
        let genome = match &self.state.slots[index] {
            Slot::Evaluated(_) => return Err(Error::ToldTwice { id }),
            Slot::Pending(genome) => genome.clone(),
        };
        self.check(id, &mut outcome)?;
        self.score(index, &outcome);
        self.state.slots[index] = Slot::Evaluated(Evaluated {
            id,
            genome,
            generation: self.generation_of(index),
            outcome,
        });
        self.state.waiting.push(index);
        self.pending -= 1;
        let (slots, population) = (self.state.slots.len(), self.state.config.population);
        if self.pending == 0 && self.state.asked == slots {
            self.advance();
        } else if self.state.config.pace == Pace::SteadyState
            && self.ladder.rung(index) == 0
            && self.genomes_told().is_multiple_of(population)
        {
            // A generation's worth of outcomes is complete although others are still pending: its
            // statistics are recorded now.
            self.select_and_record();
        }
        Ok(())
    }

    /// Ends the search early: no more candidates are returned, and the search is finished once the
    /// pending ones have been told.
    pub fn stop(&mut self) {
        if self.is_finished() {
            return;
        }
        let asked = self.state.asked;
        self.pending -= self.state.slots.len() - asked;
        self.state.slots.truncate(asked);
        self.state.parents.truncate(asked);
        self.dedup.truncate(asked);
        self.scores.truncate(asked);
        self.truncate_promotions(asked);
        self.state.ended = Some(Finish::Stopped);
        if self.pending == 0 {
            self.advance();
        }
    }

    /// Returns whether nothing is left to ask or to tell.
    pub fn is_finished(&self) -> bool {
        self.finish().is_some()
    }

    /// Returns why the search ended, or `None` while it has not.
    pub fn finish(&self) -> Option<Finish> {
        let config = &self.state.config;
        if self.pending > 0 {
            return None;
        }
        match self.state.ended {
            None if self.genomes_made() < config.max_candidates() => None,
            None if config.max_candidates()
                < config.population.saturating_mul(config.generations) =>
            {
                Some(Finish::Evaluations)
            }
            None => Some(Finish::Generations),
            ended => ended,
        }
    }

    /// The generation of the newest candidate, from 1.
    pub fn generation(&self) -> usize {
        self.generation_of(self.state.slots.len().saturating_sub(1))
    }

    #[inline]
    fn generation_of(&self, index: usize) -> usize {
        self.ladder.ordinal(index) / self.state.config.population + 1
    }

    /// One entry per completed generation.
    pub fn statistics(&self) -> &[Statistics] {
        &self.state.statistics
    }

    /// The configuration.
    pub fn config(&self) -> &SearchConfig {
        &self.state.config
    }

    /// The space that is searched.
    pub fn space(&self) -> &S {
        &self.state.space
    }

    /// Returns the space and drops the rest of the search.
    pub fn into_space(self) -> S {
        self.state.space
    }

    /// All candidates whose outcome is known, in the order of ids.
    pub fn evaluated(&self) -> impl DoubleEndedIterator<Item = &Evaluated<S::Genome>> {
        self.state.slots.iter().filter_map(|slot| match slot {
            Slot::Evaluated(evaluated) => Some(evaluated),
            Slot::Pending(_) => None,
        })
    }

    /// The candidates that were asked but not told, in the order of ids: what is left to evaluate
    /// after a search has been loaded.
    pub fn pending(&self) -> impl DoubleEndedIterator<Item = Candidate<S::Genome>> {
        let asked = self.state.slots[..self.state.asked].iter().enumerate();
        asked.filter_map(|(index, slot)| match slot {
            Slot::Evaluated(_) => None,
            Slot::Pending(genome) => Some(self.candidate(index, genome.clone())),
        })
    }

    /// The canonical form ([`Space::canonical`]) of a candidate's genome, or `None` if the candidate
    /// was never asked. It was computed when the candidate was made, so this is only a look-up.
    pub fn canonical(&self, id: CandidateId) -> Option<&S::Genome> {
        let index = usize::try_from(id.0).ok()?;
        let asked = &self.state.slots[..self.state.asked];
        (index < asked.len()).then(|| self.dedup.canonical(asked, self.ladder.first(index)))
    }

    /// The survivors of the last selection, in the order of ids: at most
    /// [`SearchConfig::population`]. Unlike [`Search::front`] it may lose non-dominated candidates.
    pub fn population(&self) -> Vec<&Evaluated<S::Genome>> {
        let mut population = if self.is_finished() && self.has_all_generations() {
            // The last generation is selected only here, so that the search can be extended.
            let selection = self.selection(self.state.slots.len() as u64);
            let survivors = selection.survivors.iter();
            survivors.map(|ranked| ranked.index).collect()
        } else {
            self.state.population.clone()
        };
        population.sort_unstable();
        self.evaluated_at(&population)
    }

    /// The Pareto front: all evaluated candidates that no other one dominates, without a limit on
    /// their number. Several may have equal objectives. Sorted from best to worst in the first
    /// objective, then in the next ones, then by id.
    pub fn front(&self) -> Vec<&Evaluated<S::Genome>> {
        self.evaluated_at(&self.current_front().members())
    }

    /// The front including the candidates told since the last selection.
    pub(crate) fn current_front(&self) -> Front {
        let mut front = self.front.clone();
        let waiting = self.state.waiting.iter();
        for &index in waiting.filter(|&&index| self.is_full(index)) {
            front.insert(&self.scores, index);
        }
        front
    }

    fn evaluated_at(&self, indices: &[usize]) -> Vec<&Evaluated<S::Genome>> {
        let told = |index: &usize| match &self.state.slots[*index] {
            Slot::Evaluated(evaluated) => Some(evaluated),
            Slot::Pending(_) => None,
        };
        indices.iter().filter_map(told).collect()
    }

    /// A search with this state whose derived parts hold no candidates yet.
    pub(crate) fn without_candidates(state: State<S>) -> Self {
        let (objectives, capacity) = (state.config.objectives.len(), state.slots.capacity());
        Search {
            scores: Scores::with_capacity(objectives, capacity),
            dedup: DedupIndex::with_capacity(capacity),
            pending: 0,
            ladder: Ladder::default(),
            front: Front::new(objectives),
            mutations: Mutations::new(state.config.genome_len, state.config.gene_mutation()),
            feature_cache: FeatureCache::new(),
            feature_counts: FeatureCounts::default(),
            state,
        }
    }

    pub(crate) fn is_pending(&self, index: usize) -> bool {
        matches!(self.state.slots[index], Slot::Pending(_))
    }
}

/// Maximum number of candidates for which memory is reserved at the start.
const MAX_INITIAL_CAPACITY: usize = 1 << 15;
