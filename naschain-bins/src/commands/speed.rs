//! `miner speed`: how many images a second this machine trains on.

use std::ops::ControlFlow;
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Args;
use naschain_core::{
    Architecture, Augmentation, Genome, MacroSpace, Purpose, Recipe, Shape, Stream,
};
use naschain_train::{Dataset, Epoch, Images, Options, train};
use serde::Serialize;

use crate::cli::run_args::DeviceArgs;
use crate::clock;

/// Flags of the command.
#[derive(Args, Clone, Debug)]
pub struct SpeedArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// Nodes of a phase
    #[arg(long, value_name = "N", default_value_t = 3)]
    nodes: usize,
    /// Channels of the first phase
    #[arg(long, value_name = "N", default_value_t = 16)]
    init_channels: usize,
    /// Images, channels x height x width
    #[arg(long, value_name = "CxHxW", default_value = "1x28x28")]
    input: Shape,
    /// Images a step
    #[arg(long, value_name = "N", default_value_t = 128)]
    batch_size: usize,
    /// Steps to measure; as many go before them unmeasured
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    steps: u16,
    /// Trainings at the same time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    at_once: u16,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// The network, one part a phase
    #[arg(default_value = "1110-1110-1110")]
    genome: String,
}

/// What the command prints.
#[derive(Serialize)]
struct Report {
    device: String,
    threads: usize,
    genome: String,
    params: u64,
    flops: u64,
    batch_size: usize,
    at_once: u16,
    images_per_second: f64,
    /// Whether all of the trainings ended with the same digest.
    digests_equal: bool,
}

/// Trains on made-up images and says how fast it went.
pub fn speed(args: &SpeedArgs) -> Result<String> {
    args.device.device.check()?;
    let genome: Genome = args.genome.parse()?;
    let space = MacroSpace {
        phases: args.genome.split('-').count(),
        nodes: args.nodes,
        input: args.input,
        init_channels: args.init_channels,
        classes: 10,
    };
    let architecture = space.decode(&genome)?;
    let costs = architecture.costs()?;
    let images = args.batch_size * usize::from(args.steps);
    let mut recipe = Recipe::default();
    recipe.epochs = 2;
    recipe.batch_size = args.batch_size;
    recipe.train_images = images;
    recipe.validation_images = 1;
    recipe.augmentation = Augmentation::default();
    recipe.validate()?;
    let dataset = synthetic_images(space.input, images + 1)?;
    let options = args.device.options();
    let runs = runs(&architecture, &dataset, &recipe, options, args.at_once)?;
    let started = runs.iter().map(|run| run.started).min();
    let ended = runs.iter().map(|run| run.ended).max();
    let seconds = match (started, ended) {
        (Some(started), Some(ended)) => (ended - started).as_secs_f64(),
        _ => anyhow::bail!("nothing was trained"),
    };
    let report = Report {
        device: options.device.to_string(),
        threads: options.threads,
        genome: genome.grouped(space.phase_len()),
        params: costs.params,
        flops: costs.flops,
        batch_size: args.batch_size,
        at_once: args.at_once,
        images_per_second: ((runs.len() * images) as f64 / seconds * 10.0).round() / 10.0,
        digests_equal: runs.iter().all(|run| run.digest == runs[0].digest),
    };
    ensure!(
        report.digests_equal,
        "trainings at the same time ended with different digests: this machine does not train to \
         the same bits"
    );
    if args.json {
        return Ok(serde_json::to_string(&report)? + "\n");
    }
    Ok(format!(
        "{} images/s on {} with {} at once, {} threads each, batches of {}: {} ({} parameters, {} FLOPs)\n",
        report.images_per_second,
        report.device,
        report.at_once,
        report.threads,
        report.batch_size,
        report.genome,
        report.params,
        report.flops
    ))
}

/// One training's measured epoch, the second.
struct Run {
    started: Instant,
    ended: Instant,
    digest: naschain_core::Digest,
}

fn runs(
    architecture: &Architecture,
    dataset: &Dataset,
    recipe: &Recipe,
    options: Options,
    count: u16,
) -> Result<Vec<Run>> {
    let one = || -> Result<Run> {
        let mut ends = Vec::new();
        let mut note = |_: &Epoch| {
            ends.push(clock::now());
            ControlFlow::Continue(())
        };
        let trained = train(architecture, dataset, recipe, options, &mut note)?;
        Ok(Run {
            started: ends[0],
            ended: ends[1],
            digest: trained.measurement.digest,
        })
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(one)).collect();
        let joined = threads.into_iter().map(|thread| {
            let panicked = |_| Err(anyhow::anyhow!("a training panicked"));
            thread.join().unwrap_or_else(panicked)
        });
        joined.collect()
    })
}

/// Images of random pixels.
pub(crate) fn synthetic_images(shape: Shape, count: usize) -> Result<Dataset> {
    let mut stream = Stream::new(1, Purpose::Simulation, 0, 0);
    let pixels = (0..count * shape.len()).map(|_| stream.below(256) as u8);
    let labels = (0..count).map(|index| (index % 10) as u16);
    let train = Images::new(shape, pixels.collect(), labels.collect())?;
    let test = Images::new(shape, Vec::new(), Vec::new())?;
    Ok(Dataset::new("made-up images", 10, train, test)?)
}
