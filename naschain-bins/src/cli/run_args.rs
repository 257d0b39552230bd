//! Flags of a run and of trainings, which several commands share.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use naschain_consensus::{Agreement, Rule, Rules};
use naschain_core::{MacroSpace, Recipe};
use naschain_nsga::{Mode, Pace, SearchConfig};
use naschain_train::{DataName, Dataset, Device, Isa, Options};

use crate::cli::data_args::DataArgs;
use crate::cli::machine_memory;
use crate::cli::presets::{Budget, Defaults, NETWORK_REPLICATION, indented, presets};
use crate::journal::run_folder::versions;
use naschain_run::{DataSpec, RunSpec, objectives};

/// Maximum number of generations, so that counts of genomes do not overflow 64 bits even with a
/// population of a million.
const MAX_GENERATIONS: usize = 1_000_000;

/// Minimum time without requests after which a miner counts as gone. A miner that waits for work
/// sends a request at least every 20 s.
const MIN_AWAY_MS: u64 = 30_000;

/// Exit code of a command that failed; the same as that of clap for invalid flags.
pub(crate) const EXIT_ERROR: u8 = 2;

/// Flags of the search space, the recipe of trainings, the search, and the job board.
#[derive(Args, Clone, Debug)]
pub(crate) struct RunArgs {
    /// Training budget: small (minutes on two cores for up to 10,000 small images), medium or
    /// large. It sets the defaults of epochs, images, channels, population and generations
    #[arg(long, value_name = "SIZE", value_enum, default_value_t = Budget::Small)]
    pub budget: Budget,
    /// Number of phases of a network, 1 to 10 [default: see below]
    #[arg(long, value_name = "N")]
    pub phases: Option<usize>,
    /// Number of nodes of a phase, 2 to 32 [default: see below]
    #[arg(long, value_name = "N")]
    pub nodes: Option<usize>,
    /// Channels of the first phase; each phase has twice as many as the one before [default: see
    /// below]
    #[arg(long, value_name = "N")]
    pub init_channels: Option<usize>,
    /// Number of training epochs of each network [default: see below]
    #[arg(long, allow_negative_numbers = true, value_name = "N")]
    pub epochs: Option<u32>,
    /// Mini-batch size [default: see below]
    #[arg(long, value_name = "N")]
    pub batch_size: Option<usize>,
    /// Initial learning rate; cosine decay to 0 [default: see below]
    #[arg(long, allow_negative_numbers = true, value_name = "X")]
    pub learning_rate: Option<f64>,
    /// Number of training images, chosen at random by the seed [default: see below]
    #[arg(long, value_name = "N")]
    pub train_images: Option<usize>,
    /// Number of validation images, chosen at random by the seed [default: see below]
    #[arg(long, value_name = "N")]
    pub validation_images: Option<usize>,
    /// Padding for random crops in pixels; 0 disables them [default: see below]
    #[arg(long, value_name = "N")]
    pub crop_padding: Option<usize>,
    /// Flip training images horizontally with probability 1/2; --flip false switches it off
    /// [default: see below]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub flip: Option<bool>,
    /// Side of the square that cutout erases from training images, in pixels; 0 disables it
    /// [default: see below]
    #[arg(long, value_name = "N")]
    pub cutout: Option<usize>,
    /// Label smoothing: fraction of each target that is spread over all classes
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "X",
        default_value_t = 0.0
    )]
    pub label_smoothing: f64,
    /// Number of epochs of linear learning-rate warmup, less than --epochs
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "N",
        default_value_t = 0
    )]
    pub warmup_epochs: u32,
    /// Drop-path probability, reached towards the end of training: the probability that an input of
    /// a node with several inputs is dropped; 0 disables it
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "X",
        default_value_t = 0.0
    )]
    pub drop_path: f64,
    /// Use Nesterov momentum
    #[arg(long)]
    pub nesterov: bool,
    /// Number of genomes per generation [default: see below]
    #[arg(long, value_name = "N")]
    pub population: Option<usize>,
    /// Number of generations, including the random first one [default: see below]
    #[arg(long, value_name = "N")]
    pub generations: Option<usize>,
    /// Seed of all randomness
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How the next genomes are chosen: surrogate (a model of accuracy selects the most promising
    /// of NSGA-II's offspring, which takes fewer trainings for the same front) or nsga2 (all
    /// offspring)
    #[arg(long, value_name = "MODE", default_value = "surrogate", value_parser = mode)]
    pub mode: Mode,
    /// When the next genomes are chosen: generational (when the whole generation is evaluated; the
    /// result does not depend on the order in which miners finish) or steady (as soon as a miner
    /// is free; miners never wait, but runs are not reproducible)
    #[arg(long, value_name = "PACE", default_value = "generational", value_parser = pace)]
    pub pace: Pace,
    /// Number of miners that train each genome, 2 to 64; also 1 for a search in one process, where
    /// results need no cross-check [default: see below]
    #[arg(long, value_name = "N")]
    pub replication: Option<usize>,
    /// When results of miners agree: tolerance (accuracy within --tolerance; parameters and FLOPs
    /// equal), exact (training digests equal as well), or chained (the reference network's rule)
    /// [default: exact; tolerance with --legacy, whose miners have no digests]
    #[arg(long, value_name = "RULE")]
    pub agreement: Option<Rule>,
    /// Tolerance of accuracy in percentage points
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "X",
        default_value_t = 1.0
    )]
    pub tolerance: f64,
    /// Seconds without a heartbeat after which a miner's job is assigned to another miner
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub lease_seconds: u64,
    /// Set a rule of the job board, such as max_retries=8 or trust.after_valid=10; may be repeated.
    /// `--help` lists the rules
    #[arg(long, value_name = "NAME=VALUE")]
    pub rule: Vec<String>,
    /// Folder of the run; an interrupted run in it resumes [default: runs/DATA-seedSEED;
    /// for own data DATA is its name and the start of its digest]
    #[arg(long, visible_alias = "run", value_name = "DIR")]
    pub out: Vec<PathBuf>,
    /// Whether miners of the reference network take part, which send no heartbeats.
    #[arg(skip)]
    pub silent_uids: bool,
    /// Whether miners may be strangers, whose reputation limits what they get; set by `serve` for signed
    /// runs.
    #[arg(skip)]
    pub has_strangers: bool,
    /// Whether all miners are in this process; set by `search`.
    #[arg(skip)]
    pub in_process: bool,
}

