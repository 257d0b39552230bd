//! State shared by callers and the task that writes the journal.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use naschain_consensus::Event;
use tokio::sync::{Mutex, broadcast, oneshot, watch};

use crate::coordinator::active_run::ActiveRun;
use crate::coordinator::activity::RunActivity;
use crate::coordinator::applied::Applied;
use crate::coordinator::call_error::{CallError, Unavailable};
use crate::coordinator::metrics::Metrics;
use naschain_identity::Nonces;
use naschain_run::{Proof, RequestRules, RunSecret, RunSpec};

/// A genomaster's settings, which are not part of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The genomaster's address, if requests are signed for it.
    pub genomaster: Option<String>,
    /// Maximum number of miners that may join. The job board keeps every miner that ever joined, so
    /// this bounds its memory.
    pub max_miners: usize,
    /// Number of jobs that have ended according to the history in the run's folder; `None` in a
    /// folder without one. The journal has to have them.
    pub history_jobs: Option<usize>,
    /// The run's secret, if it has one.
    pub secret: Option<RunSecret>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            genomaster: None,
            max_miners: 100_000,
            history_jobs: None,
            secret: None,
        }
    }
}

/// State shared by callers and the writing task.
pub(crate) struct SharedState {
    /// The state if this genomaster leads. Everything in it is in the journal: the lock is held
    /// while a group is applied and written, which is why it is an asynchronous one.
    pub(crate) active: Mutex<Option<ActiveRun>>,
    /// Why calls cannot be served, or `None`.
    pub(crate) unavailable: watch::Sender<Option<Unavailable>>,
    /// Counts accepted events that may have made work or ended a job.
    pub(crate) changes: watch::Sender<u64>,
    /// Counts questions to miners; also changes when the run is over.
    pub(crate) asked: watch::Sender<u64>,
    /// Sends each written group to all readers of the event stream.
    pub(crate) published: broadcast::Sender<Arc<PublishedEvents>>,
    pub(crate) metrics: Metrics,
    /// Whether the run is over ([`naschain_run::RunState::is_over`]), readable without the lock.
    pub(crate) over: AtomicBool,
    /// Whether the search is finished, readable without the lock. No other data depends on it, so
    /// `Relaxed` is enough.
    pub(crate) finished: AtomicBool,
    /// Whether the run goes on.
    pub(crate) activity: watch::Sender<RunActivity>,
    /// Used nonces of signed requests. The server checks them before it sends a command, so a
    /// replayed request does not reach the leader.
    pub(crate) nonces: Arc<std::sync::Mutex<Nonces>>,
    pub(crate) settings: Settings,
    pub(crate) spec: RunSpec,
    pub(crate) rules: RequestRules,
}

/// Commands to the leader.
pub(crate) enum LeaderCommand {
    /// Apply an event.
    Take {
        event: Event,
        /// Boxed, because it is much larger than the other fields.
        proof: Option<Box<Proof>>,
        /// Whether it is a request for work that was sent before and still waits.
        repeated: bool,
        answer: oneshot::Sender<Result<Applied, CallError>>,
    },
    /// Close the journal.
    Close(oneshot::Sender<Result<()>>),
}

/// The public events of a group, as sent to every reader.
pub struct PublishedEvents {
    /// The number of the last event of the group.
    pub last: u64,
    /// Server-sent events.
    pub bytes: axum::body::Bytes,
}
