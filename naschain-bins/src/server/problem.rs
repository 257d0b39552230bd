//! Errors as RFC 9457 problem documents.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use naschain_consensus::Rejected;

use crate::coordinator::call_error::{CallError, Unavailable};
use naschain_identity::AuthError;
use naschain_run::{Problem, ProblemKind};

/// An error response.
#[derive(Debug)]
pub struct ErrorResponse {
    problem: Problem,
    /// Value of `Retry-After`, if any.
    pub retry_after_seconds: Option<u64>,
}

impl ErrorResponse {
    /// An error of this kind, with its status. A 503 gets a `Retry-After` of one second, which is
    /// about what a standby needs to become leader.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> ErrorResponse {
        let status = kind.status();
        ErrorResponse {
            problem: Problem {
                kind,
                status,
                detail: detail.into(),
            },
            retry_after_seconds: (status == 503).then_some(1),
        }
    }

    /// The same error with another status.
    pub(crate) fn with_status(mut self, status: StatusCode) -> ErrorResponse {
        self.problem.status = status.as_u16();
        self
    }

    /// The same error, after which the client should wait as long.
    pub(crate) fn retry_after(mut self, seconds: u64) -> ErrorResponse {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// The error for calls that cannot be served now.
    pub(crate) fn unavailable(unavailable: &Unavailable) -> ErrorResponse {
        let kind = match unavailable {
            Unavailable::Standby => ProblemKind::Standby,
            Unavailable::Journal(_) => ProblemKind::JournalTrouble,
            Unavailable::Closing => ProblemKind::Closing,
        };
        ErrorResponse::new(kind, unavailable.to_string())
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        let status = StatusCode::from_u16(self.problem.status);
        status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// What is wrong and what would be valid.
    pub fn detail(&self) -> &str {
        &self.problem.detail
    }
}

impl IntoResponse for ErrorResponse {
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

impl From<AuthError> for ErrorResponse {
    fn from(error: AuthError) -> ErrorResponse {
        ErrorResponse::new(ProblemKind::from(&error), error.to_string())
    }
}

impl From<CallError> for ErrorResponse {
    fn from(error: CallError) -> ErrorResponse {
        // A rejection has a kind of its own only if clients react to it differently.
        let kind = match &error {
            CallError::Rejected(Rejected::UnknownMiner { .. }) => ProblemKind::UnknownMiner,
            CallError::Rejected(Rejected::StaleLease { .. }) => ProblemKind::StaleLease,
            CallError::Rejected(Rejected::UnknownLease { .. }) => ProblemKind::UnknownLease,
            CallError::Rejected(Rejected::NotYours { .. } | Rejected::NotAsked { .. }) => {
                ProblemKind::NotYours
            }
            CallError::Rejected(Rejected::NoQuestion { .. }) => ProblemKind::UnknownQuestion,
            CallError::Rejected(Rejected::Full { .. }) => ProblemKind::TooManyMiners,
            CallError::Rejected(_) | CallError::OtherAnswer { .. } => ProblemKind::Refused,
            CallError::WrongEpoch { .. } => ProblemKind::WrongEpoch,
            CallError::Part(_) | CallError::WrongFile { .. } => ProblemKind::WrongFile,
            CallError::Auth(error) => ProblemKind::from(error),
            CallError::Proof(_) => ProblemKind::WrongData,
            CallError::JoinsTooOften { wait_s, .. } => {
                return ErrorResponse::new(ProblemKind::TooManyRequests, error.to_string())
                    .retry_after(*wait_s);
            }
            CallError::TooManyMiners { .. } => ProblemKind::TooManyMiners,
            CallError::Unavailable(unavailable) => return ErrorResponse::unavailable(unavailable),
        };
        ErrorResponse::new(kind, error.to_string())
    }
}
