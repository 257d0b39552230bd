//! One run of a genomaster with many.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::Router;
use naschain_core::Digest;
use naschain_run::RunSpec;
use naschain_train::{Dataset, Device, Options};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::artifacts::history::count_jobs;
use crate::clock;
use crate::coordinator::Coordinator;
use crate::coordinator::activity::RunActivity;
use crate::coordinator::deliveries::{Deliveries, Publish};
use crate::home::files::Files;
use crate::home::run_path;
use crate::home::runs::{RunStatus, StoredRun};
use crate::hosting::planning::time_limit;
use crate::hosting::settings::HostSettings;
use crate::journal::folder_lock::FolderLock;
use crate::journal::secret::read_secret;
use crate::journal::store::JournalPlace;
use crate::server;
use crate::server::access::Access;
use crate::server::allow_list::AllowList;
use crate::server::auth::Authenticator;
use crate::server::exams::Exams;
use crate::server::known_miners::KnownMiners;
use crate::server::served_run::ServedRun;
use crate::server::work_account::{Shares, WorkAccount};

/// A run that is open.
pub(crate) struct HostedRun {
    pub(crate) number: i64,
    pub(crate) id: Digest,
    pub(crate) owner: String,
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
    pub(crate) dataset: Arc<Dataset>,
    pub(crate) coordinator: Arc<Coordinator>,
    /// Whether only miners on a list of its owner may mine.
    pub(super) has_own_miners: bool,
    /// Who may mine.
    pub(crate) access: Access,
    /// The routes for miners and validators, whose requests are signed.
    pub(crate) signed: Router,
    /// The same for those who may read the run without a signature.
    pub(crate) open: Router,
    /// What its miners' work is charged to.
    pub(super) account: Arc<WorkAccount>,
    /// Becomes true when the owner stops the run.
    pub(crate) stop: watch::Sender<bool>,
    status: Mutex<RunStatus>,
    /// When it was created, in seconds since 1970.
    pub(super) created_s: i64,
    /// What its pages show, and the time after which it ends.
    pub(super) served: Arc<ServedRun>,
    /// When somebody asked for it last.
    used: Mutex<Instant>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    /// Held until the run is closed.
    lock: Mutex<Option<FolderLock>>,
}

/// A run that is about to be opened.
pub(super) struct Opening {
    pub(super) stored: StoredRun,
    pub(super) dir: PathBuf,
    pub(super) journal: JournalPlace,
    pub(super) spec: RunSpec,
    pub(super) dataset: Arc<Dataset>,
    /// Of the genomaster, whose limits the run shares.
    pub(super) auth: Arc<Authenticator>,
    pub(super) shares: Shares,
    /// Where other genomasters find files of the run.
    pub(super) files: Arc<Files>,
    /// What is known of miners from other runs, if that counts.
    pub(super) known: Option<Arc<KnownMiners>>,
}

impl HostedRun {
    /// Opens a run whose folder is there.
    pub(super) async fn open(opening: Opening, host: &HostSettings) -> Result<HostedRun> {
        let Opening {
            stored,
            dir,
            journal,
            spec,
            dataset,
            auth: shared_auth,
            shares,
            files,
            known,
        } = opening;
        let access = access_of(&stored, &host.access)?;
        let exams = exams_of(&stored, host, &spec, &dataset)?;
        let lock = FolderLock::take(&dir)?;
        let mut settings = host.coordinator.clone();
        settings.secret = read_secret(&dir, &spec)?;
        settings.history_jobs = count_jobs(&dir)?;
        let coordinator = Coordinator::open_with(journal, spec.clone(), settings).await?;
        let mut deliveries = Deliveries::new(&dir, dataset.clone(), of_referee(host.options));
        if files.are_shared() {
            deliveries = deliveries.with_publish(publisher(files, dir.clone(), stored.id));
        }
        coordinator.accept_deliveries(deliveries);
        coordinator.set_activity(activity_of(stored.status));
        let mut auth = shared_auth.for_run(access.clone(), coordinator.nonces(), known.clone());
        if let Some(exams) = exams {
            auth = auth.with_exams(exams);
        }
        let mut open_access = access.clone();
        (open_access.open_reads, open_access.is_private) = (true, false);
        let reads = shared_auth.for_run(open_access, coordinator.nonces(), known);
        let (name, options) = (stored.name.clone(), of_referee(host.options));
        let mut served = ServedRun::new(name, &dir, dataset.clone(), options);
        served.time_limit = time_limit(&stored.settings);
        let served = Arc::new(served);
        let account = Arc::new(WorkAccount::new(stored.owner.clone(), shares));
        let routes = |auth: Authenticator| {
            let (account, served) = (Some(account.clone()), served.clone());
            server::router_of(coordinator.clone(), Arc::new(auth), None, account, served)
        };
        Ok(HostedRun {
            number: stored.number,
            has_own_miners: !stored.miners.is_empty(),
            id: stored.id,
            owner: stored.owner,
            created_s: stored.created_s,
            served: served.clone(),
            name: stored.name,
            signed: routes(auth),
            open: routes(reads),
            account,
            dir,
            dataset,
            coordinator,
            access,
            stop: watch::Sender::new(stored.status == RunStatus::Stopping),
            status: Mutex::new(stored.status),
            used: Mutex::new(clock::now()),
            tasks: Mutex::default(),
            lock: Mutex::new(Some(lock)),
        })
    }

