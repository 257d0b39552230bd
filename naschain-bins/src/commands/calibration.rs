//! How long a search will take on this machine: a few steps of training are timed before it starts.

use std::time::Duration;

use anyhow::Result;
use naschain_core::{Network, Recipe};
use naschain_run::RunSpec;
use naschain_train::Options;

use crate::artifacts::workload::{Workload, average_flops, network};
use crate::commands::progress::time_left;
use crate::commands::speed::{duration_of, measured_runs, synthetic_images};

/// Random networks that are timed.
const TIMED: usize = 3;
/// Minimum time of the measurement of one network.
const ENOUGH: Duration = Duration::from_millis(200);

/// The speed of training on this machine, in FLOPs of forward and backward passes per second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calibration {
    /// Of all concurrent trainings together.
    rate: f64,
}

impl Calibration {
    /// Times a few steps of networks of the run's space, for `miners` concurrent trainings.
    pub(crate) fn measure(spec: &RunSpec, options: Options, miners: usize) -> Result<Calibration> {
        let decode = |index| Ok(spec.space.decode(&network(spec, index)?)?);
        let architectures: Vec<Network> = (0..TIMED).map(decode).collect::<Result<_>>()?;
        let at_once = at_once(options, miners);
        Calibration::of_networks(&architectures, &spec.recipe, options, at_once)
    }

    /// Times a few steps of one training.
    pub(crate) fn of_network(
        architecture: &Network,
        recipe: &Recipe,
        options: Options,
    ) -> Result<Calibration> {
        Calibration::of_networks(std::slice::from_ref(architecture), recipe, options, 1)
    }

    fn of_networks(
        architectures: &[Network],
        recipe: &Recipe,
        options: Options,
        at_once: u16,
    ) -> Result<Calibration> {
        let (mut flops, mut seconds) = (0.0, 0.0);
        for architecture in architectures {
            let (done, took) = timed(architecture, recipe, options, at_once)?;
            flops += done;
            seconds += took;
        }
        Ok(Calibration {
            rate: flops / seconds,
        })
    }

    /// FLOPs per second of the whole process.
    pub(crate) fn rate(self) -> f64 {
        self.rate
    }

    /// How long a search still takes after `done` networks were evaluated. This includes training the
    /// front's models and testing them on `test_images` images.
    pub(crate) fn time_of(self, spec: &RunSpec, test_images: usize, done: usize) -> Duration {
        let left = Workload::new(spec, test_images).left(done, average_flops(spec));
        time_left(left, self.rate).unwrap_or(Duration::MAX)
    }
}

/// Number of trainings that run at a time. They are timed together, because cores that share caches
/// and power are slower together than alone.
fn at_once(options: Options, miners: usize) -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let at_once = (cores / options.threads.max(1)).clamp(1, miners.max(1));
    u16::try_from(at_once).unwrap_or(u16::MAX)
}

/// FLOPs and seconds of some training steps of a network, in several trainings at a time.
fn timed(
    architecture: &Network,
    recipe: &Recipe,
    options: Options,
    at_once: u16,
) -> Result<(f64, f64)> {
    let per_image = 3.0 * f64::from(at_once) * architecture.costs()?.flops as f64;
    let mut recipe = recipe.clone();
    recipe.rungs.clear();
    (
        recipe.epochs,
        recipe.warmup_epochs,
        recipe.validation_images,
    ) = (2, 0, 1);
    recipe.batch_size = recipe.batch_size.min(recipe.train_images);
    let mut steps = 1;
    loop {
        recipe.train_images = recipe.batch_size * steps;
        let (input, classes) = (architecture.input(), architecture.classes());
        let dataset = synthetic_images(input, recipe.train_images + 1, classes)?;
        let runs = measured_runs(architecture.into(), &dataset, &recipe, options, at_once)?;
        let took = duration_of(&runs)?;
        if took >= ENOUGH || steps >= 1 << 12 {
            return Ok((per_image * recipe.train_images as f64, took.as_secs_f64()));
        }
        steps *= 4;
    }
}
