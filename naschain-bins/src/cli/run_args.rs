//! Flags that the commands share.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use naschain_consensus::{Agreement, Rule, Rules};
use naschain_core::{MacroSpace, Recipe};
use naschain_nsga::{Mode, Pace, SearchConfig};
use naschain_train::{Dataset, Device, Isa, Options};

use crate::cli::data_args::DataArgs;
use crate::cli::presets::{PRESETS, Preset};
use crate::coordinator::Coordinator;
use crate::coordinator::shared::Settings;
use crate::journal::run_folder::{create_or_check, versions};
use crate::journal::store::{Place, PlaceParser};
use naschain_run::{DataSpec, RunSpec, objectives};

/// With a population of a million this still counts in 64 bits.
const MAX_GENERATIONS: usize = 1_000_000;

/// A miner that waits for work is heard of more often than this.
const MIN_AWAY_MS: u64 = 30_000;

/// Exit code of a command that was given something wrong.
pub const EXIT_WRONG: u8 = 2;

/// What is searched, and how each network is trained.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// Phases of a network, 1 to 10 [default: see below]
    #[arg(long, value_name = "N")]
    pub phases: Option<usize>,
    /// Nodes of a phase, 2 to 32 [default: see below]
    #[arg(long, value_name = "N")]
    pub nodes: Option<usize>,
    /// Channels of the first phase; they double from one to the next [default: see below]
    #[arg(long, value_name = "N")]
    pub init_channels: Option<usize>,
    /// Training epochs of each network [default: see below]
    #[arg(long, allow_negative_numbers = true, value_name = "N")]
    pub epochs: Option<u32>,
    /// Images a training step [default: see below]
    #[arg(long, value_name = "N")]
    pub batch_size: Option<usize>,
    /// First learning rate; it falls to 0 along half a cosine [default: see below]
    #[arg(long, allow_negative_numbers = true, value_name = "X")]
    pub learning_rate: Option<f64>,
    /// Images to train on, drawn by the seed [default: see below]
    #[arg(long, value_name = "N")]
    pub train_images: Option<usize>,
    /// Images to validate on, drawn by the seed [default: see below]
    #[arg(long, value_name = "N")]
    pub validation_images: Option<usize>,
    /// Pixels of padding for random crops; 0 is off [default: see below]
    #[arg(long, value_name = "N")]
    pub crop_padding: Option<usize>,
    /// Whether to mirror every second image [default: see below]
    #[arg(long, value_name = "BOOL")]
    pub flip: Option<bool>,
    /// Side of the square that is cut out of each image; 0 is off [default: see below]
    #[arg(long, value_name = "N")]
    pub cutout: Option<usize>,
    /// Part of every target that is shared out among all classes; 0 is off
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "X",
        default_value_t = 0.0
    )]
    pub label_smoothing: f64,
    /// Epochs in which the learning rate first rises, fewer than --epochs; 0 is off
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "N",
        default_value_t = 0
    )]
    pub warmup_epochs: u32,
    /// Probability, reached towards the end, that an image loses what a node gives to a reader of
    /// several; 0 is off
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "X",
        default_value_t = 0.0
    )]
    pub drop_path: f64,
    /// Use Nesterov's momentum
    #[arg(long)]
    pub nesterov: bool,
    /// Genomes of a generation
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub population: usize,
    /// Generations, the first random one included
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub generations: usize,
    /// Where all randomness comes from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How the next genomes are chosen: surrogate (a model of accuracy picks the most promising of
    /// NSGA-II's offspring; fewer trainings for the same front) or nsga2 (all of them)
    #[arg(long, value_name = "MODE", default_value = "surrogate", value_parser = mode)]
    pub mode: Mode,
    /// When the next genomes are chosen: generational (when all results of the genomes before are
    /// known; the result does not depend on the order in which miners finish) or steady (as soon
    /// as a miner is free; no miner waits, but two runs differ)
    #[arg(long, value_name = "PACE", default_value = "generational", value_parser = pace)]
    pub pace: Pace,
    /// Miners that train each genome, 2 to 64
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub replication: usize,
    /// When their answers agree: tolerance (accuracy within --tolerance, params and FLOPs
    /// equal), exact (training digests equal too), or chained (as the reference network does)
    /// [default: exact; with --legacy tolerance, since its miners have no digests]
    #[arg(long, value_name = "RULE")]
    pub agreement: Option<Rule>,
    /// Tolerance in percentage points
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "X",
        default_value_t = 1.0
    )]
    pub tolerance: f64,
    /// Seconds without a heartbeat after which a miner's work is given to another
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub lease_seconds: u64,
    /// A rule of the job board, such as max_retries=8 or trust.after_valid=10; may be repeated.
    /// The rules are listed below
    #[arg(long, value_name = "NAME=VALUE")]
    pub rule: Vec<String>,
    /// Folder of the run; an interrupted run in it is gone on with
    /// [default: runs/DATA-seedSEED]
    #[arg(long, visible_alias = "run", value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Where and how trainings run.
#[derive(Args, Clone, Copy, Debug)]
pub struct DeviceArgs {
    /// Where to train: cpu, or cuda:N in a build with --features cuda
    #[arg(long, value_name = "DEVICE", default_value_t = Device::Cpu)]
    pub device: Device,
    #[command(flatten)]
    compute: ComputeArgs,
}

/// How trainings run, whatever the device.
#[derive(Args, Clone, Copy, Debug)]
pub struct ComputeArgs {
    /// CPU threads inside each training; several trainings of one thread are faster
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,
    /// Instructions of the processor: avx512, avx2 or portable; no result depends on them
    /// [default: the best there are]
    #[arg(long, value_name = "NAME")]
    isa: Option<Isa>,
    /// Most memory for one training by its estimate, in MiB; a network that needs more is
    /// reported as failed [default: no limit]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    memory_limit: Option<u64>,
}

