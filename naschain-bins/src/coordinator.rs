//! The genomaster at work: one state, one journal, and those who wait for them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use naschain_consensus::{Action, Event, LeaseId, Millis, MinerId, Rejected, Row};
use tokio::sync::{Mutex, watch};

use crate::api::{Job, JobReply};
use crate::clock::{self, RunClock};
use crate::journal::Journal;
use crate::run_spec::RunSpec;
use crate::state::RunState;

/// Why a call was not answered.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The board refused the event.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// The journal cannot be written, so nothing more is accepted.
    #[error("the genomaster has stopped: {0}")]
    Stopped(String),
}

/// Search, job board and journal behind one lock.
pub struct Coordinator {
    inner: Mutex<Inner>,
    clock: RunClock,
    /// Counts accepted events that may have made work or ended a batch.
    changes: watch::Sender<u64>,
    run: naschain_core::Digest,
    spec: RunSpec,
}

struct Inner {
    state: RunState,
    journal: Option<Journal>,
    broken: Option<String>,
}

impl Coordinator {
    /// Opens the run in `dir` and brings its state back from the journal.
    pub async fn open(dir: &Path, spec: RunSpec) -> Result<Arc<Coordinator>> {
        let run = spec.digest();
        let (journal, events) = Journal::open(&dir.join("journal.sqlite"), run).await?;
        let mut state = RunState::new(spec.clone())?;
        let mut latest = Millis(0);
        for (number, (now, event, proof)) in events.into_iter().enumerate() {
            latest = now;
            let applied = state.apply_signed(now, event, proof.as_deref());
            applied.map_err(|refused| {
                anyhow::anyhow!("event {} of the journal is refused: {refused}", number + 1)
            })?;
        }
        let coordinator = Arc::new(Coordinator {
            inner: Mutex::new(Inner {
                state,
                journal: Some(journal),
                broken: None,
            }),
            clock: RunClock::start(latest),
            changes: watch::Sender::new(0),
            run,
            spec,
        });
        tokio::spawn(tick(Arc::downgrade(&coordinator)));
        Ok(coordinator)
    }

    /// What the run is.
    pub fn spec(&self) -> &RunSpec {
        &self.spec
    }

    /// The run's identity.
    pub fn run(&self) -> naschain_core::Digest {
        self.run
    }

    /// Tells when anything changed that others may wait for.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Looks at the state.
    pub async fn look<T>(&self, look: impl FnOnce(&RunState) -> T) -> T {
        look(&self.inner.lock().await.state)
    }

    /// The journal's latest proofs: more than can come in while a signed request is fresh.
    pub async fn recent_proofs(&self) -> Result<Vec<String>> {
        const MOST: u32 = 50_000;
        match &mut self.inner.lock().await.journal {
            Some(journal) => journal.recent_proofs(MOST).await,
            None => Ok(Vec::new()),
        }
    }

    /// Takes an event; it is in the journal before this returns.
    ///
    /// `proof` is the signed request that asks for it, where there is one. A caller that goes
    /// away meanwhile changes nothing: state and journal move together.
    pub async fn handle(
        self: &Arc<Self>,
        event: Event,
        proof: Option<Arc<str>>,
    ) -> Result<Vec<Action>, CallError> {
        let coordinator = self.clone();
        let accepted = tokio::spawn(async move { coordinator.accept(event, proof).await });
        let stopped = |error: tokio::task::JoinError| CallError::Stopped(error.to_string());
        accepted.await.map_err(stopped)?
    }

