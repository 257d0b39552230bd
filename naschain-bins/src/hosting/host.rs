//! The runs of a genomaster that are open, and opening them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use naschain_core::Digest;
use naschain_train::Dataset;
use tokio::sync::watch;

use crate::clock;
use crate::coordinator::deliveries::{DELIVERED, STATES};
use crate::coordinator::metrics::Metrics;
use crate::home::Home;
use crate::home::runs::{RunStatus, StoredRun};
use crate::hosting::check_queue::UploadChecks;
use crate::hosting::cluster::Cluster;
use crate::hosting::hosted_run::{HostedRun, Opening, passed_on};
use crate::hosting::settings::{Followed, HostSettings, Registration};
use crate::hosting::sign_ins::SignInLimits;
use crate::hosting::waiting_miners::WaitingMiners;
use crate::journal::run_folder::read_run;
use crate::journal::store::JournalPlace;
use crate::server::auth::Authenticator;
use crate::server::budget::ResponseBudget;
use crate::server::known_miners::KnownMiners;
use crate::server::work_account::Shares;

/// A run that has ended is closed when nobody has asked for it for as long.
const MAX_IDLE: Duration = Duration::from_secs(300);
/// Pause before the end of a run is noted again, after the database or the bucket could not be reached.
const END_RETRY: Duration = Duration::from_secs(10);
/// Runs that have ended and are open, at most, when they are counted.
const MAX_ENDED_OPEN: usize = 50;
/// How often the processor time that runs have used is stored.
const COUNT_INTERVAL: Duration = Duration::from_secs(5);

/// The run goes on at another genomaster, or will in a moment.
#[derive(Debug, thiserror::Error)]
#[error("the run moves to another genomaster; try again in a moment")]
pub(crate) struct Moving;

/// A genomaster with many runs.
pub(crate) struct Host {
    pub(crate) home: Home,
    pub(crate) settings: HostSettings,
    /// The other genomasters of this home, if its database is shared.
    pub(crate) cluster: Option<Cluster>,
    /// Of requests that concern no run.
    pub(crate) auth: Arc<Authenticator>,
    pub(crate) sign_ins: SignInLimits,
    pub(crate) started: Instant,
    /// Of requests that concern no single run.
    pub(crate) metrics: Metrics,
    pub(crate) budget: ResponseBudget,
    pub(crate) checks: UploadChecks,
    /// Uploads to which a request is being appended.
    pub(crate) appending: Mutex<BTreeSet<String>>,
    pub(crate) shares: Shares,
    /// What is known of miners from all runs.
    pub(super) miners: Arc<KnownMiners>,
    /// Miners that have asked for work lately.
    pub(super) waiting: WaitingMiners,
    /// Users whose runs have used all the processor time that they may.
    pub(super) exhausted: Mutex<BTreeSet<String>>,
    /// Counts changes after which a miner may find work.
    pub(crate) changes: watch::Sender<u64>,
    /// Counts questions to miners.
    pub(crate) asked: watch::Sender<u64>,
    pub(crate) open: Mutex<BTreeMap<Digest, Arc<HostedRun>>>,
    /// One run is opened at a time, so that none is opened twice.
    pub(super) opening: tokio::sync::Mutex<()>,
    /// Data sets that were looked at, the latest last.
    pub(super) shown_data: Mutex<VecDeque<Arc<Dataset>>>,
    /// The data sets of open runs.
    pub(super) datasets: tokio::sync::Mutex<BTreeMap<Digest, Weak<Dataset>>>,
}

