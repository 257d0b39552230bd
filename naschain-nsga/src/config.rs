use serde::{Deserialize, Serialize};

use crate::Error;

/// Which end of an objective is the good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Smaller is better.
    Minimize,
    /// Larger is better.
    Maximize,
}

impl Direction {
    /// The value as one to minimise; applied twice it is the value again.
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
pub struct Objective {
    /// What is measured, for reports and errors.
    pub name: String,
    /// Which end is the good one.
    pub direction: Direction,
}

impl Objective {
    /// An objective of which less is better.
    pub fn minimize(name: impl Into<String>) -> Self {
        let (name, direction) = (name.into(), Direction::Minimize);
        Objective { name, direction }
    }

    /// An objective of which more is better.
    pub fn maximize(name: impl Into<String>) -> Self {
        let (name, direction) = (name.into(), Direction::Maximize);
        Objective { name, direction }
    }
}

/// How candidates are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// After twelve random candidates, a model of the outcomes so far picks among NSGA-II's children
    /// those that promise to enlarge the front's hypervolume most: for evaluations that cost. After a
    /// hundred, some candidates are taken without its say.
    #[default]
    Surrogate,
    /// Every child of NSGA-II is a candidate: for evaluations that cost next to nothing.
    Nsga2,
}

/// What new candidates wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// For all outcomes of the batch before (a generation with [`Mode::Nsga2`], up to four
    /// candidates with [`Mode::Surrogate`]), so that the order of outcomes does not matter.
    #[default]
    Generational,
    /// For nothing: each candidate is made from the outcomes that are there when it is asked. The
    /// same calls in the same order give the same search.
    SteadyState,
}

/// What a search needs to know; the same configuration gives the same search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchConfig {
    /// Genes of a genome: bits, or real variables; at least 1.
    pub genome_len: usize,
    /// Candidates of a generation, at least 2; odd numbers are fine.
    pub population: usize,
    /// Generations, the first (random) one included; at least 1.
    pub generations: usize,
    /// Where all randomness comes from.
    pub seed: u64,
    /// Probability that two parents are crossed rather than copied.
    pub crossover_probability: f64,
    /// Probability that a gene mutates; by default 1 / `genome_len`.
    #[serde(default)]
    pub mutation_probability: Option<f64>,
    /// What is optimised; at least one objective.
    pub objectives: Vec<Objective>,
    /// How candidates are chosen.
    #[serde(default)]
    pub mode: Mode,
    /// What new candidates wait for.
    #[serde(default)]
    pub pace: Pace,
    /// Candidates at most, where that is less than all generations hold; at least 1.
    #[serde(default)]
    pub evaluations: Option<usize>,
    /// Ends the search when the front's hypervolume has not grown over so many generations; at
    /// least 1, and for three objectives at most.
    #[serde(default)]
    pub stalled_generations: Option<usize>,
    /// Where hypervolume is measured from, one value an objective in its own direction; by default
    /// the worst values of the first generation.
    #[serde(default)]
    pub reference: Option<Vec<f64>>,
}

impl SearchConfig {
    /// The defaults: population 20, 20 generations, seed 0, crossover with probability 0.9, and
    /// [`Mode::Surrogate`] at the generational pace, without further limits.
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
        }
    }

    /// The probability that a gene mutates.
    pub(crate) fn gene_mutation(&self) -> f64 {
        self.mutation_probability
            .unwrap_or(1.0 / self.genome_len as f64)
    }

    /// Candidates at most.
    pub(crate) fn limit(&self) -> usize {
        let all = self.population.saturating_mul(self.generations);
        all.min(self.evaluations.unwrap_or(usize::MAX))
    }

    /// Candidates made before any outcome is known.
    pub(crate) fn first_batch(&self) -> usize {
        let most = match self.mode {
            Mode::Surrogate => FIRST_OF_SURROGATE,
            Mode::Nsga2 => self.population,
        };
        most.min(self.population).min(self.limit())
    }

    pub(crate) fn validate(&self) -> Result<(), Error> {
        let probability = "between 0 and 1";
        let share = |value: f64| (0.0..=1.0).contains(&value);
        let mutation = self.gene_mutation();
        let goals = self.objectives.len();
        let reference = self.reference.as_deref().unwrap_or_default();
        let checks = [
            (
                (1..=LONGEST_GENOME).contains(&self.genome_len),
                "genome_len",
                self.genome_len.to_string(),
                "between 1 and 16,777,216",
            ),
            (
                (2..=MOST).contains(&self.population),
                "population",
                self.population.to_string(),
                "between 2 and 1,000,000",
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
                "at least 1, with three objectives at most",
            ),
            (
                self.reference.is_none()
                    || (reference.len() == goals
                        && reference.iter().all(|value| value.is_finite())),
                "reference",
                format!("{reference:?}"),
                "one finite value an objective",
            ),
        ];
        for (holds, field, found, expected) in checks {
            if !holds {
                return Err(Error::Config {
                    field,
                    found,
                    expected,
                });
            }
        }
        Ok(())
    }
}

/// Random candidates that a surrogate starts from.
const FIRST_OF_SURROGATE: usize = 12;

/// The most genes of a genome, 2²⁴: even one genome takes memory in proportion, real variables 128 MiB.
const LONGEST_GENOME: usize = 1 << 24;

/// The largest population: a whole generation is made at once.
const MOST: usize = 1_000_000;
