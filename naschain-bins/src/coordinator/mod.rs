//! The genomaster at work: one state, one journal, and those who wait for them.
//!
//! Events go through a queue to the one task that writes (`leader.rs`); it takes all
//! that have gathered, applies them, writes them in one transaction, and only then answers them.

mod active_run;
mod admission;
mod applied;
pub mod call_error;
mod leader;
pub mod metrics;
mod pages;
pub mod shared;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use anyhow::Result;
use naschain_consensus::{Action, Event, LeaseId, Millis, MinerId, NoWork, Rejected, Row};
use tokio::sync::{Mutex, broadcast, mpsc, oneshot, watch};

use crate::clock;
use crate::coordinator::applied::Applied;
use crate::coordinator::call_error::{CallError, Unavailable};
use crate::coordinator::leader::Leader;
use crate::coordinator::metrics::Metrics;
use crate::coordinator::shared::{Command, PublishedEvents, Settings, Shared};
use crate::journal::store::Place;
use naschain_identity::Nonces;
use naschain_run::{Job, JobReply, Proof, RunSpec, RunState};

/// Search, job board and journal.
pub struct Coordinator {
    pub(crate) shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
    /// Whose turn it is to read a page of the journal.
    pub(crate) reading: Arc<Mutex<()>>,
}

/// So many events may wait to be written; more callers wait for a place.
const MAX_WAITING: usize = 8_192;
/// A reader of the feed that is so many groups of events behind reads from the journal.
const MAX_BUFFERED_GROUPS: usize = 256;

impl Coordinator {
    /// Opens the journal of a run and brings the state back; where another genomaster leads, it
    /// waits behind that one.
    pub async fn open(place: Place, spec: RunSpec) -> Result<Arc<Coordinator>> {
        Coordinator::open_with(place, spec, Settings::default()).await
    }

    /// The same with other settings than the default ones.
    ///
    /// # Errors
    /// Also where the journal has requests that were signed for another genomaster: those of one
    /// run have to share a hotkey.
    pub async fn open_with(
        place: Place,
        spec: RunSpec,
        settings: Settings,
    ) -> Result<Arc<Coordinator>> {
        let (commands, queue) = mpsc::channel(MAX_WAITING);
        let shared = Arc::new(Shared {
            active: Mutex::new(None),
            unavailable: watch::Sender::new(Some(Unavailable::Standby)),
            changes: watch::Sender::new(0),
            published: broadcast::Sender::new(MAX_BUFFERED_GROUPS),
            metrics: Metrics::default(),
            finished: AtomicBool::new(false),
            nonces: Arc::default(),
            settings,
            run: spec.digest(),
            spec,
        });
        let mut leader = Leader::new(shared.clone(), place, queue);
        leader.try_to_lead().await?;
        leader.check_standby().await?;
        tokio::spawn(leader.run());
        Ok(Arc::new(Coordinator {
            shared,
            commands,
            reading: Arc::default(),
        }))
    }

    /// What the run is.
    pub fn spec(&self) -> &RunSpec {
        &self.shared.spec
    }

    /// The run's identity.
    pub fn run(&self) -> naschain_core::Digest {
        self.shared.run
    }

    /// Tells when anything changed that others may wait for.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// Why nothing is answered for now, if so.
    pub fn unavailable(&self) -> Option<Unavailable> {
        self.shared.unavailable.borrow().clone()
    }

    /// The same, to be waited for.
    pub fn watch_unavailable(&self) -> watch::Receiver<Option<Unavailable>> {
        self.shared.unavailable.subscribe()
    }

    /// The genomaster's counts.
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// Which signed requests came before, for a [`crate::server::auth::Authenticator`]. Whenever this genomaster
    /// takes the lead, they are read from the journal anew.
    pub fn nonces(&self) -> Arc<std::sync::Mutex<Nonces>> {
        self.shared.nonces.clone()
    }

    /// Looks at the state; where this genomaster does not lead, it waits until it does.
    pub async fn with_state<T>(&self, look: impl FnOnce(&RunState) -> T) -> T {
        let mut unavailable = self.shared.unavailable.subscribe();
        loop {
            unavailable.mark_unchanged();
            if let Some(active) = &*self.shared.active.lock().await {
                return look(&active.state);
            }
            // It cannot end: this holds the sender.
            let _ = unavailable.changed().await;
        }
    }