/// Flags of the device and of computation.
#[derive(Args, Clone, Copy, Debug)]
pub struct DeviceArgs {
    /// Device to train on: cpu; cuda:N in a build with --features cuda; burn-cuda:N, the same GPU
    /// through burn's backend, with --features burn-cuda; or wgpu:N, a GPU of any vendor by Vulkan or
    /// Metal, with --features wgpu
    #[arg(long, value_name = "DEVICE", default_value_t = Device::Cpu)]
    pub device: Device,
    #[command(flatten)]
    compute: ComputeArgs,
}

/// Flags of computation on any device.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct ComputeArgs {
    /// CPU threads per training; several single-threaded trainings are faster in total
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,
    /// CPU instruction set: avx512, avx2 or portable; results do not depend on it [default: the
    /// best available]
    #[arg(long, value_name = "NAME")]
    isa: Option<Isa>,
    /// Maximum estimated memory of one training, in MiB; a network that needs more is not trained,
    /// and a miner does not join a run that could contain one [default: on the CPU, 80 % of the
    /// memory of the machine or container, divided by the number of concurrent trainings]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    memory_limit: Option<u64>,
}

impl DeviceArgs {
    /// The options of naschain-train for one training at a time.
    pub fn options(&self) -> Options {
        self.options_of(1)
    }

    /// The options of naschain-train for each of several concurrent trainings.
    pub fn options_of(&self, trainings: u32) -> Options {
        self.compute.options(self.device, trainings)
    }
}

impl ComputeArgs {
    /// The options of naschain-train on a device, for each of several concurrent trainings.
    pub(crate) fn options(&self, device: Device, trainings: u32) -> Options {
        let mut options = Options::default();
        options.device = device;
        options.threads = usize::from(self.threads);
        options.isa = self.isa;
        // Cannot overflow: the flag is at most 2^40.
        options.memory_limit_bytes = match self.memory_limit {
            Some(mebibytes) => Some(mebibytes << 20),
            // An allocation that fails ends the whole process, with all of its trainings.
            None if device == Device::Cpu => machine_memory::default_limit_bytes(trainings),
            None => None,
        };
        options
    }
}

fn mode(text: &str) -> Result<Mode, String> {
    match text {
        "surrogate" => Ok(Mode::Surrogate),
        "nsga2" => Ok(Mode::Nsga2),
        _ => Err("use surrogate or nsga2".to_owned()),
    }
}

fn pace(text: &str) -> Result<Pace, String> {
    match text {
        "generational" => Ok(Pace::Generational),
        "steady" => Ok(Pace::SteadyState),
        _ => Err("use generational or steady".to_owned()),
    }
}

/// The end of `--help`: defaults that depend on the data set, and the rules of the job board.
pub fn help() -> String {
    let mut text = format!(
        "{}\nRules of the job board, for --rule NAME=VALUE:\n",
        presets()
    );
    for (name, description) in Rules::settings() {
        text += &format!("  {name}\n{}", indented(description));
    }
    text
}

/// Time to collect requests for work in a signed run before open seats are drawn among their
/// miners: otherwise the first miners would hold all seats of the first generation.
const DRAW_WAIT_MS: u64 = 2_000;

impl RunArgs {
    /// The specification of the run.
    pub(crate) fn spec(&self, data: &DataArgs, dataset: &Dataset) -> Result<RunSpec> {
        let name = data.name()?;
        let defaults = Defaults::new(&name, self.budget);
        let space = MacroSpace {
            phases: self.phases.unwrap_or(defaults.phases),
            nodes: self.nodes.unwrap_or(defaults.nodes),
            input: dataset.shape,
            init_channels: self.init_channels.unwrap_or(defaults.init_channels),
            classes: dataset.classes,
        };
        let recipe = self.recipe(defaults.recipe(&name, dataset));
        let search = self.search(space.genome_len(), &defaults)?;
        let data = DataSpec::new(name.to_string(), dataset.digest());
        let mut spec = RunSpec::new(space, data);
        spec.versions = versions();
        spec.search = search;
        spec.rules = self.rules(recipe.epochs, self.replication(&name))?;
        spec.recipe = recipe;
        spec.validate()?;
        // Fails if the data set is too small, before anything is created.
        naschain_train::Split::draw(dataset, &spec.recipe)?;
        Ok(spec)
    }

