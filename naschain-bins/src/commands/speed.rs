//! `miner speed`: measures the training speed of this machine in images per second.

mod min_compute;
mod report;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use naschain_core::{
    Augmentation, Digest, Genome, Network, NetworkRef, Purpose, Recipe, SearchSpace, Shape, Stream,
};
use naschain_train::{Dataset, Epoch, Images, Options, train};

use crate::cli::run_args::DeviceArgs;
use crate::cli::space_args::{SpaceArgs, SpaceDefaults};
use crate::clock;
use crate::commands::speed::report::SpeedReport;
use crate::files::write_whole;

/// Flags of the command.
#[derive(Args, Clone, Debug)]
pub struct SpeedArgs {
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    space: SpaceArgs,
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
    /// Genome of the network; - separates its parts [default: 1110-1110-1110; in other spaces one
    /// that is drawn]
    genome: Option<String>,
}

/// Sizes of the space unless flags say others; the genome says how many phases there are.
const DEFAULTS: SpaceDefaults = SpaceDefaults {
    phases: 3,
    nodes: 3,
    blocks: 4,
    layers: 5,
    stages: 3,
    depth: 2,
    init_channels: 16,
};

/// The network to train, and its genome as text.
fn network(args: &SpeedArgs) -> Result<(Network, String)> {
    let phases = |genome: &String| genome.split('-').count();
    let defaults = SpaceDefaults {
        phases: args.genome.as_ref().map_or(DEFAULTS.phases, phases),
        ..DEFAULTS
    };
    let space = args.space.space(defaults, args.input, 10)?;
    let genome: Genome = match (&args.genome, &space) {
        (Some(genome), _) => genome.parse()?,
        (None, SearchSpace::Macro(_)) => "1110-1110-1110".parse()?,
        (None, _) => space.random_genome(&mut Stream::new(1, Purpose::Simulation, 0, 0))?,
    };
    Ok((space.decode(&genome)?, genome.grouped(space.part_len())))
}

/// Trains on synthetic images, so that no data set is needed, and returns what the command prints.
pub fn speed(args: &SpeedArgs) -> Result<String> {
    args.device.device.check()?;
    let (network, genome) = network(args)?;
    let costs = network.costs()?;
    let images = args.batch_size * usize::from(args.steps);
    let mut recipe = Recipe::default();
    // The first epoch is the warm-up, the second is measured.
    recipe.epochs = 2;
    recipe.batch_size = args.batch_size;
    recipe.train_images = images;
    recipe.validation_images = 1;
    recipe.augmentation = Augmentation::default();
    recipe.validate()?;
    let dataset = synthetic_images(args.input, images + 1, 10)?;
    let options = args.device.options();
    let runs = measured_runs(network.view(), &dataset, &recipe, options, args.at_once)?;
    let seconds = duration_of(&runs)?.as_secs_f64();
    let report = SpeedReport {
        device: options.device.to_string(),
        threads: options.threads,
        genome,
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
    network: NetworkRef<'_>,
    dataset: &Dataset,
    recipe: &Recipe,
    options: Options,
) -> Result<MeasuredRun> {
    let mut ends = Vec::new();
    let mut note = |_: &Epoch| {
        ends.push(clock::now());
        ControlFlow::Continue(())
    };
    let trained = train(network, dataset, recipe, options, &mut note)?;
    Ok(MeasuredRun {
        started: ends[0],
        ended: ends[1],
        digest: trained.measurement.digest,
    })
}

/// Trains a network several times at once.
pub(crate) fn measured_runs(
    network: NetworkRef<'_>,
    dataset: &Dataset,
    recipe: &Recipe,
    options: Options,
    count: u16,
) -> Result<Vec<MeasuredRun>> {
    let one = || measured_run(network, dataset, recipe, options);
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
