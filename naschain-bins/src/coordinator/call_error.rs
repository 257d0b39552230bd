//! Why a genomaster rejects a call or cannot serve it now.

use naschain_consensus::Rejected;

/// Why a call was not answered.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The board refused the event.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// The epoch of a heartbeat is out of range.
    #[error(
        "epoch is {epoch}; it must be from {last}, that of the previous heartbeat, to {of}, the number of epochs of a training"
    )]
    WrongEpoch {
        /// The epoch.
        epoch: u32,
        /// The epoch of the previous heartbeat.
        last: u32,
        /// Epochs of a training.
        of: u32,
    },
    /// The maximum number of miners has joined.
    #[error(
        "{limit} miners have joined this run, which is the maximum; its operator can raise --max-miners"
    )]
    TooManyMiners {
        /// The limit.
        limit: usize,
    },
    /// Try again later, or at another genomaster of the run.
    #[error("{0}")]
    Unavailable(Unavailable),
}

/// Why a genomaster cannot serve calls now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// Another genomaster leads.
    #[error("another genomaster leads this run; this one is a standby")]
    Standby,
    /// The journal cannot be written or read.
    #[error("the journal cannot be used now: {0}")]
    Journal(String),
    /// It is shutting down.
    #[error("the genomaster is shutting down")]
    Closing,
}
