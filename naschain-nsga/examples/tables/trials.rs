//! Evaluations with failures and noise.

use naschain_core::{Purpose, Stream};
use naschain_nsga::Design;

use crate::table::{Table, non_dominated};

/// The evaluation of a design.
pub(crate) struct Trial {
    /// What the search is told; `None` if the evaluation fails.
    pub(crate) told: Option<Vec<f64>>,
    /// The values without noise; empty if the design is not in the table.
    pub(crate) truth: Vec<f64>,
}

/// Evaluates the designs of one search.
pub(crate) struct Trials<'a> {
    table: &'a Table,
    /// In percent.
    failures: u64,
    /// The standard deviations of the noise of each objective.
    deviations: Vec<f64>,
    /// Draws which evaluations fail.
    chances: Stream,
    noise: Stream,
}

impl<'a> Trials<'a> {
    /// `failures` is in percent, `noise` in percent of the interquartile range of each objective that has
    /// to be evaluated.
    pub(crate) fn new(table: &'a Table, seed: u64, failures: u64, noise: u64) -> Self {
        let deviation = |spread: f64| {
            if noise == 0 {
                0.0
            } else {
                spread * noise as f64 / 100.0
            }
        };
        let stream = |number: u64| Stream::new(seed, Purpose::Simulation, number, 0);
        Trials {
            table,
            failures,
            deviations: table.spreads().into_iter().map(deviation).collect(),
            chances: stream(1),
            noise: stream(2),
        }
    }

    pub(crate) fn evaluate(&mut self, design: &Design) -> Trial {
        let fails = self.chances.below(100) < self.failures;
        let Some(row) = self.table.row(design) else {
            return Trial {
                told: None,
                truth: Vec::new(),
            };
        };
        let noisy = row.iter().zip(&self.deviations);
        let noisy = noisy.map(|(value, deviation)| value + deviation * normal(&mut self.noise));
        Trial {
            told: (!fails).then(|| noisy.collect()),
            truth: row.to_vec(),
        }
    }
}

/// A number of nearly the standard normal distribution: the sum of twelve uniform numbers, less their
/// expectation.
fn normal(stream: &mut Stream) -> f64 {
    (0..12).map(|_| stream.unit_f64()).sum::<f64>() - 6.0
}

/// The true values of the designs that seem to be the best of these.
pub(crate) fn chosen(trials: &[Trial]) -> Vec<&Vec<f64>> {
    let told = trials.iter().filter(|trial| trial.told.is_some());
    let key = |trial: &&Trial| trial.told.clone().unwrap_or_default();
    let front = non_dominated(told, key).into_iter();
    front.map(|trial| &trial.truth).collect()
}
