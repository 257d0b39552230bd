//! How long a search will take on this machine: a few steps of training are timed before it starts.

use std::time::Duration;

use anyhow::Result;
use naschain_core::{Genome, Purpose, Stream};
use naschain_run::RunSpec;
use naschain_train::Options;

use crate::commands::speed::{measured_run, synthetic_images};

/// Random networks whose costs are averaged, and those that are timed.
const COUNTED: usize = 64;
const TIMED: usize = 3;
/// Minimum time of the measurement of one network.
const ENOUGH: Duration = Duration::from_millis(200);
/// Share of the networks that is trained again at the end, for the front's models.
const FRONT_SHARE: f64 = 0.25;

/// The speed of training on this machine, in FLOPs of forward and backward passes per second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calibration {
    /// Of one training.
    training: f64,
    /// Number of trainings that run at full speed at a time.
    at_once: f64,
}

impl Calibration {
    /// Times a few steps of networks of the run's space, for `miners` concurrent trainings.
    pub(crate) fn measure(spec: &RunSpec, options: Options, miners: usize) -> Result<Calibration> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (mut flops, mut seconds) = (0.0, 0.0);
        for index in 0..TIMED {
            let (done, took) = timed(spec, options, index)?;
            flops += done;
            seconds += took;
        }
        let at_once = (cores / options.threads.max(1)).clamp(1, miners.max(1));
        Ok(Calibration {
            training: flops / seconds,
            at_once: at_once as f64,
        })
    }

    /// FLOPs per second of the whole process.
    pub(crate) fn rate(self) -> f64 {
        self.training * self.at_once
    }

    /// How long a whole search takes, with the front's models.
    pub(crate) fn time_of(self, spec: &RunSpec) -> Duration {
        let networks = (spec.search.population * spec.search.generations) as f64;
        let trainings = networks * (spec.rules.seats as f64 + FRONT_SHARE);
        let seconds = trainings * average_flops(spec) / self.rate();
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}

/// FLOPs of the training of a random network, on average.
fn average_flops(spec: &RunSpec) -> f64 {
    let flops = (0..COUNTED).map(|index| {
        let genome = network(spec, index);
        genome.map_or(0, |genome| spec.training_flops(&genome)) as f64
    });
    flops.sum::<f64>() / COUNTED as f64
}

fn network(spec: &RunSpec, index: usize) -> Result<Genome> {
    let mut stream = Stream::new(spec.search.seed, Purpose::Simulation, 1, index as u64);
    Ok(spec.space.random_genome(&mut stream)?)
}

/// FLOPs and seconds of some training steps of a random network.
fn timed(spec: &RunSpec, options: Options, index: usize) -> Result<(f64, f64)> {
    let architecture = spec.space.decode(&network(spec, index)?)?;
    let per_image = 3.0 * architecture.costs()?.flops as f64;
    let mut recipe = spec.recipe.clone();
    (
        recipe.epochs,
        recipe.warmup_epochs,
        recipe.validation_images,
    ) = (2, 0, 1);
    recipe.batch_size = recipe.batch_size.min(recipe.train_images);
    let mut steps = 1;
    loop {
        recipe.train_images = recipe.batch_size * steps;
        let dataset = synthetic_images(
            spec.space.input,
            recipe.train_images + 1,
            spec.space.classes,
        )?;
        let run = measured_run(&architecture, &dataset, &recipe, options)?;
        let took = run.ended.duration_since(run.started);
        if took >= ENOUGH || steps >= 1 << 12 {
            return Ok((per_image * recipe.train_images as f64, took.as_secs_f64()));
        }
        steps *= 4;
    }
}
