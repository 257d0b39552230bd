use serde::{Deserialize, Serialize};

use crate::candidate::Evaluated;
use crate::config::{Mode, Objective, Pace, SearchConfig};
use crate::exact;
use crate::search::Finish;
use crate::statistics::Statistics;
use crate::{Error, Genes, Space};

/// A candidate before and after its outcome is known.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Slot<G> {
    Untold(G),
    Told(Evaluated<G>),
}

impl<G> Slot<G> {
    pub(crate) fn genome(&self) -> &G {
        match self {
            Slot::Untold(genome) => genome,
            Slot::Told(evaluated) => &evaluated.genome,
        }
    }
}

/// What is stored of a search; all else follows from it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    bound(
        serialize = "S: Serialize, S::Genome: Serialize",
        deserialize = "S: Deserialize<'de>, S::Genome: Deserialize<'de>"
    )
)]
pub(crate) struct State<S: Space> {
    #[serde(with = "SavedConfig")]
    pub(crate) config: SearchConfig,
    pub(crate) space: S,
    /// Every candidate made, in the order of ids.
    pub(crate) slots: Vec<Slot<S::Genome>>,
    /// How many of them have been asked.
    pub(crate) asked: usize,
    /// The survivors of the last selection.
    pub(crate) population: Vec<usize>,
    /// Those told since the last selection.
    pub(crate) waiting: Vec<usize>,
    /// Genomes thrown away because their like was a candidate already.
    pub(crate) duplicates: u64,
    /// Why no more candidates are made, if not for the configuration's limits.
    pub(crate) ended: Option<Finish>,
    /// One entry for each generation that is told.
    pub(crate) statistics: Vec<Statistics>,
    /// The point, to minimise, from which the statistics' hypervolumes are measured.
    #[serde(with = "exact::list_option")]
    pub(crate) reference: Option<Vec<f64>>,
}

/// A configuration with exact floats; by itself it has plain ones, as people write them.
#[derive(Serialize, Deserialize)]
#[serde(remote = "SearchConfig", deny_unknown_fields)]
struct SavedConfig {
    genome_len: usize,
    population: usize,
    generations: usize,
    seed: u64,
    #[serde(with = "exact")]
    crossover_probability: f64,
    #[serde(with = "exact::option")]
    mutation_probability: Option<f64>,
    objectives: Vec<Objective>,
    mode: Mode,
    pace: Pace,
    evaluations: Option<usize>,
    stalled_generations: Option<usize>,
    #[serde(with = "exact::list_option")]
    reference: Option<Vec<f64>>,
}

impl<S: Space> State<S> {
    /// Whether these parts can belong to one search; outcomes are checked when they are scored.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        self.config.validate()?;
        let damaged = |what: String| Err(Error::Damaged { what });
        if self.asked > self.slots.len() {
            return damaged(format!("{} asked of {}", self.asked, self.slots.len()));
        }
        // A search may be stopped before anything is asked.
        if self.slots.is_empty() && self.ended.is_none() {
            return damaged("there are no candidates".to_owned());
        }
        for (index, slot) in self.slots.iter().enumerate() {
            let (found, expected) = (slot.genome().gene_count(), self.config.genome_len);
            if found != expected {
                return Err(Error::GenomeLength { found, expected });
            }
            if let Slot::Told(told) = slot {
                let generation = index / self.config.population + 1;
                if told.id.0 != index as u64 || told.generation != generation {
                    return damaged(format!("candidate {index} was told as another one"));
                }
                if index >= self.asked {
                    return damaged(format!("candidate {index} was told and not asked"));
                }
            }
        }
        let told = |index: &&usize| matches!(self.slots.get(**index), Some(Slot::Told(_)));
        if let Some(index) = self
            .population
            .iter()
            .chain(&self.waiting)
            .find(|at| !told(at))
        {
            return damaged(format!("survivor {index} was never told"));
        }
        match &self.reference {
            Some(point) if point.len() != self.config.objectives.len() => {
                damaged("the reference point has another number of objectives".to_owned())
            }
            _ => Ok(()),
        }
    }
}
