//! The flags that `search` and `serve` share, and opening a run by them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use naschain_consensus::Event;
use naschain_train::{Dataset, Device, Options};

use crate::artifacts::data_place;
use crate::artifacts::history::count_jobs;
use crate::artifacts::repeat;
use crate::cli::data_args::DataArgs;
use crate::cli::presets::Budget;
use crate::cli::program::print;
use crate::cli::run_args::{DeviceArgs, METHOD, RUN, RunArgs};
use crate::cli::run_place;
use crate::coordinator::Coordinator;
use crate::coordinator::deliveries::Deliveries;
use crate::coordinator::shared::Settings;
use crate::journal::folder_lock::FolderLock;
use crate::journal::run_folder::{create_or_check, create_or_extend};
use crate::journal::secret::create_or_read_secret;
use crate::journal::store::{JournalPlace, PlaceParser};
use crate::printable::counted;
use naschain_run::{LatencyTable, RunSpec};

/// The flags that `search` and `serve` share.
#[derive(Args, Clone, Debug)]
pub(crate) struct CommonArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    /// Location of the journal: a file or postgres://USER@HOST/DATABASE [default: journal.sqlite in
    /// the run's folder]
    ///
    /// Several genomasters of one run can share a database.
    #[arg(long, value_name = "PLACE", value_parser = PlaceParser, help_heading = RUN, hide_short_help = true)]
    pub(crate) store: Option<JournalPlace>,
    /// Search by predicted latency instead of FLOPs: latency:FILE, a table of `genomaster latency`
    #[arg(long, value_name = "latency:FILE", value_parser = latency_file, help_heading = METHOD, hide_short_help = true)]
    pub(crate) objective: Option<PathBuf>,
}

/// The file of an objective.
fn latency_file(text: &str) -> Result<PathBuf, String> {
    match text.split_once(':') {
        Some(("latency", file)) if !file.is_empty() => Ok(file.into()),
        _ => Err("it must be latency:FILE, with a file that genomaster latency wrote".to_owned()),
    }
}

fn read_table(file: &Path) -> Result<LatencyTable> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {shown}"))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{shown} is not a table that genomaster latency wrote"))
}

/// What a run is, before it has a folder.
pub(crate) struct PlannedRun {
    pub(crate) dataset: Arc<Dataset>,
    pub(crate) spec: RunSpec,
    /// The folder or file of the data set; `None` for the embedded digits.
    pub(crate) place: Option<PathBuf>,
    /// The run's folder without `--out`.
    pub(crate) default_dir: PathBuf,
}

/// An opened run.
pub(crate) struct OpenRun {
    pub(crate) dataset: Arc<Dataset>,
    pub(crate) dir: PathBuf,
    pub(crate) coordinator: Arc<Coordinator>,
    /// To be held until the run is closed.
    pub(crate) lock: FolderLock,
}

impl CommonArgs {
    /// Number of miners that train each genome.
    pub(crate) fn replication(&self) -> Result<usize> {
        Ok(self.run.replication(&self.data.name()?))
    }

    /// The larger budgets, and the run that each would be with the same flags. A budget is left out
    /// if it does not fit the data.
    pub(crate) fn larger_budgets(
        &self,
        spec: &RunSpec,
        dataset: &Dataset,
    ) -> impl Iterator<Item = (&'static str, RunSpec)> {
        let larger = Budget::ALL
            .into_iter()
            .filter(|budget| *budget > self.run.budget);
        larger.filter_map(move |budget| {
            let mut run = self.run.clone();
            run.budget = budget;
            let other = run.spec(&self.data, dataset).ok()?;
            (other != *spec).then_some((budget.name(), other))
        })
    }

    /// Checks the flags, loads the data, and creates the run's folder or resumes the run in it. A
    /// search starts over if networks failed for lack of memory that fit into the limit of `options`.
    pub(crate) async fn open_search(&self, options: Options) -> Result<OpenRun> {
        let planned = self.plan().await?;
        self.open_with(planned, Settings::default(), false, Some(options))
            .await
    }

