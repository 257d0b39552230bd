//! Flags of a run and of trainings, which several commands share.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use naschain_consensus::{Agreement, Referee, Rule, Rules};
use naschain_nsga::{Mode, Pace, SearchConfig};
use naschain_train::{DataName, Dataset, Device, Isa, Options};

use crate::cli::data_args::DataArgs;
use crate::cli::limit_args::LimitArgs;
use crate::cli::machine_memory;
use crate::cli::presets::{Budget, Defaults, NETWORK_REPLICATION, indented, presets};
use crate::cli::run_values::{mode, one_in, pace};
use crate::cli::space_args::SpaceArgs;
use crate::cli::training_args::TrainingArgs;
use crate::journal::versions::versions;
use naschain_run::{DataSpec, RunSpec, objectives};

/// Maximum number of generations, so that counts of genomes do not overflow 64 bits even with a
/// population of a million.
const MAX_GENERATIONS: usize = 1_000_000;

/// Minimum time without requests after which a miner counts as gone. A miner that waits for work
/// sends a request at least every 20 s.
const MIN_AWAY_MS: u64 = 30_000;

/// Exit code of a command that failed; the same as that of clap for invalid flags.
pub(crate) const EXIT_ERROR: u8 = 2;

/// Headings of `--help`.
pub(crate) const SIZE: &str = "Size of the search";
pub(crate) const RUN: &str = "The run";
pub(crate) const MACHINE: &str = "The machine";
pub(crate) const METHOD: &str = "Method of the search";
const AGREEMENT: &str = "Miners and their agreement";

