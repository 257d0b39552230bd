use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::{Error, exact};

/// Whether an objective is minimised or maximised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Smaller is better.
    Minimize,
    /// Larger is better.
    Maximize,
}

impl Direction {
    /// Converts a value to one that is minimised. It is its own inverse.
    pub(crate) fn minimised(self, value: f64) -> f64 {
        match self {
            Direction::Minimize => value,
            Direction::Maximize => -value,
        }
    }
}

/// One objective of a search.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Objective {
    /// The name, for reports and error messages.
    pub name: String,
    /// Whether it is minimised or maximised.
    pub direction: Direction,
}

impl Objective {
    /// An objective that is minimised.
    pub fn minimize(name: impl Into<String>) -> Self {
        let (name, direction) = (name.into(), Direction::Minimize);
        Objective { name, direction }
    }

    /// An objective that is maximised.
    pub fn maximize(name: impl Into<String>) -> Self {
        let (name, direction) = (name.into(), Direction::Maximize);
        Objective { name, direction }
    }
}

/// How candidates are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Mode {
    /// For expensive evaluations. After twelve random candidates, a surrogate model of the outcomes so
    /// far selects from NSGA-II's offspring the ones with the largest expected gain of hypervolume.
    /// After a hundred candidates, some are chosen without the model.
    #[default]
    Surrogate,
    /// For cheap evaluations. Plain NSGA-II: all offspring are candidates.
    Nsga2,
}

/// What [`Mode::Surrogate`] learns with. The choice is part of a configuration so that a stored search goes
/// on as it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Surrogate {
    /// A ridge regression of each objective. Configurations that do not name a surrogate have this one.
    Ridge,
    /// A ridge regression and Gaussian processes, weighted by their leave-one-out errors, which also learn
    /// from the graphs that a space gives. Between 100 and 400 candidates one in four is a neighbour of the
    /// front, which differs in one gene. A step takes longer than with [`Surrogate::Ridge`].
    Ensemble,
}

impl Surrogate {
    /// That of configurations which were stored before there was a choice.
    fn unnamed() -> Self {
        Surrogate::Ridge
    }
}

/// When new candidates are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pace {
    /// In waves: the candidates of a wave are made at once, after all outcomes of the previous
    /// wave, so the order of outcomes does not matter. A wave is a generation with
    /// [`Mode::Nsga2`] and up to four candidates with [`Mode::Surrogate`].
    #[default]
    Generational,
    /// Immediately: each candidate is generated when `ask` is called, from the outcomes known by
    /// then. The same calls in the same order give the same search.
    SteadyState,
}

/// The configuration of a search. The same configuration and outcomes give the same search.
///
/// ```
/// use naschain_nsga::{Objective, SearchConfig};
///
/// let mut config = SearchConfig::new(24, vec![Objective::maximize("ones")]);
/// config.population = 50;
/// config.seed = 7;
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SearchConfig {
    /// Number of genes (bits or real variables) of a genome, 1 to 16,777,216.
    pub genome_len: usize,
    /// Candidates per generation, 2 to 1,000,000; may be odd. It may also be 1 with one generation: then
    /// only the genome of [`Search::starting_from`](crate::Search::starting_from), or a random one, is
    /// evaluated.
    pub population: usize,
    /// Number of generations including the first, random one; at least 1.
    pub generations: usize,
    /// The seed of all random numbers.
    pub seed: u64,
    /// Probability that two parents are crossed rather than copied, 0 to 1.
    #[serde(deserialize_with = "exact::deserialize")]
    pub crossover_probability: f64,
    /// Probability that a gene mutates, 0 to 1; by default 1 / `genome_len`.
    #[serde(default, deserialize_with = "exact::option::deserialize")]
    pub mutation_probability: Option<f64>,
    /// The objectives, at least one.
    pub objectives: Vec<Objective>,
    /// How candidates are chosen.
    #[serde(default)]
    pub mode: Mode,
    /// When new candidates are made.
    #[serde(default)]
    pub pace: Pace,
    /// Maximum number of candidates, if less than `population` × `generations`; at least 1.
    #[serde(default)]
    pub evaluations: Option<usize>,
    /// Ends the search when the front's hypervolume has not grown for this number of generations; at
    /// least 1. Only for up to three objectives.
    #[serde(default)]
    pub stalled_generations: Option<usize>,
    /// The reference point of the hypervolume, one finite value per objective in its own direction;
    /// by default the worst values of the first generation.
    #[serde(default, deserialize_with = "exact::list_option::deserialize")]
    pub reference: Option<Vec<f64>>,
    /// Budgets at which candidates are compared (rungs: Li et al. 2020), ascending, such as epochs
    /// `[1, 3, 9]`; empty is off. A new genome is evaluated with the first budget. Of those told at a
    /// budget, the share budget / next budget goes on to the next one, as further candidates with the
    /// same genome; the others are stopped. Only results of the last budget are on the front.
    #[serde(default)]
    pub rungs: Vec<u32>,
    /// What the default mode learns with.
    #[serde(default = "Surrogate::unnamed")]
    pub surrogate: Surrogate,
}

