//! Refusals as RFC 9457 problem documents, and the status that each kind of error has.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use naschain_consensus::Rejected;

use crate::coordinator::call_error::{CallError, Unavailable};
use naschain_run::{Problem, ProblemKind};

/// A refusal on its way out.
#[derive(Debug)]
pub struct Failure {
    problem: Problem,
    /// When to try again, where that is known.
    pub retry_after_seconds: Option<u64>,
}

impl Failure {
    /// A refusal of this kind, with the status of the kind. One that is temporary says when to try
    /// again.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Failure {
        let status = kind.status();
        Failure {
            problem: Problem {
                kind,
                status,
                detail: detail.into(),
            },
            retry_after_seconds: (status == 503).then_some(1),
        }
    }

    /// The same refusal with another status.
    pub(crate) fn with_status(mut self, status: StatusCode) -> Failure {
        self.problem.status = status.as_u16();
        self
    }

    /// Why this genomaster answers nothing at the moment.
    pub(crate) fn unavailable(unavailable: &Unavailable) -> Failure {
        let kind = match unavailable {
            Unavailable::Standby => ProblemKind::Standby,
            Unavailable::Journal(_) => ProblemKind::JournalTrouble,
            Unavailable::Closing => ProblemKind::Closing,
        };
        Failure::new(kind, unavailable.to_string())
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        let status = StatusCode::from_u16(self.problem.status);
        status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// What was wrong and what would be right.
    pub fn detail(&self) -> &str {
        &self.problem.detail
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = self.status();
        let headers = [(header::CONTENT_TYPE, "application/problem+json")];
        let body = serde_json::to_string(&self.problem).unwrap_or_default();
        let mut response = (status, headers, body).into_response();
        if let Some(seconds) = self.retry_after_seconds {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Failure {
        let kind = match &error {
            CallError::Rejected(Rejected::UnknownMiner { .. }) => ProblemKind::UnknownMiner,
            CallError::Rejected(Rejected::StaleLease { .. }) => ProblemKind::StaleLease,
            CallError::Rejected(Rejected::UnknownLease { .. }) => ProblemKind::UnknownLease,
            CallError::Rejected(Rejected::NotYours { .. }) => ProblemKind::NotYours,
            CallError::Rejected(_) => ProblemKind::Refused,
            CallError::WrongEpoch { .. } => ProblemKind::WrongEpoch,
            CallError::TooManyMiners { .. } => ProblemKind::TooManyMiners,
            CallError::Unavailable(unavailable) => return Failure::unavailable(unavailable),
        };
        Failure::new(kind, error.to_string())
    }
}
