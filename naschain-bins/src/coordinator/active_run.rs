//! The state of a run whose journal this genomaster writes, and the events that are written
//! together.

use anyhow::{Context, Result, ensure};
use naschain_consensus::{Action, Event, Millis, Rejected};
use tokio::sync::oneshot;

use crate::clock;
use crate::clock::RunClock;
use crate::coordinator::answers::Answers;
use crate::coordinator::applied::Applied;
use crate::coordinator::call_error::{CallError, Unavailable};
use crate::coordinator::join_counts::JoinCounts;
use crate::journal::Journal;
use naschain_run::{
    Cursor, Proof, PublicEvent, Publisher, RunSpec, RunState, SignedRequests, server_sent_events,
};

/// Maximum number of events read at once, so that the memory of a replay does not grow with the
/// run.
pub(crate) const PAGE: usize = 10_000;

/// The leader's state and journal.
pub(crate) struct ActiveRun {
    pub(crate) state: RunState,
    /// `None` after it was closed; the state can still be read then.
    pub(crate) journal: Option<Journal>,
    publisher: Publisher,
    pub(crate) clock: RunClock,
    /// The number of the event of the latest snapshot.
    pub(crate) snapshot: u64,
    /// The signed requests that were used lately.
    pub(crate) requests: SignedRequests,
    pub(crate) answers: Answers,
    /// Number of recent joins of each miner.
    pub(crate) joins: JoinCounts,
}

impl ActiveRun {
    /// The state and the journal of the leader.
    pub(crate) fn journal(
        active: &mut Option<ActiveRun>,
    ) -> Result<(&RunState, &mut Journal), CallError> {
        let active = active
            .as_mut()
            .ok_or(CallError::Unavailable(Unavailable::Standby))?;
        let journal = active.journal.as_mut();
        let journal = journal.ok_or(CallError::Unavailable(Unavailable::Closing))?;
        Ok((&active.state, journal))
    }
}

/// A caller and the answer that it gets once the group is written.
type Waiting = (
    oneshot::Sender<Result<Applied, CallError>>,
    Result<Applied, CallError>,
);

/// Events that are written together.
#[derive(Default)]
pub(crate) struct Group {
    pub(crate) waiting: Vec<Waiting>,
    pub(crate) events: usize,
    /// The number of the last one.
    pub(crate) last: u64,
    /// Their public events, as server-sent events.
    pub(crate) published: String,
    pub(crate) makes_work_or_ends: bool,
    /// Whether miners were asked something.
    pub(crate) asks: bool,
    /// The error of an event that could not be staged.
    pub(crate) failed: Option<anyhow::Error>,
}

impl Group {
    /// Applies an event and stages it. A rejected event changes nothing.
    pub(crate) fn apply(
        &mut self,
        active: &mut ActiveRun,
        now: Millis,
        event: &Event,
        proof: Option<&Proof>,
    ) -> Result<Vec<Action>, CallError> {
        let actions = match active.state.apply(now, event.clone(), proof) {
            Ok(actions) => actions,
            Err(rejected) => return Err(rejection(&active.answers, rejected, event)),
        };
        active.answers.remember(event);
        // `RunState` does not count such a tick as an event, so the journal must not contain it.
        if matches!(event, Event::Tick) && actions.is_empty() {
            return Ok(actions);
        }
        self.events += 1;
        self.last = active.state.events();
        self.makes_work_or_ends |= actions.iter().any(makes_work_or_ends);
        let asks = |action: &Action| matches!(action, Action::Asked { .. });
        self.asks |= actions.iter().any(asks);
        let public_events = active.publisher.publish(&active.state, event, &actions);
        server_sent_events(
            self.last,
            now,
            &public_events,
            Cursor::default(),
            usize::MAX,
            &mut self.published,
        );
        // Not returned: this event is applied, so the whole group has to fail, when it is
        // committed.
        if let Err(error) = active.stage(now, event, proof, &public_events) {
            self.failed = Some(error);
        }
        Ok(actions)
    }
}

