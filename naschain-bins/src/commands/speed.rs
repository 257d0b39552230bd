//! `miner speed`: measures the training speed of this machine in images per second.

mod min_compute;
mod report;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use naschain_core::{
    Architecture, Augmentation, Digest, Genome, MacroSpace, Purpose, Recipe, Shape, Stream,
};
use naschain_train::{Dataset, Epoch, Images, Options, train};

use crate::cli::run_args::DeviceArgs;
use crate::clock;
use crate::commands::speed::report::SpeedReport;
use crate::files::write_whole;

/// Flags of the command.
#[derive(Args, Clone, Debug)]
pub struct SpeedArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// Number of nodes of a phase
    #[arg(long, value_name = "N", default_value_t = 3)]
    nodes: usize,
    /// Channels of the first phase
    #[arg(long, value_name = "N", default_value_t = 16)]
    init_channels: usize,
    /// Input shape, channels x height x width
    #[arg(long, value_name = "CxHxW", default_value = "1x28x28")]
    input: Shape,
    /// Mini-batch size
    #[arg(long, value_name = "N", default_value_t = 128)]
    batch_size: usize,
    /// Number of training steps to measure, after as many steps of warm-up
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    steps: u16,
    /// Number of concurrent trainings
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    at_once: u16,
    /// Also write what a miner needs to be as fast as this machine was, in the form of the file
    /// min_compute.yml of Bittensor's subnets
    #[arg(long, value_name = "FILE")]
    min_compute: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Genome of the network; - separates phases
    #[arg(default_value = "1110-1110-1110")]
    genome: String,
}

/// Trains on synthetic images, so that no data set is needed, and returns what the command prints.
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
    // The first epoch is the warm-up, the second is measured.
    recipe.epochs = 2;
    recipe.batch_size = args.batch_size;
    recipe.train_images = images;
    recipe.validation_images = 1;
    recipe.augmentation = Augmentation::default();
    recipe.validate()?;
    let dataset = synthetic_images(space.input, images + 1, 10)?;
    let options = args.device.options();
    let runs = measured_runs(&architecture, &dataset, &recipe, options, args.at_once)?;
    let seconds = duration_of(&runs)?.as_secs_f64();
    let report = SpeedReport {
        device: options.device.to_string(),
        threads: options.threads,
        genome: genome.grouped(space.phase_len()),
        params: costs.params,
        flops: costs.flops,
        batch_size: args.batch_size,
        at_once: args.at_once,
        images_per_second: ((runs.len() * images) as f64 / seconds * 10.0).round() / 10.0,
        digests_equal: runs.iter().all(|run| run.digest == runs[0].digest),
        digest: runs[0].digest,
    };
    ensure!(
        report.digests_equal,
        "concurrent trainings of one network have different digests: training on this machine is not \
         reproducible"
    );
    if let Some(file) = &args.min_compute {
        write_whole(file, min_compute::text(&report).as_bytes())?;
    }
    if args.json {
        return Ok(serde_json::to_string(&report)? + "\n");
    }
    Ok(report.text())
}

/// The measured epoch of one training.
pub(crate) struct MeasuredRun {
    started: Instant,
    ended: Instant,
    digest: Digest,
}

/// Trains for two epochs, of which the first is the warm-up.
fn measured_run(
    architecture: &Architecture,
    dataset: &Dataset,
    recipe: &Recipe,
    options: Options,
) -> Result<MeasuredRun> {
    let mut ends = Vec::new();
    let mut note = |_: &Epoch| {
        ends.push(clock::now());
        ControlFlow::Continue(())
    };
    let trained = train(architecture, dataset, recipe, options, &mut note)?;
    Ok(MeasuredRun {
        started: ends[0],
        ended: ends[1],
        digest: trained.measurement.digest,
    })
}

/// Trains a network several times at once.
pub(crate) fn measured_runs(
    architecture: &Architecture,
    dataset: &Dataset,
    recipe: &Recipe,
    options: Options,
    count: u16,
) -> Result<Vec<MeasuredRun>> {
    let one = || measured_run(architecture, dataset, recipe, options);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(one)).collect();
        let joined = threads.into_iter().map(|thread| {
            let panicked = |_| Err(anyhow::anyhow!("a training panicked"));
            thread.join().unwrap_or_else(panicked)
        });
        joined.collect()
    })
}

/// The time from the start of the first to the end of the last run.
pub(crate) fn duration_of(runs: &[MeasuredRun]) -> Result<Duration> {
    let started = runs.iter().map(|run| run.started).min();
    let ended = runs.iter().map(|run| run.ended).max();
    match (started, ended) {
        (Some(started), Some(ended)) => Ok(ended.duration_since(started)),
        _ => anyhow::bail!("nothing was trained"),
    }
}

/// A data set with random pixels, the same on every machine.
pub(crate) fn synthetic_images(shape: Shape, count: usize, classes: usize) -> Result<Dataset> {
    let mut stream = Stream::new(1, Purpose::Simulation, 0, 0);
    let pixels = (0..count * shape.len()).map(|_| stream.below(256) as u8);
    let labels = (0..count).map(|index| (index % classes) as u16);
    let train = Images::new(shape, pixels.collect(), labels.collect())?;
    let test = Images::new(shape, Vec::new(), Vec::new())?;
    Ok(Dataset::new("synthetic images", classes, train, test)?)
}
