//! What requests have in common: JSON bodies, the run that they name, and how long they wait.

use axum::Json;
use axum::extract::FromRequest;
use axum::extract::rejection::JsonRejection;
use naschain_core::Digest;

use crate::server::app::Reply;
use crate::server::auth::Caller;
use crate::server::problem::ErrorResponse;
use naschain_run::{ProblemKind, RequestRules};

/// Maximum wait of a request for work; less than the client's timeout, so that waits end with a
/// reply.
pub(crate) const MAX_WAIT_MS: u64 = 30_000;

/// A request must be for this run; a signed one must name it.
pub(crate) fn check_run(named: Option<Digest>, caller: &Caller, rules: RequestRules) -> Reply<()> {
    let run = rules.run;
    match named {
        Some(other) if other != run => {
            let detail = format!("the request is for run {other}; this genomaster has run {run}");
            Err(ErrorResponse::new(ProblemKind::WrongRun, detail))
        }
        None if caller.is_signed() && rules.must_name_run => {
            let detail = format!("a signed request must name its run: \"run\": \"{run}\"");
            Err(ErrorResponse::new(ProblemKind::WrongData, detail))
        }
        _ => Ok(()),
    }
}

/// A JSON body whose errors are problem documents too.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: serde::de::DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ErrorResponse;

    async fn from_request(
        request: axum::extract::Request,
        state: &S,
    ) -> Result<Self, ErrorResponse> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Body(body)),
            Err(rejection) => {
                let kind = match &rejection {
                    JsonRejection::JsonDataError(_) => ProblemKind::WrongData,
                    JsonRejection::JsonSyntaxError(_)
                    | JsonRejection::MissingJsonContentType(_) => ProblemKind::NotJson,
                    _ => ProblemKind::BadBody,
                };
                let failure = ErrorResponse::new(kind, rejection.body_text());
                Err(failure.with_status(rejection.status()))
            }
        }
    }
}
