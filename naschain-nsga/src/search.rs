use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::candidate::{Candidate, CandidateId, Evaluated, Outcome};
use crate::config::{Pace, SearchConfig};
use crate::front::Front;
use crate::seen::Seen;
use crate::selection::Scores;
use crate::space::{Bits, Space};
use crate::state::{Slot, State};
use crate::statistics::Statistics;
use crate::surrogate::Sights;
use crate::{Error, Genes, Mutations};

/// Why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Finish {
    /// All generations are told.
    Generations,
    /// As many candidates are told as [`SearchConfig::evaluations`] allows.
    Evaluations,
    /// No genome was found that has not been asked yet.
    Exhausted,
    /// The hypervolume has not grown for [`SearchConfig::stalled_generations`].
    Stalled,
    /// [`Search::stop`] was called.
    Stopped,
}

/// An NSGA-II search (Deb et al. 2002) that asks for evaluations and is told their outcomes.
///
/// At the generational pace (the default) the course of a search depends on its configuration and the
/// outcomes alone, not on the order of tells. Saved and restored at any point (serde), it goes on as if
/// it had not been interrupted, in any format; a space of the user's own must see to its genomes' floats.
#[derive(Clone, Debug)]
pub struct Search<S: Space = Bits> {
    pub(crate) state: State<S>,
    // All below follows from the state.
    pub(crate) scores: Scores,
    /// The canonical forms of all candidates.
    pub(crate) seen: Seen,
    pub(crate) untold: usize,
    /// The front when candidates were last selected.
    pub(crate) front: Front,
    /// Where every batch's mutations start from.
    pub(crate) mutations: Mutations,
    /// Kept from step to step, because a space may need long for them.
    pub(crate) sights: Sights,
}

impl Search<Bits> {
    /// A search over all bitstrings of `config.genome_len` bits.
    ///
    /// # Errors
    /// [`Error::Config`] names the field that is out of range.
    pub fn new(config: SearchConfig) -> Result<Self, Error> {
        Search::in_space(config, Bits)
    }
}

impl<S: Space> Search<S> {
    /// A search over a space of the user's own.
    ///
    /// # Errors
    /// [`Error::Config`] names the field that is out of range.
    pub fn in_space(config: SearchConfig, space: S) -> Result<Self, Error> {
        Search::starting_from(config, space, Vec::new())
    }

    /// A search whose first candidates are these genomes, duplicates left out; what is missing of those
    /// that any search starts from is random. Of more genomes than a generation holds the first ones are
    /// taken.
    ///
    /// # Errors
    /// [`Error::Config`] names the field that is out of range, [`Error::GenomeLength`] a genome of
    /// another length.
    pub fn starting_from(
        config: SearchConfig,
        space: S,
        genomes: Vec<S::Genome>,
    ) -> Result<Self, Error> {
        config.validate()?;
        let expected = config.genome_len;
        if let Some(genome) = genomes
            .iter()
            .find(|genome| genome.gene_count() != expected)
        {
            let found = genome.gene_count();
            return Err(Error::GenomeLength { found, expected });
        }
        let (first, most) = (config.first_batch(), config.limit().min(RESERVED));
        let mut search = Search::around(State {
            config,
            space,
            slots: Vec::with_capacity(most),
            asked: 0,
            population: Vec::new(),
            waiting: Vec::new(),
            duplicates: 0,
            ended: None,
            statistics: Vec::new(),
            reference: None,
        });
        let (population, limit) = (search.state.config.population, search.state.config.limit());
        for genome in genomes {
            if search.state.slots.len() < population.min(limit) {
                search.add(genome);
            }
        }
        search.fill_up(first, 0);
        Ok(search)
    }

    /// The next candidate to evaluate. `None` when the search waits for outcomes, or is finished.
    #[inline]
    pub fn ask(&mut self) -> Option<Candidate<S::Genome>> {
        if self.state.asked == self.state.slots.len() && self.state.config.pace == Pace::SteadyState
        {
            self.turn();
        }
        let genome = self.state.slots.get(self.state.asked)?.genome().clone();
        let id = CandidateId(self.state.asked as u64);
        self.state.asked += 1;
        Some(Candidate { id, genome })
    }

