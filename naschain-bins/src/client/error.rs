//! Why a call to a genomaster did not succeed.

use crate::tls;
use naschain_run::{Problem, ProblemKind};

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The genomaster cannot be reached or cannot serve the call now; it may succeed later.
    #[error("{0}")]
    Unavailable(String),
    /// The genomaster rejected the call; repeating it does not help.
    #[error("{} ({}, HTTP {})", .0.detail, .0.kind, .0.status)]
    Refused(Problem),
}

impl ClientError {
    /// Whether the genomaster named this kind of problem.
    pub fn is(&self, kind: &ProblemKind) -> bool {
        matches!(self, ClientError::Refused(problem) if problem.kind == *kind)
    }
}

pub(super) fn refused(kind: ProblemKind, detail: String) -> ClientError {
    ClientError::Refused(Problem {
        status: kind.status(),
        kind,
        detail,
    })
}

pub(super) fn unavailable(error: reqwest::Error) -> ClientError {
    // reqwest's message does not include the cause.
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text += tls::hint(&text);
    ClientError::Unavailable(text)
}