/// A repeated answer is acknowledged again, another one under the same lease is not.
fn rejection(answers: &Answers, rejected: Rejected, event: &Event) -> CallError {
    match (&rejected, event) {
        (Rejected::AlreadyAnswered { miner, lease }, Event::Submit { row, .. })
            if answers.differs(*lease, row) =>
        {
            CallError::OtherAnswer {
                miner: miner.clone(),
                lease: *lease,
            }
        }
        _ => CallError::Rejected(rejected),
    }
}

impl ActiveRun {
    fn stage(
        &mut self,
        now: Millis,
        event: &Event,
        proof: Option<&Proof>,
        public_events: &[PublicEvent],
    ) -> Result<()> {
        let journal = self.journal.as_mut().context("the journal is closed")?;
        journal.append(now, event, proof)?;
        if !public_events.is_empty() {
            journal.set_feed(serde_json::to_string(public_events)?);
        }
        Ok(())
    }

    /// Stores a snapshot. A failure is only logged: it makes the next start slower.
    pub(crate) async fn keep_snapshot(&mut self) {
        let Some(journal) = &mut self.journal else {
            return;
        };
        let began = clock::now();
        let now = self.state.board().now();
        let kept = match self.state.stored() {
            Ok(bytes) => journal.keep_snapshot(now, bytes).await,
            Err(error) => Err(error.into()),
        };
        // After a failure too: the next attempt comes after as many events again, not with every
        // group.
        self.snapshot = self.state.events();
        match kept {
            Ok(()) => tracing::info!(
                "snapshot after event {} in {:.2} s",
                self.snapshot,
                began.elapsed().as_secs_f64()
            ),
            Err(error) => tracing::warn!("{error:#}"),
        }
    }
}

/// Minimum number of events since the last snapshot for a snapshot on closing. Replaying fewer
/// takes milliseconds (docs/operations.md: a million in 20 seconds).
const CLOSING_EVENTS: u64 = 1_000;

/// Closes the journal; the state can still be read.
pub(crate) async fn close(active: &mut ActiveRun) -> Result<()> {
    if active.state.events() - active.snapshot >= CLOSING_EVENTS {
        active.keep_snapshot().await;
    }
    match active.journal.take() {
        Some(journal) => journal.close().await,
        None => Ok(()),
    }
}

/// Restores the state from the snapshot and the events after it.
pub(crate) async fn restore(mut journal: Journal, spec: &RunSpec) -> Result<ActiveRun> {
    let restored = journal.snapshot(|number, bytes| {
        let state = RunState::restored(spec.clone(), bytes)?;
        ensure!(
            state.events() == number,
            "its state is that after event {}, not {number}",
            state.events()
        );
        Ok(state)
    });
    let (mut latest, mut state) = match restored.await? {
        Some(restored) => restored,
        None => (Millis(0), RunState::new(spec.clone())?),
    };
    let snapshot = state.events();
    let mut answers = Answers::default();
    loop {
        let page = journal.read_next(PAGE).await?;
        if page.is_empty() {
            break;
        }
        for (now, event, proof) in page {
            let number = state.events() + 1;
            latest = now;
            answers.remember(&event);
            state
                .apply(now, event, proof.as_ref())
                .with_context(|| format!("event {number} of the journal is rejected"))?;
            // Snapshots and cursors refer to events by number, so the numbers of entries and of
            // applied events must stay equal.
            ensure!(
                state.events() == number,
                "event {number} of the journal changes nothing"
            );
        }
    }
    Ok(ActiveRun {
        publisher: Publisher::starting_at(&state),
        state,
        journal: Some(journal),
        // Continues at the time of the last event, so downtime does not make leases expire.
        clock: RunClock::start(latest),
        snapshot,
        requests: SignedRequests::default(),
        answers,
        joins: JoinCounts::default(),
    })
}

/// Leases, idle answers and heartbeats concern only their miner. If they woke the waiting requests,
/// each request would cause one of every other waiting miner.
fn makes_work_or_ends(action: &Action) -> bool {
    !matches!(
        action,
        Action::Leased { .. } | Action::Idle { .. } | Action::Renewed { .. }
    )
}
