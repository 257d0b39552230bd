//! The coordinator: the state and the journal of a run, and the calls that wait for them.
//!
//! Events go through a queue to the one task that writes (`leader.rs`). It applies all queued
//! events, writes them in one transaction, and only then answers the callers.

mod active_run;
pub(crate) mod activity;
mod admission;
mod answers;
mod applied;
pub(crate) mod call_error;
mod continuity;
pub(crate) mod deliveries;
mod join_counts;
mod leader;
pub(crate) mod metrics;
pub(crate) mod pages;
mod pausing;
mod progress;
mod questions;
pub(crate) mod received;
mod receiving;
mod referee;
pub(crate) mod repetition;
pub(crate) mod shared;
mod signed;
mod takeover;

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Result, ensure};
use naschain_consensus::{Action, Event, JobId, Millis, MinerId};
use naschain_core::Genome;
use tokio::sync::{Mutex, broadcast, mpsc, oneshot, watch};

use crate::clock;
use crate::coordinator::activity::RunActivity;
use crate::coordinator::applied::{Applied, LeasedTraining, eligible_at};
use crate::coordinator::call_error::{CallError, Unavailable};
use crate::coordinator::deliveries::Deliveries;
use crate::coordinator::leader::Leader;
use crate::coordinator::metrics::Metrics;
use crate::coordinator::shared::{LeaderCommand, PublishedEvents, Settings, SharedState};
use crate::coordinator::signed::use_nonce;
use crate::counts::Counts;
use crate::journal::store::JournalPlace;
use naschain_identity::{MAX_AHEAD_NS, Nonces};
use naschain_run::{Job, JobReply, Proof, RequestRules, RunSpec, RunState};

/// Search, job board and journal of a run.
///
/// `search` and `serve` use the same coordinator; only `client/transport.rs` implements both calls
/// in the same process and calls over HTTP.
pub struct Coordinator {
    pub(crate) shared: Arc<SharedState>,
    commands: mpsc::Sender<LeaderCommand>,
    /// Held by the one caller that may read a page of the journal or of ended jobs. Each reader
    /// locks the state, so without taking turns many readers would delay the writing task.
    pub(crate) reading: Arc<Mutex<()>>,
    /// Requests for work that wait: each event that makes work repeats them, so their number is limited.
    waiting: Arc<Counts<MinerId>>,
    /// The miners that have asked for questions.
    witnesses: std::sync::Mutex<BTreeSet<MinerId>>,
    /// Set once this genomaster accepts files of miners.
    deliveries: OnceLock<Arc<Deliveries>>,
}

/// Maximum number of queued commands; further callers wait.
/// Twice the default of `--max-connections`; a connection has one request at a time.
const MAX_WAITING: usize = 8_192;
/// Number of buffered groups of public events; a reader that is further behind reads the journal.
/// Bounded, because the buffer keeps the text of its groups in memory.
const MAX_BUFFERED_GROUPS: usize = 256;

/// How long at most a request above the limit is held, without being repeated, before it is answered.
const MAX_HELD: Duration = Duration::from_secs(5);

impl Coordinator {
    /// Opens the journal of a run and restores the state; becomes a standby if another genomaster
    /// leads.
    pub async fn open(place: JournalPlace, spec: RunSpec) -> Result<Arc<Coordinator>> {
        Coordinator::open_with(place, spec, Settings::default()).await
    }

    /// Like [`Coordinator::open`], with these settings.
    ///
    /// # Errors
    /// Also if the journal has requests that were signed for another genomaster: all genomasters of
    /// a run must share a hotkey.
    pub async fn open_with(
        place: JournalPlace,
        spec: RunSpec,
        settings: Settings,
    ) -> Result<Arc<Coordinator>> {
        ensure!(
            spec.secret_hash == settings.secret.map(|secret| secret.hash()),
            "the run's secret_hash is {}; its secret is needed",
            spec.secret_hash
                .map_or("null".to_owned(), |hash| hash.to_string())
        );
        let (commands, queue) = mpsc::channel(MAX_WAITING);
        let shared = Arc::new(SharedState {
            active: Mutex::new(None),
            unavailable: watch::Sender::new(Some(Unavailable::Standby)),
            changes: watch::Sender::new(0),
            asked: watch::Sender::new(0),
            published: broadcast::Sender::new(MAX_BUFFERED_GROUPS),
            metrics: Metrics::default(),
            over: AtomicBool::new(false),
            finished: AtomicBool::new(false),
            activity: watch::Sender::new(RunActivity::Running),
            nonces: Arc::default(),
            settings,
            rules: spec.request_rules(),
            spec,
        });
        let mut leader = Leader::new(shared.clone(), place, queue);
        // Before the task starts: an error here ends the program, while the task would retry it
        // forever.
        leader.try_to_lead().await?;
        leader.check_standby().await?;
        tokio::spawn(leader.run());
        Ok(Arc::new(Coordinator {
            shared,
            commands,
            reading: Arc::default(),
            waiting: Arc::default(),
            witnesses: std::sync::Mutex::default(),
            deliveries: OnceLock::new(),
        }))
    }

