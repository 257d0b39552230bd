//! Refusals as RFC 9457 problem documents, and the status that each kind of error has.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use naschain_consensus::Rejected;

use crate::coordinator::call_error::{Away, CallError};
use naschain_run::Problem;

/// A refusal on its way out.
#[derive(Debug)]
pub struct Failure {
    problem: Problem,
    /// When to try again, where that is known.
    pub retry_after_seconds: Option<u64>,
}

impl Failure {
    /// What this genomaster says while it cannot answer.
    pub(crate) fn away(away: &Away) -> Failure {
        let kind = match away {
            Away::Standby => "standby",
            Away::Trouble(_) => "journal_trouble",
            Away::Closing => "closing",
        };
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, kind, away.to_string())
    }

    /// A refusal of this kind; one that is for now can be tried again soon.
    pub fn new(status: StatusCode, kind: &str, detail: impl Into<String>) -> Failure {
        Failure {
            problem: Problem {
                kind: kind.to_owned(),
                status: status.as_u16(),
                detail: detail.into(),
            },
            retry_after_seconds: (status == StatusCode::SERVICE_UNAVAILABLE).then_some(1),
        }
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
        let (status, kind) = match &error {
            CallError::Rejected(Rejected::UnknownMiner { .. }) => {
                (StatusCode::NOT_FOUND, "unknown_miner")
            }
            CallError::Rejected(Rejected::StaleLease { .. }) => {
                (StatusCode::CONFLICT, "stale_lease")
            }
            CallError::Rejected(Rejected::UnknownLease { .. }) => {
                (StatusCode::NOT_FOUND, "unknown_lease")
            }
            CallError::Rejected(Rejected::NotYours { .. }) => (StatusCode::FORBIDDEN, "not_yours"),
            CallError::Rejected(_) => (StatusCode::CONFLICT, "refused"),
            CallError::WrongEpoch { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "wrong_epoch"),
            CallError::TooManyMiners { .. } => (StatusCode::FORBIDDEN, "too_many_miners"),
            CallError::Away(away) => return Failure::away(away),
        };
        Failure::new(status, kind, error.to_string())
    }
}