/// Flags of the search space, the recipe of trainings, the search, and the job board.
#[derive(Args, Clone, Debug)]
pub(crate) struct RunArgs {
    /// Training budget: sets the defaults of epochs, images, channels, population and generations
    ///
    /// small takes minutes on two cores for up to 10,000 small images; medium about ten times as
    /// long, and large about ten times as long again. The tables below show what they set.
    #[arg(long, value_name = "SIZE", value_enum, default_value_t = Budget::Small, help_heading = SIZE)]
    pub budget: Budget,
    /// Number of genomes per generation [default: see --help]
    #[arg(long, value_name = "N", help_heading = SIZE)]
    pub population: Option<usize>,
    /// Number of generations, including the random first one [default: see --help]
    #[arg(long, value_name = "N", help_heading = SIZE)]
    pub generations: Option<usize>,
    /// Folder of the run; an interrupted run in it resumes [default: runs/DATA-seedSEED]
    ///
    /// For own data DATA is its name and the start of its digest.
    #[arg(long, visible_alias = "run", value_name = "DIR", help_heading = RUN)]
    pub out: Vec<PathBuf>,
    /// Seed of all randomness
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = RUN)]
    pub seed: u64,
    #[command(flatten)]
    pub(crate) space: SpaceArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) training: TrainingArgs,
    /// How the next genomes are chosen: surrogate or nsga2
    ///
    /// With surrogate, a model of accuracy selects the most promising of NSGA-II's offspring, which
    /// takes fewer trainings for the same front; with nsga2, all offspring are trained.
    #[arg(long, value_name = "MODE", default_value = "surrogate", value_parser = mode, help_heading = METHOD, hide_short_help = true)]
    pub mode: Mode,
    /// Epochs after which weak networks are stopped, ascending, such as 3,9 of 27
    ///
    /// The share of the networks that go on from a rung is its epochs divided by the next one's: a third
    /// for 3, 9 and 27. So more networks are tried with the same computation. The learning rate falls to
    /// 0 before each.
    #[arg(long, value_name = "EPOCHS", value_delimiter = ',', help_heading = METHOD, hide_short_help = true)]
    pub rungs: Vec<u32>,
    /// When the next genomes are chosen: generational or steady
    ///
    /// generational: when the whole generation is evaluated; the result does not depend on the order
    /// in which miners finish. steady: as soon as a miner is free; miners never wait, but runs are
    /// not reproducible.
    #[arg(long, value_name = "PACE", default_value = "generational", value_parser = pace, help_heading = METHOD, hide_short_help = true)]
    pub pace: Pace,
    /// Number of miners that train each genome, 2 to 64 [default: see --help]
    ///
    /// Also 1 for a search in one process, where results need no cross-check.
    #[arg(long, value_name = "N", help_heading = AGREEMENT, hide_short_help = true)]
    pub replication: Option<usize>,
    /// When results of miners agree: tolerance, exact or chained [default: exact; tolerance with
    /// --legacy, whose miners have no digests]
    ///
    /// tolerance: accuracy within --tolerance; parameters and FLOPs equal. exact: training digests
    /// equal as well. chained: the reference network's rule.
    #[arg(long, value_name = "RULE", help_heading = AGREEMENT, hide_short_help = true)]
    pub agreement: Option<Rule>,
    /// Tolerance of accuracy in percentage points
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "X",
        default_value_t = 1.0,
        help_heading = AGREEMENT,
        hide_short_help = true
    )]
    pub tolerance: f64,
    /// Seconds without a heartbeat after which a miner's job is assigned to another miner
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400), help_heading = AGREEMENT, hide_short_help = true)]
    pub lease_seconds: u64,
    /// Set a rule of the job board, such as max_retries=8 or trust.after_valid=10
    ///
    /// May be repeated. The end of this help lists the rules.
    #[arg(long, value_name = "NAME=VALUE", help_heading = AGREEMENT, hide_short_help = true)]
    pub rule: Vec<String>,
    /// Let the majority decide where results of miners differ, instead of a referee
    ///
    /// By default, with exact agreement, the genomaster finds the first step at which two trainings
    /// part and computes it itself, so that one honest miner is enough.
    #[arg(long, help_heading = AGREEMENT, hide_short_help = true)]
    pub no_referee: bool,
    /// Share of the jobs, drawn at random, that get one more miner once all agree, such as 1/100; 0 for
    /// none
    ///
    /// Miners that all lie alike cause no dispute. Needs the referee.
    #[arg(long, value_name = "SHARE", default_value = "1/100", value_parser = one_in, help_heading = AGREEMENT, hide_short_help = true)]
    pub spot_checks: u32,
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
#[command(next_help_heading = MACHINE)]
pub struct DeviceArgs {
    /// Device to compute on: cpu, cuda:N or wgpu:N
    ///
    /// cuda:N, an NVIDIA GPU, needs a build with --features cuda; wgpu:N, a GPU of any vendor by
    /// Vulkan or Metal, one with --features wgpu. cuda-direct:N is the same as cuda:N without burn,
    /// to compare; networks of the micro and mobile space are trained without it on all GPUs.
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
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    isa: Option<Isa>,
    /// Maximum estimated memory of one training, in MiB [default: most of the memory]
    ///
    /// A network that needs more is not trained, and a miner does not join a run that could contain
    /// one. The default is, on the CPU, 80 % of the memory of the machine or container, divided by
    /// the number of concurrent trainings; on a GPU there is no limit.
    #[arg(long, value_name = "MIB", hide_short_help = true, value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
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
        self.spec_on(&data.name()?, dataset)
    }

    /// The specification of the run on a data set with this name.
    pub(crate) fn spec_on(&self, name: &DataName, dataset: &Dataset) -> Result<RunSpec> {
        let defaults = Defaults::new(name, self.budget);
        let (shape, classes) = (dataset.shape, dataset.classes);
        let space = self.space.space(defaults.space, shape, classes)?;
        let mut recipe = self.training.apply(defaults.recipe(name, dataset));
        recipe.seed = self.seed;
        recipe.rungs = self.rungs.clone();
        let mut search = self.search(space.genome_len(), &defaults)?;
        if !self.rungs.is_empty() {
            search.rungs = recipe.measured_epochs().collect();
        }
        let data = DataSpec::new(name.to_string(), dataset.digest());
        let mut spec = RunSpec::new(space, data);
        spec.search = search;
        spec.recipe = recipe;
        spec.limits = self.limits.limits();
        self.complete(spec, self.replication(name), dataset)
    }

    /// Adds versions and rules to a run with this recipe and this search, and checks it.
    pub(crate) fn complete(
        &self,
        mut spec: RunSpec,
        replication: usize,
        dataset: &Dataset,
    ) -> Result<RunSpec> {
        spec.versions = versions();
        spec.rules = self.rules(&spec, replication)?;
        // Where digests differ nobody can tell whose weights are meant.
        spec.collects_models = spec.rules.agreement.rule == Rule::Exact;
        spec.validate()?;
        // Fails if the data set is too small, before anything is created.
        naschain_train::Split::draw(dataset, &spec.recipe)?;
        Ok(spec)
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
    fn rules(&self, spec: &RunSpec, replication: usize) -> Result<Rules> {
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
        rules.epochs = spec.recipe.epochs;
        let is_exact = rules.agreement.rule == Rule::Exact;
        if is_exact && !self.in_process && !self.no_referee {
            let mut referee = Referee::new(spec.training_steps());
            referee.spot_check_every = self.spot_checks;
            rules.referee = Some(referee);
        }
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
        // By a rule that was set now, where nobody asked for a referee.
        let asks = |setting: &String| setting.starts_with("referee");
        if rules.agreement.rule != Rule::Exact && !self.rule.iter().any(asks) {
            rules.referee = None;
        }
        ensure!(
            rules.seats >= least,
            "seats is {}; a served run needs at least {least}, so that answers can be compared",
            rules.seats
        );
        Ok(rules)
    }

    /// The run's folder: `--out`, or `default`.
    ///
    /// # Errors
    /// Where several are given. Other flags may be repeated, the last one counts; but of two folders
    /// the first may be the one that was meant.
    pub(crate) fn folder(&self, default: PathBuf) -> Result<PathBuf> {
        match &self.out[..] {
            [] => Ok(default),
            [out] => Ok(out.clone()),
            [first, second, ..] => bail!(
                "--out (or --run) is given as {} and as {}; a genomaster has one run",
                first.display(),
                second.display()
            ),
        }
    }
}