    /// Like [`CommonArgs::open_search`], for a run whose miners are other programs, with settings of
    /// the coordinator. A new run gets a secret if `secret` is set.
    pub(crate) async fn open_served(
        &self,
        planned: PlannedRun,
        settings: Settings,
        secret: bool,
    ) -> Result<OpenRun> {
        self.open_with(planned, settings, secret, None).await
    }

    /// Checks the flags and loads the data, but creates nothing.
    pub(crate) async fn plan(&self) -> Result<PlannedRun> {
        self.device.device.check()?;
        let data = self.data.clone();
        // On a thread of its own, so that a signal can end a search that reads many pictures.
        let loaded = tokio::task::spawn_blocking(move || data.load());
        let dataset = Arc::new(loaded.await??);
        let mut spec = self.run.spec(&self.data, &dataset)?;
        if let Some(file) = &self.objective {
            spec.latency = Some(read_table(file)?);
            spec.search.objectives = spec.objectives();
            spec.validate()
                .with_context(|| format!("--objective latency:{}", file.display()))?;
        }
        let place = self.data.place()?;
        let data = run_place::data_part(&self.data.name()?, place.as_deref(), &spec.data.digest);
        Ok(PlannedRun {
            default_dir: format!("runs/{data}-seed{}", self.run.seed).into(),
            dataset,
            spec,
            place,
        })
    }

    async fn open_with(
        &self,
        planned: PlannedRun,
        mut settings: Settings,
        secret: bool,
        search: Option<Options>,
    ) -> Result<OpenRun> {
        let PlannedRun {
            dataset,
            mut spec,
            place,
            default_dir,
        } = planned;
        let (dir, is_chosen) = (self.run.folder(default_dir)?, !self.run.out.is_empty());
        let dir = run_place::outside_data(dir, is_chosen, place.as_deref())?;
        let lock = FolderLock::take(&dir)?;
        let journal = self.store.clone();
        let journal = journal.unwrap_or_else(|| JournalPlace::of_run(&dir));
        if secret {
            settings.secret = create_or_read_secret(&dir, &journal, &spec).await?;
            spec.secret_hash = settings.secret.map(|secret| secret.hash());
        }
        let asked = spec.search.generations;
        // A served run is not extended: validators follow it to the end that it announces.
        let spec = if search.is_some() {
            create_or_extend(spec, &dir)?
        } else {
            create_or_check(spec, &dir)?
        };
        // Only now: a search with other settings is refused and must move nothing.
        if let (Some(options), None) = (search, &self.store) {
            let count = repeat::start_over(&dir, &spec, options)?;
            if count > 0 {
                print(&format!(
                    "{} that failed for lack of memory now {}; the search starts again, reuses its results, and trains what failed\n",
                    counted(count, "network"),
                    if count == 1 { "fits" } else { "fit" }
                ))?;
            }
        }
        settings.history_jobs = count_jobs(&dir)?;
        if let Some(place) = &place {
            data_place::remember(&dir, place)?;
        }
        let coordinator = Coordinator::open_with(journal, spec, settings).await?;
        // The referee computes one step now and then; it may use every core.
        let mut options = search.unwrap_or_else(|| self.device.options());
        // The referee and every miner must come to the same bits.
        options.device = Device::Cpu;
        // One step, whose memory does not grow, must not fail for a limit that is meant for trainings.
        options.memory_limit_bytes = None;
        coordinator.accept_deliveries(Deliveries::new(&dir, dataset.clone(), options));
        if search.is_some() {
            extend(&coordinator, asked).await?;
        }
        Ok(OpenRun {
            dataset,
            dir,
            coordinator,
            lock,
        })
    }
}

/// Extends the search of a run to as many generations as were asked for.
async fn extend(coordinator: &Coordinator, asked: usize) -> Result<()> {
    let generations = coordinator.with_state(|state| state.search().config().generations);
    let generations = generations.await;
    if asked > generations {
        let event = Event::Extend { generations: asked };
        coordinator.handle(event, None).await?;
    } else if asked < generations {
        tracing::warn!(
            "this run has {generations} generations already; --generations {asked} changes nothing"
        );
    }
    Ok(())
}
