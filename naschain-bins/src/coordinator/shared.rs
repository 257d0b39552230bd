//! What the callers of a genomaster and the one task that writes its journal share.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use naschain_consensus::Event;
use tokio::sync::{Mutex, broadcast, oneshot, watch};

use crate::coordinator::active_run::ActiveRun;
use crate::coordinator::applied::Applied;
use crate::coordinator::call_error::{CallError, Unavailable};
use crate::coordinator::metrics::Metrics;
use naschain_identity::Nonces;
use naschain_run::{Proof, RunSpec};

/// What a genomaster is told beside the run's specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its own address, if requests are signed for it.
    pub genomaster: Option<String>,
    /// So many miners may join at most.
    pub max_miners: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            genomaster: None,
            max_miners: 100_000,
        }
    }
}

/// What the writing task and the callers share.
pub(crate) struct Shared {
    /// The state, unless this genomaster does not lead. What it shows is in the journal.
    pub(crate) active: Mutex<Option<ActiveRun>>,
    /// Why there is none, if there is none.
    pub(crate) unavailable: watch::Sender<Option<Unavailable>>,
    /// Counts accepted events that may have made work or ended a job.
    pub(crate) changes: watch::Sender<u64>,
    pub(crate) published: broadcast::Sender<Arc<PublishedEvents>>,
    pub(crate) metrics: Metrics,
    /// Whether the search is finished, for those who need not wait for the lock.
    pub(crate) finished: AtomicBool,
    /// Which signed requests came before, so that none counts twice under any leader.
    pub(crate) nonces: Arc<std::sync::Mutex<Nonces>>,
    pub(crate) settings: Settings,
    pub(crate) spec: RunSpec,
    pub(crate) run: naschain_core::Digest,
}

/// What callers ask of the leader.
pub(crate) enum Command {
    /// Take an event.
    Take {
        event: Event,
        proof: Option<Proof>,
        /// Whether a request for work that would find none is answered without being written.
        skip_idle: bool,
        answer: oneshot::Sender<Result<Applied, CallError>>,
    },
    /// Close the journal.
    Close(oneshot::Sender<Result<()>>),
}

/// What was told of a group of events, in the bytes that every reader is sent.
pub struct PublishedEvents {
    /// The number of the last event of the group.
    pub last: u64,
    /// Server-sent events.
    pub bytes: axum::body::Bytes,
}
