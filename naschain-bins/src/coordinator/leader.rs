//! The task that writes a run's journal, or waits as a standby to become leader.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::{Context, Result};
use naschain_consensus::{Event, Millis};
use naschain_core::Digest;
use tokio::sync::mpsc;

use crate::clock;
use crate::coordinator::active_run::{ActiveRun, Group, PAGE, close, restore};
use crate::coordinator::admission::admission;
use crate::coordinator::applied::Applied;
use crate::coordinator::call_error::{CallError, Unavailable};
use crate::coordinator::continuity::{Continuity, check_history};
use crate::coordinator::shared::{LeaderCommand, PublishedEvents, SharedState};
use crate::coordinator::signed::use_request;
use crate::journal::store::JournalPlace;
use crate::printable::counted;
use naschain_run::Proof;

/// Maximum number of commands per transaction. Each becomes at most one row, so a group stays below
/// the maximum number of rows of a SQLite statement.
const MAX_GROUP: usize = 512;
/// Interval of a standby's attempts to become leader, and of attempts to reopen the journal after
/// an error. The run is interrupted for at least as long, so this is short.
const RETRY_INTERVAL: Duration = Duration::from_millis(400);
/// Interval of the leader's checks that it still leads. A write fails without the lead, but an idle
/// leader does not write, and would keep answering reads from an outdated state.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Maximum time without a round of the loop, so that an idle leader also checks that it still
/// leads.
const MAX_SLEEP: Duration = Duration::from_millis(500);
/// A snapshot is made after this many events, or after a tenth of all events if that is more. The
/// intervals grow with the run, so all its snapshots together cost only a few times the last one.
const SNAPSHOT_EVENTS: u64 = 20_000;

/// The writing task.
pub(crate) struct Leader {
    shared: Arc<SharedState>,
    place: JournalPlace,
    queue: mpsc::Receiver<LeaderCommand>,
    checked: std::time::Instant,
    continuity: Continuity,
    closed: bool,
}

impl Leader {
    pub(crate) fn new(
        shared: Arc<SharedState>,
        place: JournalPlace,
        queue: mpsc::Receiver<LeaderCommand>,
    ) -> Leader {
        Leader {
            shared,
            place,
            queue,
            checked: clock::now(),
            continuity: Continuity::new(),
            closed: false,
        }
    }

    /// Becomes leader if there is none: opens the journal and restores the state.
    pub(crate) async fn try_to_lead(&mut self) -> Result<()> {
        let opened = self.continuity.open(&self.place, &self.shared).await?;
        let Some(journal) = opened else {
            self.set_unavailable(Some(Unavailable::Standby));
            return Ok(());
        };
        let began = clock::now();
        let mut active = restore(journal, &self.shared.spec).await?;
        let known = self.shared.settings.history_jobs;
        check_history(&active.state, known, &self.place)?;
        self.shared.restore_requests(&mut active).await?;
        // The journal holds everything that earlier processes acknowledged.
        self.continuity.acknowledged = active.journal.as_ref().map(|journal| journal.head());
        tracing::info!(
            "leading: {} in {}, of which {} were replayed, in {:.1} s",
            counted(active.state.events(), "event"),
            self.place,
            active.state.events() - active.snapshot,
            began.elapsed().as_secs_f64()
        );
        // State before availability: a caller that sees that this genomaster leads must find its state.
        let (is_over, is_finished) = (active.state.is_over(), active.state.is_finished());
        self.shared.over.store(is_over, Relaxed);
        self.shared.finished.store(is_finished, Relaxed);
        *self.shared.active.lock().await = Some(active);
        // Taking the lead was itself such a check.
        self.checked = clock::now();
        self.continuity.restart();
        self.set_unavailable(None);
        // The previous leader may have added jobs since callers began to wait.
        self.shared.changes.send_modify(|count| *count += 1);
        Ok(())
    }

    /// Fails at the start of a standby that could never lead.
    pub(crate) async fn check_standby(&self) -> Result<()> {
        let is_standby = *self.shared.unavailable.borrow() == Some(Unavailable::Standby);
        if !is_standby || self.shared.settings.genomaster.is_none() {
            return Ok(());
        }
        let mut store = self.place.read(self.shared.rules.run).await?;
        // One page suffices: all requests of a run are signed for the same address.
        let first = store.entries(0, PAGE).await?;
        let proof = first.iter().find_map(|entry| entry.proof.as_deref());
        let checked = match proof.map(Proof::parse) {
            Some(Ok(proof)) => self.shared.check_receiver(&proof),
            // An unreadable proof is reported when the journal is replayed.
            _ => Ok(()),
        };
        store.close().await?;
        checked
    }