impl SearchConfig {
    /// Returns the defaults: population 20, 20 generations, seed 0, crossover with probability 0.9,
    /// and [`Mode::Surrogate`] with [`Surrogate::Ensemble`] at the generational pace, without further
    /// limits.
    pub fn new(genome_len: usize, objectives: Vec<Objective>) -> Self {
        SearchConfig {
            genome_len,
            population: 20,
            generations: 20,
            seed: 0,
            crossover_probability: 0.9,
            mutation_probability: None,
            objectives,
            mode: Mode::default(),
            pace: Pace::default(),
            evaluations: None,
            stalled_generations: None,
            reference: None,
            rungs: Vec::new(),
            surrogate: Surrogate::Ensemble,
        }
    }

    /// Breeding needs two parents.
    pub(crate) fn min_population(&self) -> usize {
        if self.generations == 1 { 1 } else { 2 }
    }

    /// The probability that a gene mutates.
    pub(crate) fn gene_mutation(&self) -> f64 {
        self.mutation_probability
            .unwrap_or(1.0 / self.genome_len as f64)
    }

    /// Number of random candidates made before any outcome is known.
    pub(crate) fn initial_candidates(&self) -> usize {
        let wanted = match self.mode {
            Mode::Surrogate => SURROGATE_INITIAL_CANDIDATES,
            Mode::Nsga2 => self.population,
        };
        wanted.min(self.population).min(self.max_candidates())
    }

    /// Maximum number of candidates. With rungs it is that of genomes, of which some become further
    /// candidates: [`SearchConfig::candidates_by_rung`].
    pub fn max_candidates(&self) -> usize {
        let all = self.population.saturating_mul(self.generations);
        all.min(self.evaluations.unwrap_or(usize::MAX))
    }

    /// Checks the ranges of all fields, without making candidates.
    ///
    /// # Errors
    /// [`Error::Config`] names the first field that is out of range.
    pub fn validate(&self) -> Result<(), Error> {
        let probability = "between 0 and 1";
        let share = |value: f64| (0.0..=1.0).contains(&value);
        let mutation = self.gene_mutation();
        let checks = [
            (
                (1..=MAX_GENOME_LEN).contains(&self.genome_len),
                "genome_len",
                self.genome_len.to_string(),
                "between 1 and 16,777,216",
            ),
            (
                (self.min_population()..=MAX_POPULATION).contains(&self.population),
                "population",
                self.population.to_string(),
                "between 2 and 1,000,000, or 1 with one generation",
            ),
            (
                self.generations >= 1,
                "generations",
                self.generations.to_string(),
                "at least 1",
            ),
            (
                share(self.crossover_probability),
                "crossover_probability",
                self.crossover_probability.to_string(),
                probability,
            ),
            (
                share(mutation),
                "mutation_probability",
                mutation.to_string(),
                probability,
            ),
        ];
        require(checks)?;
        self.validate_objectives()
    }