impl Host {
    /// Opens the runs that have not ended.
    ///
    /// A run that cannot be opened is logged, and does not keep the others from being served.
    pub(crate) async fn start(
        home: Home,
        settings: HostSettings,
        cluster: Option<Cluster>,
        auth: Arc<Authenticator>,
    ) -> Result<Arc<Host>> {
        let host = Arc::new(Host {
            home,
            settings,
            cluster,
            auth,
            sign_ins: SignInLimits::default(),
            started: clock::now(),
            metrics: Metrics::default(),
            budget: ResponseBudget::default(),
            checks: UploadChecks::default(),
            appending: Mutex::default(),
            shares: Shares::default(),
            miners: Arc::default(),
            waiting: WaitingMiners::default(),
            exhausted: Mutex::default(),
            changes: watch::Sender::new(0),
            asked: watch::Sender::new(0),
            open: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            shown_data: Mutex::default(),
            datasets: tokio::sync::Mutex::default(),
        });
        host.home.remove_leftovers()?;
        // No run is open, and what is needed is fetched again.
        host.home.files.drop_copies("data");
        let mut since_s = 0;
        host.share_miners(&mut since_s).await?;
        if host.cluster.is_some() {
            tokio::spawn(host.clone().spread_forever());
        } else {
            for stored in host.home.open_runs().await? {
                let (id, name) = (stored.id, stored.name.clone());
                if let Err(error) = host.opened(stored).await {
                    tracing::error!("run {name} ({id}) cannot be opened: {error:#}");
                }
            }
        }
        let counting = host.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(COUNT_INTERVAL).await;
                if let Err(error) = counting.share_miners(&mut since_s).await {
                    tracing::error!("{error:#}");
                }
                counting.note_paces().await;
                if let Err(error) = counting.count_used().await {
                    tracing::error!("{error:#}");
                }
                if let Err(error) = counting.home.delete_expired_sessions().await {
                    tracing::error!("{error:#}");
                }
                if let Err(error) = counting.finish_deletions().await {
                    tracing::error!("a run that was deleted: {error:#}");
                }
                if let Err(error) = counting.close_idle(MAX_IDLE).await {
                    tracing::error!("{error:#}");
                }
            }
        });
        Ok(host)
    }

    /// The open runs, the oldest first.
    pub(crate) fn open_runs(&self) -> Vec<Arc<HostedRun>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut runs: Vec<Arc<HostedRun>> = open.values().cloned().collect();
        runs.sort_by_key(|run| run.number);
        runs
    }

    /// How the ids of uploads begin, where several genomasters receive uploads.
    pub(super) fn upload_prefix(&self) -> String {
        let cluster = self.cluster.as_ref();
        cluster.map_or(String::new(), |cluster| cluster.upload_prefix().to_owned())
    }

    /// Whether a run is open here.
    pub(super) fn is_open(&self, id: Digest) -> bool {
        self.open_run(id).is_some()
    }

    fn open_run(&self, id: Digest) -> Option<Arc<HostedRun>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(&id).cloned()
    }

    /// A run, opened unless it is. A run that has ended is opened when somebody asks for it.
    pub(crate) async fn opened(self: &Arc<Host>, stored: StoredRun) -> Result<Arc<HostedRun>> {
        if let Some(open) = self.open_run(stored.id) {
            open.touch();
            return Ok(open);
        }
        let _turn = self.opening.lock().await;
        if let Some(open) = self.open_run(stored.id) {
            return Ok(open);
        }
        // It may have been deleted meanwhile.
        let stored = self.home.run(stored.id).await?;
        let stored = stored.context("the run was deleted")?;
        let (id, is_ended) = (stored.id, !stored.status.is_open());
        if let Some(cluster) = &self.cluster {
            // A run that goes on is claimed where runs are spread, so that a move is not undone.
            let is_own = stored.leader.as_deref() == Some(cluster.id());
            let claimed =
                is_own || is_ended && self.home.claim(id, cluster.id(), &cluster.alive()).await?;
            ensure!(claimed, Moving);
        }
        let opened = self.open_stored(stored).await;
        if let (Err(_), Some(cluster), true) = (&opened, &self.cluster, is_ended) {
            // Another may be able to.
            self.home.release(id, cluster.id()).await?;
        }
        opened
    }

    /// Opens a run that this genomaster leads.
    async fn open_stored(self: &Arc<Host>, stored: StoredRun) -> Result<Arc<HostedRun>> {
        let delivered = [STATES, DELIVERED];
        self.home.ensure_run_folder(stored.id, &delivered).await?;
        let dir = self.home.run_dir(stored.id);
        let spec = read_run(&dir)?;
        let dataset = self.dataset(spec.data.digest, &spec.data.name).await?;
        let opening = Opening {
            stored,
            journal: match &self.cluster {
                Some(cluster) => JournalPlace::Assigned(cluster.journals.clone()),
                None => JournalPlace::of_run(&dir),
            },
            dir,
            spec,
            dataset,
            auth: self.auth.clone(),
            shares: self.shares.clone(),
            files: self.home.files.clone(),
            // Where everybody registers, a user could make a run with an easy examination.
            known: (self.settings.registration != Registration::Open).then(|| self.miners.clone()),
        };
        let hosted = Arc::new(HostedRun::open(opening, &self.settings).await?);
        {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.insert(hosted.id, hosted.clone());
        }
        self.follow(hosted.clone()).await;
        self.update_shares().await;
        Ok(hosted)
    }

    /// Closes a run, so that its folder can be deleted.
    pub(super) async fn close(&self, id: Digest) -> Result<()> {
        let hosted = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.remove(&id)
        };
        if let Some(hosted) = hosted {
            self.count_used_by(&hosted).await?;
            hosted.close().await?;
            if let Some(cluster) = &self.cluster {
                // What it has is in the database and at the shared place.
                let _ = std::fs::remove_dir_all(&hosted.dir);
                self.home.release(id, cluster.id()).await?;
            }
        }
        self.update_shares().await;
        Ok(())
    }

    /// Closes a run that another genomaster leads, or is to lead.
    pub(super) async fn close_now(&self, id: Digest) -> Result<()> {
        let _turn = self.opening.lock().await;
        self.close(id).await
    }

    /// Closes all runs.
    pub(crate) async fn close_all(&self) -> Result<()> {
        let mut result = self.count_used().await;
        for hosted in self.open_runs() {
            result = result.and(hosted.close().await);
        }
        if let Some(cluster) = &self.cluster {
            cluster.leave().await;
        }
        result
    }

    /// Closes the runs that have ended and that nobody has asked for lately, so that memory does not grow
    /// with their number.
    async fn close_idle(&self, most: Duration) -> Result<()> {
        let _turn = self.opening.lock().await;
        let mut ended = self.open_runs();
        ended.retain(|run| !run.status().is_open());
        // Those that nobody has asked for longest come first.
        ended.sort_by_key(|run| std::cmp::Reverse(run.idle()));
        let excess = ended.len().saturating_sub(MAX_ENDED_OPEN);
        for (at, run) in ended.iter().enumerate() {
            if run.idle() >= most || at < excess {
                self.close(run.id).await?;
            }
        }
        Ok(())
    }

    /// Starts to follow a run, unless it has ended and its files are complete.
    async fn follow(self: &Arc<Host>, hosted: Arc<HostedRun>) {
        if !hosted.status().is_open() {
            return;
        }
        let followed = (self.settings.follow)(Followed {
            coordinator: hosted.coordinator.clone(),
            dir: hosted.dir.clone(),
            dataset: hosted.dataset.clone(),
            options: self.settings.options,
            stop: hosted.stop.subscribe(),
        });
        let (host, watched) = (self.clone(), hosted.clone());
        let following = tokio::spawn(async move {
            let noted = async {
                followed.await?;
                let stopped = *watched.stop.borrow();
                let ended = if stopped {
                    RunStatus::Stopped
                } else {
                    RunStatus::Finished
                };
                while let Err(error) = host.note_end(watched.id, ended).await {
                    tracing::error!("{}: {error:#}; retrying in {END_RETRY:?}", watched.name);
                    tokio::time::sleep(END_RETRY).await;
                }
                watched.set_status(ended);
                tracing::info!("{} of {}: {ended}", watched.name, watched.owner);
                host.update_shares().await;
                anyhow::Ok(())
            };
            if let Err(error) = noted.await {
                tracing::error!("{} of {}: {error:#}", watched.name, watched.owner);
            }
        });
        hosted.keep_task(following);
        hosted.keep_task(tokio::spawn(self.clone().end_in_time(hosted.clone())));
        hosted.keep_task(passed_on(hosted.coordinator.changes(), &self.changes));
        hosted.keep_task(passed_on(hosted.coordinator.asked(), &self.asked));
    }

    /// Stores the files of a run that has ended where all find them, and notes its end.
    async fn note_end(&self, run: Digest, ended: RunStatus) -> Result<()> {
        self.home.publish_run(run).await?;
        let before = [RunStatus::Running, RunStatus::Paused, RunStatus::Stopping];
        self.home.set_status(run, &before, ended).await?;
        Ok(())
    }

    /// Notes which users have runs that go on.
    pub(crate) async fn update_shares(&self) {
        let runs = self.open_runs();
        let running = |run: &&Arc<HostedRun>| {
            run.status() == RunStatus::Running && !self.has_used_up_hours(&run.owner)
        };
        let mut active: Vec<String> = runs
            .iter()
            .filter(running)
            .map(|r| r.owner.clone())
            .collect();
        if let Some(cluster) = &self.cluster {
            active.extend(cluster.users_elsewhere());
        }
        let mut weights = BTreeMap::new();
        for owner in &active {
            let user = self.home.user(owner).await.ok().flatten();
            weights.insert(owner.clone(), user.map_or(1, |user| user.weight));
        }
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        shares.retain(|user| weights.contains_key(user));
        for (owner, weight) in weights {
            shares.enter(owner, weight);
        }
        drop(shares);
        self.changes.send_modify(|count| *count += 1);
    }

    /// Lets a run go on or pauses it; false if it is not in the state before.
    pub(crate) async fn set_paused(&self, hosted: &HostedRun, paused: bool) -> Result<bool> {
        let (before, after) = if paused {
            (RunStatus::Running, RunStatus::Paused)
        } else {
            (RunStatus::Paused, RunStatus::Running)
        };
        if !self.home.set_status(hosted.id, &[before], after).await? {
            return Ok(false);
        }
        hosted.set_status(after);
        self.update_shares().await;
        Ok(true)
    }

    /// Ends a run with what it has found; false if it has ended, or is about to.
    pub(crate) async fn stop(&self, hosted: &HostedRun) -> Result<bool> {
        let before = [RunStatus::Running, RunStatus::Paused];
        let stopping = RunStatus::Stopping;
        if !self.home.set_status(hosted.id, &before, stopping).await? {
            return Ok(false);
        }
        hosted.set_status(stopping);
        hosted.stop.send_replace(true);
        self.update_shares().await;
        Ok(true)
    }
}