    /// The run's specification.
    pub fn spec(&self) -> &RunSpec {
        &self.shared.spec
    }

    /// The run's identity.
    pub fn run(&self) -> naschain_core::Digest {
        self.shared.rules.run
    }

    /// What a signed request of the run must contain.
    pub fn request_rules(&self) -> RequestRules {
        self.shared.rules
    }

    /// The seed of the training of a job and its genome, in a run with a secret.
    pub fn training_seed(&self, job: JobId, genome: &Genome) -> Option<u64> {
        let secret = self.shared.settings.secret;
        secret.map(|secret| secret.seed_in(&self.shared.spec, job, genome))
    }

    /// Notifies of changes that may have made work or ended a job.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// Notifies of questions to miners.
    pub(crate) fn asked(&self) -> watch::Receiver<u64> {
        self.shared.asked.subscribe()
    }

    /// Why calls cannot be served now, or `None`.
    pub fn unavailable(&self) -> Option<Unavailable> {
        self.shared.unavailable.borrow().clone()
    }

    /// Like [`Coordinator::unavailable`], with notification of changes.
    pub fn watch_unavailable(&self) -> watch::Receiver<Option<Unavailable>> {
        self.shared.unavailable.subscribe()
    }

    /// The genomaster's metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// The used nonces, for a [`crate::server::auth::Authenticator`]. They are restored from the
    /// journal whenever this genomaster becomes leader.
    pub fn nonces(&self) -> Arc<std::sync::Mutex<Nonces>> {
        self.shared.nonces.clone()
    }

    /// Reads the state; waits until this genomaster leads.
    pub async fn with_state<T>(&self, read: impl FnOnce(&RunState) -> T) -> T {
        let mut unavailable = self.shared.unavailable.subscribe();
        loop {
            // Before the check, so that a change after the check is not missed.
            unavailable.mark_unchanged();
            if let Some(active) = &*self.shared.active.lock().await {
                return read(&active.state);
            }
            // This cannot fail, because `self` holds the sender.
            let _ = unavailable.changed().await;
        }
    }

    /// Reads the state, which is `None` if this genomaster does not lead.
    pub async fn try_with_state<T>(&self, read: impl FnOnce(Option<&RunState>) -> T) -> T {
        let active = self.shared.active.lock().await;
        read(active.as_ref().map(|active| &active.state))
    }

    /// Applies an event with its signed request, if any; both are in the journal before this
    /// returns. Dropping the future does not cancel the event.
    pub async fn handle(
        &self,
        event: Event,
        proof: Option<Proof>,
    ) -> Result<Vec<Action>, CallError> {
        let applied = self.send(event, proof, false).await?;
        Ok(applied.actions)
    }

    async fn send(
        &self,
        event: Event,
        proof: Option<Proof>,
        repeated: bool,
    ) -> Result<Applied, CallError> {
        let nonce = proof.as_ref().map(|proof| proof.nonce);
        let (answer, answered) = oneshot::channel();
        let command = LeaderCommand::Take {
            event,
            proof: proof.map(Box::new),
            repeated,
            answer,
        };
        let stopped = || CallError::Unavailable(Unavailable::Closing);
        self.commands.send(command).await.map_err(|_| stopped())?;
        let applied = answered.await.map_err(|_| stopped())??;
        if let (Some(nonce), false) = (nonce, applied.is_journaled) {
            wait_for_nonce(nonce).await;
        }
        Ok(applied)
    }

    /// Uses the nonce of a signed request that causes no event, so that it cannot be sent again.
    pub async fn use_unjournaled(&self, proof: Option<Proof>) -> Result<(), CallError> {
        let Some(proof) = proof else { return Ok(()) };
        use_nonce(&self.shared, &proof)?;
        wait_for_nonce(proof.nonce).await;
        Ok(())
    }

