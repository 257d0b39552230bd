//! Why a genomaster refuses a call, or does not answer it for now.

use naschain_consensus::Rejected;

/// Why a call was not answered.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The board refused the event.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// A heartbeat says what cannot be.
    #[error(
        "epoch is {epoch}; it must be {last}, as the heartbeat before said, to {of}, as many as the run's recipe has"
    )]
    WrongEpoch {
        /// The epoch.
        epoch: u32,
        /// The greatest one that was said before.
        last: u32,
        /// Epochs of a training.
        of: u32,
    },
    /// Nobody can join any more who has not joined before.
    #[error(
        "{limit} miners have joined this run, which is the maximum; its operator can raise --max-miners"
    )]
    TooManyMiners {
        /// The limit.
        limit: usize,
    },
    /// Not now: try again, here or at another genomaster of the run.
    #[error("{0}")]
    Unavailable(Unavailable),
}

/// Why a genomaster answers nothing for now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// Another one leads.
    #[error("another genomaster leads this run; this one is a standby")]
    Standby,
    /// The journal cannot be written or read.
    #[error("the journal cannot be used for now: {0}")]
    Journal(String),
    /// It is shutting down.
    #[error("the genomaster is shutting down")]
    Closing,
}