    fn validate_objectives(&self) -> Result<(), Error> {
        let goals = self.objectives.len();
        let reference = self.reference.as_deref().unwrap_or_default();
        let checks = [
            (
                goals >= 1,
                "objectives",
                "empty".to_owned(),
                "at least one objective",
            ),
            (
                self.evaluations != Some(0),
                "evaluations",
                "0".to_owned(),
                "at least 1",
            ),
            (
                self.stalled_generations
                    .is_none_or(|patience| patience >= 1 && goals <= 3),
                "stalled_generations",
                format!("{:?} with {goals} objectives", self.stalled_generations),
                "at least 1, and at most three objectives",
            ),
            (
                self.reference.is_none()
                    || (reference.len() == goals
                        && reference.iter().all(|value| value.is_finite())),
                "reference",
                format!("{reference:?}"),
                "one finite value per objective",
            ),
            (
                self.rungs.is_empty()
                    || (self.rungs.len() >= 2
                        && self.rungs[0] >= 1
                        && self.rungs.is_sorted_by(|a, b| a < b)),
                "rungs",
                format!("{:?}", self.rungs),
                "empty, or at least two budgets of at least 1 in ascending order",
            ),
        ];
        require(checks)
    }
}

// By hand, because a configuration without rungs, or with the surrogate that there was first, is stored as
// it was before there was a choice. Formats that do not name the fields need all of them.
impl Serialize for SearchConfig {
    fn serialize<T: Serializer>(&self, to: T) -> Result<T::Ok, T::Error> {
        let writes_rungs = !self.rungs.is_empty() || !to.is_human_readable();
        let writes_surrogate = self.surrogate != Surrogate::unnamed() || !to.is_human_readable();
        let fields = 12 + usize::from(writes_rungs) + usize::from(writes_surrogate);
        let mut to = to.serialize_struct("SearchConfig", fields)?;
        to.serialize_field("genome_len", &self.genome_len)?;
        to.serialize_field("population", &self.population)?;
        to.serialize_field("generations", &self.generations)?;
        to.serialize_field("seed", &self.seed)?;
        to.serialize_field("crossover_probability", &self.crossover_probability)?;
        to.serialize_field("mutation_probability", &self.mutation_probability)?;
        to.serialize_field("objectives", &self.objectives)?;
        to.serialize_field("mode", &self.mode)?;
        to.serialize_field("pace", &self.pace)?;
        to.serialize_field("evaluations", &self.evaluations)?;
        to.serialize_field("stalled_generations", &self.stalled_generations)?;
        to.serialize_field("reference", &self.reference)?;
        if writes_rungs {
            to.serialize_field("rungs", &self.rungs)?;
        }
        if writes_surrogate {
            to.serialize_field("surrogate", &self.surrogate)?;
        }
        to.end()
    }
}

/// Whether a field is valid, its name, its value, and what is valid.
type Check = (bool, &'static str, String, &'static str);

/// Fails for the first field that is not valid.
fn require(checks: impl IntoIterator<Item = Check>) -> Result<(), Error> {
    let failed = checks.into_iter().find(|(holds, ..)| !holds);
    failed.map_or(Ok(()), |(_, field, found, expected)| {
        Err(Error::Config {
            field,
            found,
            expected,
        })
    })
}

/// Number of random candidates before the first surrogate model is fitted.
const SURROGATE_INITIAL_CANDIDATES: usize = 12;

/// Maximum number of genes of a genome. A single genome of real variables of this length takes
/// 128 MiB.
const MAX_GENOME_LEN: usize = 1 << 24;

/// Maximum population; a whole generation is made at once.
const MAX_POPULATION: usize = 1_000_000;