    fn set_unavailable(&self, unavailable: Option<Unavailable>) {
        self.shared.unavailable.send_if_modified(|now| {
            // Closing is final: a server that is shutting down must not open again because its
            // journal can be used again.
            let modified = *now != unavailable && *now != Some(Unavailable::Closing);
            if modified {
                match &unavailable {
                    Some(reason @ Unavailable::Journal(_)) => tracing::error!("{reason}"),
                    Some(reason) => tracing::info!("{reason}"),
                    None => {}
                }
                *now = unavailable;
            }
            modified
        });
    }

    /// Serves the queue until all senders are dropped.
    pub(crate) async fn run(mut self) {
        loop {
            // After closing, `active` is kept so that the state can still be read, but nothing is
            // written.
            let leads = self.shared.active.lock().await.is_some() && !self.closed;
            let served = if leads {
                self.lead_once().await
            } else {
                self.stand_by().await
            };
            if !served {
                return;
            }
        }
    }

    /// Rejects commands for one interval, then tries to become leader.
    async fn stand_by(&mut self) -> bool {
        let until = clock::now() + RETRY_INTERVAL;
        loop {
            let command = tokio::time::timeout_at(until.into(), self.queue.recv()).await;
            let Ok(command) = command else { break };
            // Answered at once instead of queued, so that the caller can try the genomaster that
            // leads.
            let reason = self.shared.unavailable.borrow().clone();
            match command {
                None => return false,
                Some(LeaderCommand::Take { answer, .. }) => {
                    let reason = reason.unwrap_or(Unavailable::Closing);
                    let _ = answer.send(Err(CallError::Unavailable(reason)));
                }
                Some(LeaderCommand::Close(answer)) => {
                    self.closed = true;
                    let _ = answer.send(Ok(()));
                }
            }
        }
        if !self.closed
            && let Err(error) = self.try_to_lead().await
        {
            self.set_unavailable(Some(Unavailable::Journal(format!("{error:#}"))));
        }
        true
    }

    /// Processes the queued commands, or a deadline that is due.
    async fn lead_once(&mut self) -> bool {
        // The lock is released before waiting for commands, so that readers can use the state
        // meanwhile.
        let wait = match &*self.shared.active.lock().await {
            Some(active) => {
                let deadline = active.state.board().next_deadline();
                deadline.map_or(MAX_SLEEP, |then| active.clock.until(then).min(MAX_SLEEP))
            }
            None => return true,
        };
        let mut commands = Vec::new();
        if wait.is_zero() {
            // A deadline is due: process it now, together with the commands that are already
            // queued.
            let _ = self.queue.try_recv().map(|command| commands.push(command));
        } else {
            match tokio::time::timeout(wait, self.queue.recv()).await {
                Ok(Some(command)) => commands.push(command),
                Ok(None) => return false,
                Err(_) => {}
            }
        }
        // Group commit: a write takes as long as the disk needs, however many events it has, so all
        // commands that queued up during the previous write share one.
        while commands.len() < MAX_GROUP
            && let Ok(command) = self.queue.try_recv()
        {
            commands.push(command);
        }
        let shared = self.shared.clone();
        let mut active = shared.active.lock().await;
        let result = match active.as_mut() {
            Some(active) => self.take(active, commands).await,
            None => return true,
        };
        if let Err(error) = result {
            // The store may or may not hold the failed transaction: restore the state from it
            // before anything is answered.
            *active = None;
            drop(active);
            self.shared.changes.send_modify(|count| *count += 1);
            self.set_unavailable(Some(Unavailable::Journal(format!("{error:#}"))));
        }
        true
    }