    /// Takes the outcome of a candidate; any order will do.
    ///
    /// # Errors
    /// [`Error::UnknownCandidate`] for an id that was not asked, [`Error::ToldTwice`],
    /// [`Error::ObjectiveCount`] and [`Error::Violation`] for an outcome that cannot be. The
    /// search is then as it was.
    #[inline]
    pub fn tell(&mut self, id: CandidateId, mut outcome: Outcome) -> Result<(), Error> {
        let asked = self.state.asked;
        let index = match usize::try_from(id.0) {
            Ok(index) if index < asked => index,
            _ => return Err(Error::UnknownCandidate { id, asked }),
        };
        let genome = match &self.state.slots[index] {
            Slot::Told(_) => return Err(Error::ToldTwice { id }),
            Slot::Untold(genome) => genome.clone(),
        };
        self.check(id, &mut outcome)?;
        self.score(index, &outcome);
        self.state.slots[index] = Slot::Told(Evaluated {
            id,
            genome,
            generation: self.generation_of(index),
            outcome,
        });
        self.state.waiting.push(index);
        self.untold -= 1;
        let (slots, population) = (self.state.slots.len(), self.state.config.population);
        if self.untold == 0 && self.state.asked == slots {
            self.turn();
        } else if self.state.config.pace == Pace::SteadyState
            && (slots - self.untold).is_multiple_of(population)
        {
            // A generation is told while others are pending: it has its entry now.
            self.take_in();
        }
        Ok(())
    }

    /// Ends the search early, because time is up for instance: no more candidates are asked, and
    /// when the pending ones are told the search is finished.
    pub fn stop(&mut self) {
        if self.is_finished() {
            return;
        }
        self.untold -= self.state.slots.len() - self.state.asked;
        self.state.slots.truncate(self.state.asked);
        self.seen.truncate(self.state.asked);
        self.scores.truncate(self.state.asked);
        self.state.ended = Some(Finish::Stopped);
        if self.untold == 0 {
            self.turn();
        }
    }

    /// Whether there is nothing left to ask or to tell.
    pub fn is_finished(&self) -> bool {
        self.finish().is_some()
    }