    /// Whether the run goes on.
    pub(crate) fn status(&self) -> RunStatus {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_status(&self, status: RunStatus) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
        self.coordinator.set_activity(activity_of(status));
    }

    /// Somebody asks for it.
    pub(super) fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = clock::now();
    }

    /// How long ago somebody asked for it.
    pub(super) fn idle(&self) -> Duration {
        self.used
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .elapsed()
    }

    /// A task that ends when the run is closed.
    pub(super) fn keep_task(&self, task: JoinHandle<()>) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.push(task);
    }

    /// Ends its tasks, and closes its journal.
    pub(super) async fn close(&self) -> Result<()> {
        let tasks = {
            let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *tasks)
        };
        for task in tasks {
            task.abort();
        }
        self.coordinator.release_waiting();
        let closed = self.coordinator.close().await;
        drop(
            self.lock
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        closed
    }
}

/// What a status means for miners, and for those who watch.
fn activity_of(status: RunStatus) -> RunActivity {
    match status {
        RunStatus::Running => RunActivity::Running,
        RunStatus::Paused | RunStatus::Stopping => RunActivity::Paused,
        RunStatus::Stopped | RunStatus::Finished => RunActivity::Ended,
    }
}

/// Who may take part in a run of a user.
fn access_of(stored: &StoredRun, genomaster: &Access) -> Result<Access> {
    let mut access = genomaster.clone();
    if !stored.miners.is_empty() {
        let listed = AllowList::parse(&stored.miners)?;
        // The operator's list still holds.
        access.allow_list = Some(match &genomaster.allow_list {
            Some(allowed) => listed.within(allowed),
            None => listed,
        });
    }
    access.is_private = !stored.is_public;
    Ok(access)
}

/// The entrance examinations of a run that goes on, where there are any.
fn exams_of(
    stored: &StoredRun,
    host: &HostSettings,
    spec: &RunSpec,
    dataset: &Arc<Dataset>,
) -> Result<Option<Exams>> {
    if !host.has_exams || !stored.status.is_open() {
        return Ok(None);
    }
    let exams = Exams::new(spec.clone(), dataset.clone(), host.options);
    exams.context("the entrance examinations").map(Some)
}

/// The referee's options: the CPU, without a memory limit, because its results must equal those of the
/// miners bit for bit.
fn of_referee(mut options: Options) -> Options {
    options.device = Device::Cpu;
    options.memory_limit_bytes = None;
    options
}

/// Stores what miners deliver where the genomaster that leads the run next finds it.
fn publisher(files: Arc<Files>, dir: PathBuf, run: Digest) -> Publish {
    let runtime = tokio::runtime::Handle::current();
    Arc::new(move |file: &Path| {
        let Ok(name) = file.strip_prefix(&dir) else {
            return;
        };
        let path = format!("{}/{}", run_path(run), name.display());
        // Without it miners are asked again, or the genomaster trains itself.
        if let Err(error) = runtime.block_on(files.publish(file, &path)) {
            tracing::warn!("{error:#}");
        }
    })
}

/// Passes on changes of one run, which may end a miner's wait for a run.
pub(super) fn passed_on(
    mut changed: watch::Receiver<u64>,
    all: &watch::Sender<u64>,
) -> JoinHandle<()> {
    let all = all.clone();
    tokio::spawn(async move {
        while changed.changed().await.is_ok() {
            all.send_modify(|count| *count += 1);
        }
    })
}
