//! Why a genomaster rejects a call or cannot serve it now.

use naschain_consensus::{LeaseId, MinerId, QuestionId, Rejected};

use crate::coordinator::received::WrongPart;
use naschain_identity::AuthError;
use naschain_run::ProofError;

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
    /// The signed request is too old, or was used before.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// An audit would reject the signed request.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The miner has answered already, and this is another answer.
    #[error(
        "{miner} has given another answer under {lease}; the first answer counts and cannot be changed"
    )]
    OtherAnswer {
        /// The miner.
        miner: MinerId,
        /// The lease.
        lease: LeaseId,
    },
    /// A part of a file does not continue it.
    #[error(transparent)]
    Part(#[from] WrongPart),
    /// A file is not the one that was asked for.
    #[error("the file for {question} cannot be used: {reason}; send it again from offset 0")]
    WrongFile {
        /// The question.
        question: QuestionId,
        /// What is wrong.
        reason: String,
    },
    /// The miner has joined too often lately.
    #[error("{miner} has joined {limit} times in a minute; wait {wait_s} s")]
    JoinsTooOften {
        /// The miner.
        miner: MinerId,
        /// Maximum number of joins in a minute.
        limit: u32,
        /// Time until it may join again, in seconds.
        wait_s: u64,
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