    async fn accept(
        &self,
        event: Event,
        proof: Option<Arc<str>>,
    ) -> Result<Vec<Action>, CallError> {
        let mut inner = self.inner.lock().await;
        let Inner {
            state,
            journal,
            broken,
        } = &mut *inner;
        if let Some(reason) = broken {
            return Err(CallError::Stopped(reason.clone()));
        }
        let Some(journal) = journal else {
            return Err(CallError::Stopped("it is shutting down".to_owned()));
        };
        let now = self.clock.now();
        let idle_tick = matches!(event, Event::Tick);
        let actions = state.apply_signed(now, event.clone(), proof.as_deref())?;
        if idle_tick && actions.is_empty() {
            return Ok(actions);
        }
        if let Err(error) = journal.append(now, &event, proof.as_deref()).await {
            // The state is ahead of the journal: nothing more may be answered from it.
            let reason = format!("{error:#}");
            tracing::error!("{reason}");
            *broken = Some(reason.clone());
            return Err(CallError::Stopped(reason));
        }
        drop(inner);
        if actions.iter().any(makes_work_or_ends) {
            self.changes.send_modify(|count| *count += 1);
        }
        Ok(actions)
    }

    /// A miner asks for work and waits for it for a while.
    pub async fn request(
        self: &Arc<Self>,
        miner: &MinerId,
        wait: Duration,
        proof: Option<Arc<str>>,
    ) -> Result<JobReply, CallError> {
        let give_up = clock::now() + wait;
        let mut changes = self.changes();
        loop {
            changes.mark_unchanged();
            if self.look(RunState::is_finished).await {
                return Ok(JobReply::Finished);
            }
            let event = Event::Request {
                miner: miner.clone(),
            };
            for action in self.handle(event, proof.clone()).await? {
                if let Action::Leased { batch, lease, .. } = action {
                    let genome = self.look(|state| state.genome(batch).cloned()).await;
                    return Ok(JobReply::Job(Job {
                        run: self.run,
                        batch,
                        lease,
                        genome: genome.expect("a leased batch was opened"),
                        lease_ms: self.spec.rules.lease_ms,
                    }));
                }
            }
            let changed = tokio::time::timeout_at(give_up.into(), changes.changed()).await;
            if changed.is_err() {
                return Ok(JobReply::Wait);
            }
        }
    }

    /// A miner is still at work.
    pub async fn heartbeat(
        self: &Arc<Self>,
        miner: &MinerId,
        lease: LeaseId,
        epoch: u32,
        proof: Option<Arc<str>>,
    ) -> Result<(), CallError> {
        let miner = miner.clone();
        let event = Event::Heartbeat {
            miner,
            lease,
            epoch,
        };
        self.handle(event, proof).await.map(drop)
    }

    /// A miner answers. The same answer sent twice is taken once and acknowledged twice.
    pub async fn submit(
        self: &Arc<Self>,
        miner: &MinerId,
        lease: LeaseId,
        row: Row,
        proof: Option<Arc<str>>,
    ) -> Result<(), CallError> {
        let miner = miner.clone();
        let event = Event::Submit { miner, lease, row };
        match self.handle(event, proof).await {
            Err(CallError::Rejected(Rejected::AlreadyAnswered { .. })) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Closes the journal; later calls are refused.
    pub async fn close(&self) -> Result<()> {
        match self.inner.lock().await.journal.take() {
            Some(journal) => journal.close().await,
            None => Ok(()),
        }
    }

    /// Why the run cannot go on, if it cannot.
    pub async fn broken(&self) -> Option<String> {
        self.inner.lock().await.broken.clone()
    }
}

fn makes_work_or_ends(action: &Action) -> bool {
    !matches!(
        action,
        Action::Leased { .. } | Action::Idle { .. } | Action::Renewed { .. }
    )
}

/// Ends leases when they are due, until the coordinator is gone.
async fn tick(coordinator: std::sync::Weak<Coordinator>) {
    const LONGEST: Duration = Duration::from_millis(500);
    loop {
        let wait = {
            let Some(coordinator) = coordinator.upgrade() else {
                return;
            };
            let deadline = coordinator
                .look(|state| state.board().next_deadline())
                .await;
            let wait = deadline.map_or(LONGEST, |then| coordinator.clock.until(then));
            if wait.is_zero() && coordinator.handle(Event::Tick, None).await.is_err() {
                return;
            }
            // An event may bring an earlier deadline while this sleeps.
            wait.clamp(Duration::from_millis(1), LONGEST)
        };
        tokio::time::sleep(wait).await;
    }
}