impl DeviceArgs {
    /// The options of naschain-train.
    pub fn options(&self) -> Options {
        self.compute.options(self.device)
    }
}

impl ComputeArgs {
    /// The options of naschain-train on a device.
    pub fn options(&self, device: Device) -> Options {
        let mut options = Options::default();
        options.device = device;
        options.threads = usize::from(self.threads);
        options.isa = self.isa;
        options.memory_limit_bytes = self.memory_limit.map(|mebibytes| mebibytes << 20);
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

/// The presets and the rules of the job board, for the end of `--help`.
pub fn help() -> String {
    let mut text = format!("{PRESETS}\n\nRules of the job board, for --rule NAME=VALUE:\n");
    for (name, description) in Rules::settings() {
        text += &format!("  {name:<32} {description}\n");
    }
    text
}

/// The flags that `search` and `serve` share.
#[derive(Args, Clone, Debug)]
pub struct CommonArgs {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    /// Where the journal is: a file, or postgres://USER@HOST/DATABASE, which several genomasters
    /// of one run may share [default: journal.sqlite in the run's folder]
    #[arg(long, value_name = "PLACE", value_parser = PlaceParser)]
    store: Option<Place>,
}

/// A run that was opened: its data, its folder, its coordinator.
pub struct OpenRun {
    pub(crate) dataset: Arc<Dataset>,
    pub(crate) dir: PathBuf,
    pub(crate) coordinator: Arc<Coordinator>,
}

impl CommonArgs {
    /// Checks the flags, reads the data, and makes the run's folder or goes on with it.
    pub async fn open(&self) -> Result<OpenRun> {
        self.open_with(Settings::default()).await
    }

    /// The same with settings of the coordinator.
    pub async fn open_with(&self, settings: Settings) -> Result<OpenRun> {
        self.device.device.check()?;
        let dataset = Arc::new(self.data.load()?);
        let spec = self.run.spec(&self.data, &dataset)?;
        let dir = self.run.folder(&spec.data.name);
        create_or_check(&spec, &dir)?;
        let place = self.store.clone();
        let place = place.unwrap_or_else(|| Place::of_run(&dir));
        let coordinator = Coordinator::open_with(place, spec, settings).await?;
        Ok(OpenRun {
            dataset,
            dir,
            coordinator,
        })
    }
}

impl RunArgs {
    /// The run that these flags ask for.
    pub fn spec(&self, data: &DataArgs, dataset: &Dataset) -> Result<RunSpec> {
        let name = data.name()?;
        let preset = Preset::new(&name, dataset);
        let space = MacroSpace {
            phases: self.phases.unwrap_or(preset.phases),
            nodes: self.nodes.unwrap_or(preset.nodes),
            input: dataset.shape,
            init_channels: self.init_channels.unwrap_or(preset.init_channels),
            classes: dataset.classes,
        };
        let recipe = self.recipe(preset.recipe);
        let search = self.search(space.genome_len())?;
        let data = DataSpec {
            name: name.to_string(),
            digest: dataset.digest(),
        };
        let mut spec = RunSpec::new(space, data);
        spec.versions = versions();
        spec.search = search;
        spec.rules = self.rules(recipe.epochs)?;
        spec.recipe = recipe;
        spec.validate()?;
        // Names the numbers if the data set is too small, before anything is made.
        naschain_train::Split::draw(dataset, &spec.recipe)?;
        Ok(spec)
    }

    /// The preset's recipe with what the flags change.
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

    fn search(&self, genome_len: usize) -> Result<SearchConfig> {
        ensure!(
            (1..=MAX_GENERATIONS).contains(&self.generations),
            "generations is {}; it must be a whole number from 1 to {MAX_GENERATIONS}",
            self.generations
        );
        let mut search = SearchConfig::new(genome_len.max(1), objectives());
        search.population = self.population;
        search.generations = self.generations;
        search.seed = self.seed;
        search.mode = self.mode;
        search.pace = self.pace;
        Ok(search)
    }

    /// The rules of the job board; `--rule` wins over the flags.
    fn rules(&self, epochs: u32) -> Result<Rules> {
        ensure!(
            (2..=64).contains(&self.replication),
            "replication is {}; it must be a whole number from 2 to 64",
            self.replication
        );
        let hundredths = self.tolerance * 100.0;
        ensure!(
            (0.0..=10_000.0).contains(&hundredths)
                && (hundredths - hundredths.round()).abs() < 1e-6,
            "tolerance is {}; it must be a number from 0 to 100 with at most two decimals",
            self.tolerance
        );
        let mut rules = Rules::default();
        rules.seats = self.replication;
        // All miners of this program compute in the same order, so their digests are equal.
        rules.agreement = Agreement::new(self.agreement.unwrap_or(Rule::Exact));
        rules.agreement.tolerance_hundredths = hundredths.round() as u32;
        rules.lease_ms = self.lease_seconds.saturating_mul(1000);
        // A miner without work may be silent for longer than a lease.
        rules.away_ms = self.lease_seconds.saturating_mul(2000).max(MIN_AWAY_MS);
        rules.epochs = epochs;
        for setting in &self.rule {
            let Some((name, value)) = setting.split_once('=') else {
                bail!("--rule is {setting:?}; it must be NAME=VALUE, such as max_retries=8");
            };
            rules.set(name.trim(), value.trim()).context("--rule")?;
        }
        Ok(rules)
    }

    /// The run's folder.
    pub fn folder(&self, data: &str) -> PathBuf {
        let default = || format!("runs/{data}-seed{}", self.seed).into();
        self.out.clone().unwrap_or_else(default)
    }
}