    /// Looks at the state, if this genomaster leads.
    pub async fn try_with_state<T>(&self, look: impl FnOnce(Option<&RunState>) -> T) -> T {
        let active = self.shared.active.lock().await;
        look(active.as_ref().map(|active| &active.state))
    }

    /// Applies an event, with the signed request that asked for it where there is one; both are in
    /// the journal before this returns.
    ///
    /// A caller that goes away meanwhile changes nothing.
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
        skip_idle: bool,
    ) -> Result<Applied, CallError> {
        let (answer, answered) = oneshot::channel();
        let command = Command::Take {
            event,
            proof,
            skip_idle,
            answer,
        };
        let stopped = || CallError::Unavailable(Unavailable::Closing);
        self.commands.send(command).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }

    /// A miner asks for work and waits for it, at most for `wait`.
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
        loop {
            changes.mark_unchanged();
            if let Some(unavailable) = self.unavailable() {
                return Err(CallError::Unavailable(unavailable));
            }
            if self.shared.finished.load(Relaxed) {
                return Ok(JobReply::Finished);
            }
            let event = Event::Request {
                miner: miner.clone(),
            };
            // The first one shows that the miner is there; the others only ask.
            let Applied { actions, genome } = self.send(event, proof.clone(), !first).await?;
            first = false;
            let mut wake_up = give_up;
            for action in actions {
                if let Action::Idle {
                    reason: NoWork::TooFast { until },
                    ..
                } = action
                {
                    wake_up = give_up.min(clock::now() + self.until(until).await);
                }
                if let Action::Leased { job, lease, .. } = action {
                    return Ok(JobReply::Job(Job {
                        run: self.shared.run,
                        job,
                        lease,
                        genome: genome.expect("a leased job was opened"),
                        lease_ms: self.shared.spec.rules.lease_ms,
                    }));
                }
            }
            let closing =
                unavailable.wait_for(|unavailable| *unavailable == Some(Unavailable::Closing));
            tokio::select! {
                _ = changes.changed() => {}
                _ = closing => return Ok(JobReply::Wait),
                _ = tokio::time::sleep_until(wake_up.into()) => {
                    if clock::now() >= give_up {
                        return Ok(JobReply::Wait);
                    }
                }
            }
        }
    }

    /// How long until the run's time is `then`.
    async fn until(&self, then: Millis) -> Duration {
        let active = self.shared.active.lock().await;
        active
            .as_ref()
            .map_or(Duration::ZERO, |active| active.clock.until(then))
    }

    /// A miner has finished `epoch` epochs and goes on.
    pub async fn heartbeat(
        &self,
        miner: &MinerId,
        lease: LeaseId,
        epoch: u32,
        proof: Option<Proof>,
    ) -> Result<(), CallError> {
        let miner = miner.clone();
        let event = Event::Heartbeat {
            miner,
            lease,
            epoch,
        };
        self.handle(event, proof).await.map(drop)
    }

    /// A miner answers. An answer that is sent twice counts once and is acknowledged twice.
    pub async fn submit(
        &self,
        miner: &MinerId,
        lease: LeaseId,
        row: Row,
        proof: Option<Proof>,
    ) -> Result<(), CallError> {
        let miner = miner.clone();
        let submit = Event::Submit { miner, lease, row };
        match self.handle(submit, proof).await {
            Err(CallError::Rejected(Rejected::AlreadyAnswered { .. })) => Ok(()),
            other => other.map(drop),
        }
    }

    /// What the public is told from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<PublishedEvents>> {
        self.shared.published.subscribe()
    }

    /// Ends what waits for work or for events, so that a server can finish its answers.
    pub fn release_waiting(&self) {
        self.shared
            .unavailable
            .send_replace(Some(Unavailable::Closing));
    }

    /// Writes a snapshot and closes the journal; later calls are refused. The state can still be
    /// looked at.
    pub async fn close(&self) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        if self.commands.send(Command::Close(answer)).await.is_err() {
            return Ok(());
        }
        answered.await.unwrap_or(Ok(()))
    }
}
