//! Refusals in the form that the reference network's programs read: `{"message": …}`.

use axum::Json;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use naschain_run::Problem;
use serde_json::json;

use crate::coordinator::call_error::CallError;
use crate::server::problem::ErrorResponse;

/// The paths of the reference network.
pub(super) const PATHS: [&str; 3] = ["/request_job", "/finish_job", "/handle_valid_request"];

/// Maximum length of a refusal of the server.
const MAX_REFUSAL_BYTES: usize = 1 << 16;

/// A refusal.
pub(super) struct Message(pub(super) StatusCode, pub(super) String);

impl IntoResponse for Message {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "message": self.1 }))).into_response()
    }
}

impl From<ErrorResponse> for Message {
    fn from(failure: ErrorResponse) -> Message {
        Message(failure.status(), failure.detail().to_owned())
    }
}

impl From<CallError> for Message {
    fn from(error: CallError) -> Message {
        ErrorResponse::from(error).into()
    }
}

/// Rewrites the refusals on these paths that the server's other layers make, such as 405, 413, 429
/// and the 503 of a standby.
pub(crate) async fn refusals_as_messages(request: Request, next: Next) -> Response {
    let is_theirs = PATHS.contains(&request.uri().path());
    let response = next.run(request).await;
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_message = kind.is_some_and(|kind| kind == "application/json");
    if !is_theirs || !(status.is_client_error() || status.is_server_error()) || is_message {
        return response;
    }
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, MAX_REFUSAL_BYTES).await.unwrap_or_default();
    let detail = match serde_json::from_slice::<Problem>(&bytes) {
        Ok(problem) => problem.detail,
        Err(_) if bytes.is_empty() => status.to_string(),
        Err(_) => String::from_utf8_lossy(&bytes).into_owned(),
    };
    let mut message = Message(status, detail).into_response();
    for name in [header::ALLOW, header::RETRY_AFTER] {
        if let Some(value) = parts.headers.get(&name) {
            message.headers_mut().insert(name, value.clone());
        }
    }
    message
}
