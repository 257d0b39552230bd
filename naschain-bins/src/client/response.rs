//! Reads responses of a genomaster up to a size limit, because the server is untrusted.

use std::time::Duration;

use reqwest::Response;
use serde::de::DeserializeOwned;

use crate::client::error::{ClientError, unavailable};
use crate::printable::printable;
use naschain_run::{Problem, ProblemKind};

/// Maximum size of a response that is one object.
pub(super) const MAX_OBJECT_BYTES: usize = 1 << 20;
/// Maximum size of a page of jobs or journal entries, and of a front. Earlier genomasters send
/// larger pages than this one.
pub(super) const MAX_PAGE_BYTES: usize = 32 << 20;
/// Seconds that a run takes to move to another genomaster, at most.
const MAX_MOVE_S: u32 = 15;
/// Maximum size of a problem document.
const MAX_PROBLEM_BYTES: usize = 64 << 10;

/// Sends a request; a response with an error status is an error.
pub(super) async fn checked(call: reqwest::RequestBuilder) -> Result<Response, ClientError> {
    answered(call).await?.map_err(error_of)
}

/// The same, again as long as the run is moving from one genomaster to another.
pub(super) async fn patiently(call: reqwest::RequestBuilder) -> Result<Response, ClientError> {
    for _ in 0..MAX_MOVE_S {
        let Some(again) = call.try_clone() else { break };
        match answered(again).await? {
            Err(problem) if problem.kind == ProblemKind::Standby => {}
            answer => return answer.map_err(error_of),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    checked(call).await
}

/// The response to a request, or the problem that it describes.
async fn answered(call: reqwest::RequestBuilder) -> Result<Result<Response, Problem>, ClientError> {
    let mut response = call.send().await.map_err(unavailable)?;
    let status = response.status();
    if status.is_success() {
        return Ok(Ok(response));
    }
    let problem = body(&mut response, MAX_PROBLEM_BYTES).await?;
    match serde_json::from_slice::<Problem>(&problem).map(shown) {
        Ok(mut problem) => {
            problem.status = status.as_u16();
            Ok(Err(problem))
        }
        Err(_) => Err(ClientError::Unavailable(format!(
            "HTTP {status} without a problem document"
        ))),
    }
}

/// Whether a problem is worth another attempt.
fn error_of(problem: Problem) -> ClientError {
    if (400..500).contains(&problem.status) && !is_temporary(&problem) {
        ClientError::Refused(problem)
    } else {
        ClientError::Unavailable(problem.detail)
    }
}

/// The JSON of a response of at most `max_bytes`.
pub(super) async fn read<T: DeserializeOwned>(
    mut response: Response,
    max_bytes: usize,
) -> Result<T, ClientError> {
    let body = body(&mut response, max_bytes).await?;
    serde_json::from_slice(&body).map_err(|error| {
        let text = format!("the genomaster's response is not valid: {error}");
        ClientError::Unavailable(printable(&text).into_owned())
    })
}

/// The body of a response. Compressed bodies are not requested and not unpacked.
pub(super) async fn body(
    response: &mut Response,
    max_bytes: usize,
) -> Result<Vec<u8>, ClientError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unavailable)? {
        if body.len() + chunk.len() > max_bytes {
            return Err(ClientError::Unavailable(format!(
                "the genomaster's response is longer than the limit of {max_bytes} bytes"
            )));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The problem as it may be printed: its texts are the genomaster's.
fn shown(problem: Problem) -> Problem {
    let kind = match problem.kind {
        ProblemKind::Other(name) => ProblemKind::Other(printable(&name).into_owned()),
        known => known,
    };
    let detail = printable(&problem.detail).into_owned();
    Problem {
        kind,
        detail,
        status: problem.status,
    }
}

/// Whether the same call may succeed if it is signed again and sent later. A genomaster that was
/// restarted, for example, refuses what was signed before.
fn is_temporary(problem: &Problem) -> bool {
    matches!(problem.status, 408 | 429)
        || matches!(
            problem.kind,
            ProblemKind::StaleRequest | ProblemKind::ReplayedRequest
        )
}