    /// Applies commands in order, writes the resulting events in one transaction, and answers.
    /// After an error the state may be ahead of the journal, or this genomaster no longer leads.
    async fn take(&mut self, active: &mut ActiveRun, commands: Vec<LeaderCommand>) -> Result<()> {
        let mut group = Group::default();
        let mut closing = None;
        self.continuity.leave_out_pause(&mut active.clock);
        let now = active.clock.now();
        let deadline = active.state.board().next_deadline();
        // Leases must expire even if no miner sends anything.
        if deadline.is_some_and(|then| then <= now) {
            let _ = group.apply(active, now, &Event::Tick, None);
        }
        for command in commands {
            match command {
                LeaderCommand::Close(answer) => closing = Some(answer),
                LeaderCommand::Take {
                    event,
                    proof,
                    repeated,
                    answer,
                } => {
                    let proof = proof.as_deref();
                    let result = self.apply(active, &mut group, now, &event, proof, repeated);
                    // Rejections wait too: they may depend on events of this group.
                    group.waiting.push((answer, result));
                }
            }
        }
        if let Some(secret) = self.shared.settings.secret
            && active.state.is_finished()
            && active.state.secret().is_none()
        {
            let secret = Digest(secret.0);
            let _ = group.apply(active, now, &Event::Reveal { secret }, None);
        }
        if let Err(error) = self.commit(active, &mut group).await {
            self.shared.metrics.failed_commits.fetch_add(1, Relaxed);
            // Also for events that were rejected: the state in which they were checked is
            // discarded.
            let reason = Unavailable::Journal(format!("{error:#}"));
            for (answer, _) in group.waiting {
                let _ = answer.send(Err(CallError::Unavailable(reason.clone())));
            }
            if let Some(closing) = closing {
                self.closed = true;
                let _ = closing.send(Err(error));
                return Ok(());
            }
            return Err(error);
        }
        let (is_over, is_finished) = (active.state.is_over(), active.state.is_finished());
        self.shared.finished.store(is_finished, Relaxed);
        let was_over = self.shared.over.swap(is_over, Relaxed);
        group.asks |= is_over && !was_over;
        // Only after the commit: nothing is shown that is not in the journal.
        self.publish(group);
        if let Some(closing) = closing {
            self.closed = true;
            let _ = closing.send(close(active).await);
            self.shared
                .unavailable
                .send_replace(Some(Unavailable::Closing));
            return Ok(());
        }
        let due = SNAPSHOT_EVENTS.max(active.state.events() / 10);
        if active.state.events() - active.snapshot >= due {
            active.keep_snapshot().await;
        }
        Ok(())
    }

    /// Applies one event, unless it can be answered without being written.
    fn apply(
        &self,
        active: &mut ActiveRun,
        group: &mut Group,
        now: Millis,
        event: &Event,
        proof: Option<&Proof>,
        repeated: bool,
    ) -> Result<Applied, CallError> {
        let requests = &mut active.requests;
        let used = proof
            .map(|proof| use_request(&self.shared, requests, now, event, proof, repeated))
            .transpose()?;
        let limit = self.shared.settings.max_miners;
        let answered = admission(active, now, event, repeated, limit);
        let is_journaled = answered.is_none();
        let actions = match answered {
            Some(answered) => answered?,
            None => group.apply(active, now, event, proof)?,
        };
        if let (Some(used), Some(proof)) = (used, proof)
            && let Err(reason) = active.requests.record(now, &used, proof, event, &actions)
        {
            // It would invalidate the journal: the group is not written, and the state is restored.
            group.failed = Some(anyhow::Error::msg(reason));
        }
        Ok(Applied::new(actions, &active.state, is_journaled))
    }

    async fn commit(&mut self, active: &mut ActiveRun, group: &mut Group) -> Result<()> {
        // The state already contains the event that could not be staged. Writing the others would
        // leave a gap in the journal, so the whole group fails and the state is restored.
        if let Some(error) = group.failed.take() {
            return Err(error);
        }
        let journal = active.journal.as_mut().context("the journal is closed")?;
        if group.events > 0 {
            let began = clock::now();
            journal.commit().await?;
            self.continuity.acknowledged = Some(journal.head());
            self.shared.metrics.committed(group.events, began.elapsed());
        }
        // Checked even if nothing was written, because repeated answers are acknowledged and /healthz
        // is served.
        journal.check_files()?;
        if self.checked.elapsed() >= CHECK_INTERVAL {
            journal.check().await?;
            self.checked = clock::now();
        }
        Ok(())
    }

    /// Answers the callers and publishes the events.
    fn publish(&self, group: Group) {
        for (answer, result) in group.waiting {
            match &result {
                Ok(applied) => self.shared.metrics.followed(&applied.actions),
                Err(_) => drop(self.shared.metrics.refused.fetch_add(1, Relaxed)),
            }
            let _ = answer.send(result);
        }
        if !group.published.is_empty() {
            // An error only means that there are no subscribers.
            let _ = self.shared.published.send(Arc::new(PublishedEvents {
                last: group.last,
                bytes: group.published.into(),
            }));
        }
        if group.makes_work_or_ends {
            self.shared.changes.send_modify(|count| *count += 1);
        }
        if group.asks {
            self.shared.asked.send_modify(|count| *count += 1);
        }
    }
}