    /// Why the search ended, once it has.
    pub fn finish(&self) -> Option<Finish> {
        let config = &self.state.config;
        if self.untold > 0 {
            return None;
        }
        match self.state.ended {
            None if self.state.slots.len() < config.limit() => None,
            None if config.limit() < config.population.saturating_mul(config.generations) => {
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
        index / self.state.config.population + 1
    }

    /// One entry for each generation that is told.
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

    /// The space, when the search is no longer needed.
    pub fn into_space(self) -> S {
        self.state.space
    }

    /// Every candidate whose outcome is known, in the order of ids.
    pub fn evaluated(&self) -> impl DoubleEndedIterator<Item = &Evaluated<S::Genome>> {
        self.state.slots.iter().filter_map(|slot| match slot {
            Slot::Told(evaluated) => Some(evaluated),
            Slot::Untold(_) => None,
        })
    }

    /// The candidates that were asked and not yet told, in the order of ids: what is left to
    /// evaluate when a search is restored.
    pub fn pending(&self) -> impl DoubleEndedIterator<Item = Candidate<S::Genome>> {
        let asked = self.state.slots[..self.state.asked].iter().enumerate();
        asked.filter_map(|(index, slot)| match slot {
            Slot::Told(_) => None,
            Slot::Untold(genome) => Some(Candidate {
                id: CandidateId(index as u64),
                genome: genome.clone(),
            }),
        })
    }

    /// The survivors of the last selection, in the order of ids: at most
    /// [`SearchConfig::population`]. Unlike [`Search::front`] it can lose good candidates.
    pub fn population(&self) -> Vec<&Evaluated<S::Genome>> {
        let mut population = self.state.population.clone();
        population.sort_unstable();
        self.evaluated_at(&population)
    }

    /// The non-dominated ones of all evaluated candidates, however many; equal objectives may
    /// occur. Sorted from best to worst in the first objective, then the next, then by id.
    pub fn front(&self) -> Vec<&Evaluated<S::Genome>> {
        self.evaluated_at(&self.merged_front().members())
    }

    /// The front with those told since candidates were last selected.
    pub(crate) fn merged_front(&self) -> Front {
        let mut front = self.front.clone();
        for &index in &self.state.waiting {
            front.join(&self.scores, index);
        }
        front
    }

    fn evaluated_at(&self, indices: &[usize]) -> Vec<&Evaluated<S::Genome>> {
        let told = |index: &usize| match &self.state.slots[*index] {
            Slot::Told(evaluated) => Some(evaluated),
            Slot::Untold(_) => None,
        };
        indices.iter().filter_map(told).collect()
    }

    /// A search with this state and no candidates taken in yet.
    fn around(state: State<S>) -> Self {
        Search {
            scores: Scores::with_capacity(state.config.objectives.len(), state.slots.capacity()),
            seen: Seen::with_capacity(state.slots.capacity()),
            untold: 0,
            front: Front::new(state.config.objectives.len()),
            mutations: Mutations::new(state.config.genome_len, state.config.gene_mutation()),
            sights: Sights::new(),
            state,
        }
    }

    /// Takes up a saved state.
    fn restored(mut state: State<S>) -> Result<Self, Error> {
        state.validate()?;
        let slots = std::mem::take(&mut state.slots);
        let duplicates = state.duplicates;
        let mut search = Search::around(state);
        for (index, slot) in slots.into_iter().enumerate() {
            if !search.add(slot.genome().clone()) {
                let what = format!("candidate {index} is a duplicate");
                return Err(Error::Damaged { what });
            }
            search.state.slots[index] = slot;
            if let Slot::Told(told) = &search.state.slots[index] {
                let mut outcome = told.outcome.clone();
                search.check(told.id, &mut outcome)?;
                search.score(index, &outcome);
                search.untold -= 1;
            }
        }
        search.state.duplicates = duplicates;
        // Those waiting join it when candidates are selected.
        search.front = Front::without(&search.scores, &search.state.waiting);
        Ok(search)
    }

    pub(crate) fn is_untold(&self, index: usize) -> bool {
        matches!(self.state.slots[index], Slot::Untold(_))
    }

    /// Whether this can be an outcome of this search; a NaN makes it a failure.
    #[inline]
    fn check(&self, id: CandidateId, outcome: &mut Outcome) -> Result<(), Error> {
        let objectives = &self.state.config.objectives;
        match outcome {
            Outcome::Objectives(values) => {
                let (found, expected) = (values.len(), objectives.len());
                if found != expected {
                    return Err(Error::ObjectiveCount {
                        id,
                        found,
                        expected,
                    });
                }
                if let Some(at) = values.iter().position(|value| value.is_nan()) {
                    *outcome = Outcome::Failed(format!("objective {} is NaN", objectives[at].name));
                }
            }
            &mut Outcome::Infeasible(found) if !(found > 0.0 && found.is_finite()) => {
                return Err(Error::Violation { id, found });
            }
            _ => {}
        }
        Ok(())
    }

    /// Writes an outcome into what is derived from outcomes.
    #[inline]
    fn score(&mut self, index: usize, outcome: &Outcome) {
        let width = self.scores.objectives;
        match outcome {
            Outcome::Failed(_) => {}
            Outcome::Infeasible(violation) => {
                self.scores.violations[index] = *violation;
            }
            Outcome::Objectives(values) => {
                self.scores.violations[index] = 0.0;
                self.scores.successes += 1;
                let row = &mut self.scores.rows[index * width..(index + 1) * width];
                let directions = self.state.config.objectives.iter();
                for ((cell, value), objective) in row.iter_mut().zip(values).zip(directions) {
                    *cell = objective.direction.minimised(*value);
                }
            }
        }
    }
}

/// Room for candidates that is set aside at the start, at most.
const RESERVED: usize = 1 << 15;

impl<S: Space + Serialize> Serialize for Search<S>
where
    S::Genome: Serialize,
{
    fn serialize<T: Serializer>(&self, to: T) -> Result<T::Ok, T::Error> {
        self.state.serialize(to)
    }
}

impl<'de, S: Space + Deserialize<'de>> Deserialize<'de> for Search<S>
where
    S::Genome: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Search::restored(State::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}
