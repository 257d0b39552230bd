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
}

impl SearchConfig {
    /// The defaults: population 100, 100 generations, seed 0, crossover with probability 0.9.
    pub fn new(genome_len: usize, objectives: Vec<Objective>) -> Self {
        SearchConfig {
            genome_len,
            population: 100,
            generations: 100,
            seed: 0,
            crossover_probability: 0.9,
            mutation_probability: None,
            objectives,
        }
    }

    /// The probability that a gene mutates.
    pub(crate) fn gene_mutation(&self) -> f64 {
        self.mutation_probability
            .unwrap_or(1.0 / self.genome_len as f64)
    }

    pub(crate) fn validate(&self) -> Result<(), Error> {
        let probability = "between 0 and 1";
        let share = |value: f64| (0.0..=1.0).contains(&value);
        let mutation = self.gene_mutation();
        let checks = [
            (
                self.genome_len >= 1,
                "genome_len",
                self.genome_len.to_string(),
                "at least 1",
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
                !self.objectives.is_empty(),
                "objectives",
                "empty".to_owned(),
                "at least one objective",
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

/// The largest population: a whole generation is made at once.
const MOST: usize = 1_000_000;