    /// The preset's recipe, changed by the flags.
    fn recipe(&self, mut recipe: Recipe) -> Recipe {
        fn set<T: Copy>(value: &mut T, flag: Option<T>) {
            *value = flag.unwrap_or(*value);
        }
        set(&mut recipe.epochs, self.epochs);
        set(&mut recipe.batch_size, self.batch_size);
        set(&mut recipe.learning_rate, self.learning_rate);
        set(&mut recipe.train_images, self.train_images);
        set(&mut recipe.validation_images, self.validation_images);
        set(&mut recipe.augmentation.crop_padding, self.crop_padding);
        set(&mut recipe.augmentation.horizontal_flip, self.flip);
        set(&mut recipe.augmentation.cutout, self.cutout);
        recipe.seed = self.seed;
        recipe.label_smoothing = self.label_smoothing;
        recipe.warmup_epochs = self.warmup_epochs;
        recipe.drop_path = self.drop_path;
        recipe.nesterov = self.nesterov;
        recipe
    }

    /// Number of miners that train each genome of a data set.
    pub(crate) fn replication(&self, data: &DataName) -> usize {
        let default = || {
            if self.in_process {
                Defaults::new(data, self.budget).replication
            } else {
                NETWORK_REPLICATION
            }
        };
        self.replication.unwrap_or_else(default)
    }

    fn search(&self, genome_len: usize, defaults: &Defaults) -> Result<SearchConfig> {
        let generations = self.generations.unwrap_or(defaults.generations);
        ensure!(
            (1..=MAX_GENERATIONS).contains(&generations),
            "generations is {generations}; it must be a whole number from 1 to {MAX_GENERATIONS}"
        );
        let mut search = SearchConfig::new(genome_len.max(1), objectives());
        search.population = self.population.unwrap_or(defaults.population);
        search.generations = generations;
        search.seed = self.seed;
        search.mode = self.mode;
        search.pace = self.pace;
        Ok(search)
    }

    /// The rules of the job board; `--rule` takes precedence over other flags.
    fn rules(&self, epochs: u32, replication: usize) -> Result<Rules> {
        let least = if self.in_process { 1 } else { 2 };
        ensure!(
            (least..=64).contains(&replication),
            "replication is {replication}; it must be a whole number from {least} to 64"
        );
        let hundredths = self.tolerance * 100.0;
        ensure!(
            // Decimal fractions are not exact in binary: 0.07 times 100 is not exactly 7.
            (0.0..=10_000.0).contains(&hundredths)
                && (hundredths - hundredths.round()).abs() < 1e-6,
            "tolerance is {}; it must be a number from 0 to 100 with at most two decimals",
            self.tolerance
        );
        let mut rules = Rules::default();
        rules.seats = replication;
        // All NASChain miners compute bit-identical digests, so a different digest is a wrong
        // result.
        rules.agreement = Agreement::new(self.agreement.unwrap_or(Rule::Exact));
        rules.agreement.tolerance_hundredths = hundredths.round() as u32;
        rules.lease_ms = self.lease_seconds.saturating_mul(1000);
        // A waiting miner sends no heartbeats, so it may be silent for longer than a lease.
        rules.away_ms = self.lease_seconds.saturating_mul(2000).max(MIN_AWAY_MS);
        rules.epochs = epochs;
        rules.silent_uids = self.silent_uids;
        rules.reputation = rules.reputation.filter(|_| self.has_strangers);
        if let Some(reputation) = &mut rules.reputation {
            reputation.draw_wait_ms = DRAW_WAIT_MS;
        }
        for setting in &self.rule {
            let Some((name, value)) = setting.split_once('=') else {
                bail!("--rule is {setting:?}; it must be NAME=VALUE, such as max_retries=8");
            };
            rules.set(name.trim(), value.trim()).context("--rule")?;
        }
        ensure!(
            rules.seats >= least,
            "seats is {}; a served run needs at least {least}, so that answers can be compared",
            rules.seats
        );
        Ok(rules)
    }

    /// The run's folder.
    ///
    /// # Errors
    /// Where several are given. Other flags may be repeated, the last one counts; but of two folders
    /// the first may be the one that was meant.
    pub(crate) fn folder(&self, data: &str) -> Result<PathBuf> {
        match &self.out[..] {
            [] => Ok(format!("runs/{data}-seed{}", self.seed).into()),
            [out] => Ok(out.clone()),
            [first, second, ..] => bail!(
                "--run (--out) is given as {} and as {}; a genomaster has one run",
                first.display(),
                second.display()
            ),
        }
    }
}
