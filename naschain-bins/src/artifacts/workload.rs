//! The work that a run consists of, before it is done.

use anyhow::Result;
use naschain_core::{Genome, Purpose, Stream};
use naschain_nsga::Space;
use naschain_run::{LimitedSpace, RunSpec};

/// FLOPs of a network of a later generation, relative to the random networks of the first one: a search
/// for small networks too proposes smaller ones. It was 0.42 to 0.71 in searches of 24 and 40 networks
/// on photographs and digits.
pub(crate) const LATER_SIZE: f64 = 0.6;
/// Random networks of which the average is taken.
const COUNTED: usize = 64;

/// What the work of a run consists of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Workload {
    /// FLOPs of training and validating a network, relative to training it.
    pub(crate) validated: f64,
    /// FLOPs of testing a network of the front, likewise.
    pub(crate) tested: f64,
    /// Whether the networks of the front are trained again, since no miner delivers their weights.
    pub(crate) trains_front: bool,
    pub(crate) seats: f64,
    pub(crate) population: usize,
    pub(crate) networks: usize,
}

impl Workload {
    /// The workload of a run that tests each network of its front on `test_images` images.
    pub(crate) fn new(spec: &RunSpec, test_images: usize) -> Workload {
        let recipe = &spec.recipe;
        // The backward pass costs twice as much as the forward pass.
        let trained = 3.0 * recipe.train_images as f64 * f64::from(recipe.epochs);
        let more = |images: usize| images as f64 / trained.max(1.0);
        let measured = if recipe.is_measured_on_test() {
            test_images
        } else {
            recipe.validation_images
        };
        let validated = 1.0 + more(measured);
        Workload {
            validated,
            tested: more(test_images),
            trains_front: !spec.collects_models,
            seats: spec.rules.seats as f64,
            population: spec.search.population,
            networks: spec
                .search
                .population
                .saturating_mul(spec.search.generations),
        }
    }

    /// The FLOPs that are left after `done` networks, if the training of a random network takes
    /// `average`.
    pub(crate) fn left(&self, done: usize, average: f64) -> f64 {
        let first = self.population.saturating_sub(done) as f64;
        let later = self.networks.saturating_sub(done.max(self.population)) as f64;
        let search = (first + later * LATER_SIZE) * self.seats * self.validated;
        average * (search + self.expected_front())
    }

    /// FLOPs of the models of the front, relative to the training of a random network. In finished
    /// runs 1.5 √n of n networks are on the front, half as many to half as many again.
    pub(crate) fn expected_front(&self) -> f64 {
        1.5 * (self.networks as f64).sqrt() * LATER_SIZE * self.of_model(1.0, self.trains_front)
    }

    /// FLOPs of a model of the front, of which training takes `training`: for its test and, if it is
    /// trained again, for that.
    pub(crate) fn of_model(&self, training: f64, is_trained: bool) -> f64 {
        let trained = if is_trained { self.validated } else { 0.0 };
        training * (self.tested + trained)
    }
}

/// FLOPs of the training of a random network, on average.
pub(crate) fn average_flops(spec: &RunSpec) -> f64 {
    let share = spec.mean_epochs() / f64::from(spec.recipe.epochs.max(1));
    let flops = (0..COUNTED).map(|index| {
        let genome = network(spec, index);
        genome.map_or(0, |genome| spec.training_flops(&genome)) as f64
    });
    share * flops.sum::<f64>() / COUNTED as f64
}

pub(crate) fn network(spec: &RunSpec, index: usize) -> Result<Genome> {
    let mut stream = Stream::new(spec.search.seed, Purpose::Simulation, 1, index as u64);
    let genome = spec.space.random_genome(&mut stream)?;
    Ok(LimitedSpace::new(spec.space.clone(), spec.limits).repaired(genome))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_and_the_smaller_networks_of_later_generations_are_expected() {
        let load = Workload {
            validated: 1.25,
            tested: 0.25,
            trains_front: true,
            seats: 2.0,
            population: 4,
            networks: 16,
        };
        let front = 1.5 * 4.0 * LATER_SIZE * 1.5;
        let jobs = |count: f64| count * 2.0 * 1.25;
        let left = |done| load.left(done, 10.0) / 10.0;
        assert!((left(0) - front - jobs(4.0 + 12.0 * LATER_SIZE)).abs() < 1e-9);
        assert!((left(3) - front - jobs(1.0 + 12.0 * LATER_SIZE)).abs() < 1e-9);
        assert!((left(10) - front - jobs(6.0 * LATER_SIZE)).abs() < 1e-9);
        assert!((left(16) - front).abs() < 1e-9);
    }
}