    /// Requests work for a miner and waits for it, for `wait` at most.
    pub async fn request(
        &self,
        miner: &MinerId,
        wait: Duration,
        proof: Option<Proof>,
    ) -> Result<JobReply, CallError> {
        let give_up = clock::now() + wait;
        let mut changes = self.changes();
        let mut unavailable = self.watch_unavailable();
        let mut first = true;
        let mut waiting = None;
        loop {
            // Before the request, so that work that appears while it is processed wakes this loop
            // up.
            changes.mark_unchanged();
            if let Some(unavailable) = self.unavailable() {
                return Err(CallError::Unavailable(unavailable));
            }
            // After the end all miners ask once more; this answers them without the leader.
            if self.is_done(miner) {
                return Ok(JobReply::Finished);
            }
            if self.activity() != RunActivity::Running {
                return self.wait_paused(wait, proof).await;
            }
            let event = Event::Request {
                miner: miner.clone(),
            };
            // The first request also shows that the miner is present; repetitions only look for
            // work.
            let sent = self.send(event, proof.clone(), !first).await;
            if !first && matches!(sent, Err(CallError::Auth(_))) {
                // It has waited for too long to be used again; the miner signs another one.
                return Ok(JobReply::Wait);
            }
            let Applied {
                actions, leased, ..
            } = sent?;
            first = false;
            if let Some(job) = self.granted(&actions, leased) {
                return Ok(JobReply::Job(job));
            }
            if waiting.is_none() && !wait.is_zero() {
                let limit = self.with_state(|state| state.board().max_requests(miner));
                waiting = self.waiting.enter(miner, limit.await);
                if waiting.is_none() {
                    tokio::time::sleep(wait.min(MAX_HELD)).await;
                    return Ok(JobReply::Wait);
                }
            }
            let mut wake_up = give_up;
            if let Some(until) = eligible_at(&actions) {
                // No event announces that a miner is eligible again, so a timer has to wake it.
                wake_up = give_up.min(clock::now() + self.until(until).await);
            }
            let closing =
                unavailable.wait_for(|unavailable| *unavailable == Some(Unavailable::Closing));
            tokio::select! {
                _ = changes.changed() => {}
                // Not an error: the miner asks again, and reaches the genomaster once it is back.
                _ = closing => return Ok(JobReply::Wait),
                _ = tokio::time::sleep_until(wake_up.into()) => {
                    if clock::now() >= give_up {
                        return Ok(JobReply::Wait);
                    }
                }
            }
        }
    }

    /// The reply to a request for work while no jobs are handed out.
    async fn wait_paused(
        &self,
        wait: Duration,
        proof: Option<Proof>,
    ) -> Result<JobReply, CallError> {
        self.use_unjournaled(proof).await?;
        tokio::time::sleep(wait.min(MAX_HELD)).await;
        Ok(JobReply::Wait)
    }

    /// The job that a request for work was granted, if any, of which `leased` is the training.
    fn granted(&self, actions: &[Action], leased: Option<LeasedTraining>) -> Option<Job> {
        let (job, lease) = actions.iter().find_map(|action| match action {
            Action::Leased { job, lease, .. } => Some((*job, *lease)),
            _ => None,
        })?;
        let LeasedTraining { genome, part } = leased.expect("a leased job was opened");
        Some(Job {
            run: self.run(),
            job,
            lease,
            training_seed: self.training_seed(job, &genome),
            genome,
            part,
            lease_ms: self.shared.spec.rules.lease_ms,
        })
    }

    /// Time until the run time `then`.
    async fn until(&self, then: Millis) -> Duration {
        let active = self.shared.active.lock().await;
        active
            .as_ref()
            .map_or(Duration::ZERO, |active| active.clock.until(then))
    }

    /// Subscribes to the public events from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<PublishedEvents>> {
        self.shared.published.subscribe()
    }

    /// Ends all waiting requests and event streams, so that a server can shut down.
    pub fn release_waiting(&self) {
        self.shared
            .unavailable
            .send_replace(Some(Unavailable::Closing));
    }

    /// Writes a snapshot and closes the journal; later calls are rejected. The state can still be
    /// read.
    pub async fn close(&self) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        if self
            .commands
            .send(LeaderCommand::Close(answer))
            .await
            .is_err()
        {
            return Ok(());
        }
        answered.await.unwrap_or(Ok(()))
    }
}

/// Waits until a nonce that is not journaled is in the past. A restarted genomaster refuses requests
/// that were signed before it started; answering only then makes that true for clients whose clocks
/// are ahead, too.
async fn wait_for_nonce(nonce: u64) {
    let ahead_ns = nonce.saturating_sub(clock::unix_nanos());
    tokio::time::sleep(Duration::from_nanos(ahead_ns.min(MAX_AHEAD_NS))).await;
}
