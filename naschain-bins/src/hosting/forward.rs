//! `/v1/runs/RUN/...`: the routes of one run, as a genomaster with a single run has them below `/v1/`.
//!
//! Miners sign the path without `/v1/runs/RUN`, so that a run's journal is the same wherever it is
//! served; their requests name the run in the body.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use naschain_core::Digest;
use naschain_run::{Problem, ProblemKind};
use tower::ServiceExt;

use crate::home::runs::StoredRun;
use crate::hosting::caller::{Sender, run_named, trouble};
use crate::hosting::host::Host;
use crate::hosting::hosted_run::HostedRun;
use crate::hosting::proxy::{is_sent_on, send};
use crate::server::app::Reply;
use crate::server::index::HasTls;
use crate::server::problem::ErrorResponse;

/// The header that every signed request has.
const SIGNATURE: &str = "x-bittensor-signature";
/// Size of a problem document, at most.
const MAX_PROBLEM_BYTES: usize = 64 * 1024;
/// The header that names the signer.
const HOTKEY: &str = "x-bittensor-hotkey";

/// Forwards a request to the run that its path names.
pub(super) async fn forward(
    State(host): State<Arc<Host>>,
    sender: Sender,
    Path((id, rest)): Path<(String, String)>,
    request: Request,
) -> Reply<Response> {
    let not_found = || {
        let detail = format!("there is no run {id} with {rest} that this request may read");
        ErrorResponse::new(ProblemKind::NotFound, detail)
    };
    let stored = run_named(&host, &id).await?.ok_or_else(not_found)?;
    let may_read = sender.may_read(&stored);
    let is_signed = request.headers().contains_key(SIGNATURE);
    let needs_signature = host.auth.hotkey().is_some();
    if !may_read && (!is_of_miners(&rest) || needs_signature && !is_signed) {
        return Err(not_found());
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD) || is_prediction(&rest);
    let hosted = host.opened(stored.clone()).await;
    let hosted = hosted.map_err(|error| trouble(&error))?;
    let fetched = host.fetch_result(&stored, &rest).await;
    fetched.map_err(|error| trouble(&error))?;
    let routes = if reads && may_read && !is_signed {
        hosted.open.clone()
    } else {
        hosted.signed.clone()
    };
    let request = within_run(request, &rest)?;
    let response = routes.oneshot(request).await.into_response();
    if may_read {
        return Ok(response);
    }
    hide_run(response, not_found).await
}

/// Replaces the responses from which a sender without a valid signature could tell that a private run
/// exists.
async fn hide_run(response: Response, not_found: impl Fn() -> ErrorResponse) -> Reply<Response> {
    use ProblemKind::{BadSignature, MalformedAuth, Unsigned, WrongReceiver};
    let status = response.status();
    if status == StatusCode::METHOD_NOT_ALLOWED {
        return Err(not_found());
    }
    if status != StatusCode::UNAUTHORIZED {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, MAX_PROBLEM_BYTES).await;
    let body = body.map_err(|error| trouble(&error.into()))?;
    let problem: Option<Problem> = serde_json::from_slice(&body).ok();
    let hidden = [Unsigned, MalformedAuth, BadSignature, WrongReceiver];
    if problem.is_some_and(|problem| hidden.contains(&problem.kind)) {
        return Err(not_found());
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// Whether a path below that of a run is that of trying a model, which changes nothing.
fn is_prediction(rest: &str) -> bool {
    rest.starts_with("models/") && rest.ends_with("/predictions")
}

/// Whether a path below that of a run is one that miners use.
fn is_of_miners(rest: &str) -> bool {
    let first = rest.split('/').next().unwrap_or_default();
    let paths = [
        "run",
        "join",
        "exam",
        "leave",
        "jobs",
        "leases",
        "questions",
        "files",
        "data",
    ];
    paths.contains(&first)
}

/// The same request to the run's own routes. Of what earlier layers added it keeps only what concerns
/// the connection: the rest is about this path.
fn within_run(request: Request, rest: &str) -> Reply<Request> {
    let (mut parts, body) = request.into_parts();
    let query = parts
        .uri
        .query()
        .map_or(String::new(), |query| format!("?{query}"));
    let path: Uri = format!("/v1/{rest}{query}").parse().map_err(|_| {
        let detail = format!("{} has a wrong form", parts.uri);
        ErrorResponse::new(ProblemKind::BadPath, detail)
    })?;
    parts.uri = path;
    let before = std::mem::take(&mut parts.extensions);
    if let Some(peer) = before.get::<ConnectInfo<std::net::SocketAddr>>() {
        parts.extensions.insert(*peer);
    }
    if let Some(has_tls) = before.get::<HasTls>() {
        parts.extensions.insert(*has_tls);
    }
    Ok(Request::from_parts(parts, Body::new(body)))
}

/// `GET /v1/data/{digest}`: the data set of a run that the sender may train.
pub(super) async fn data(
    State(host): State<Arc<Host>>,
    Path(digest): Path<String>,
    request: Request,
) -> Reply<Response> {
    let signer = request
        .headers()
        .get(HOTKEY)
        .and_then(|key| key.to_str().ok());
    let signer = signer.map(str::to_owned);
    let has_data = |run: &Arc<HostedRun>| run.coordinator.spec().data.digest.to_string() == digest;
    let may_have = |run: &&Arc<HostedRun>| run.access.check_may_join(signer.as_deref()).is_ok();
    let runs: Vec<Arc<HostedRun>> = host.open_runs().into_iter().filter(has_data).collect();
    // The run's own routes verify the signature and the right to train the run.
    let run = match runs.iter().find(may_have).or(runs.first()) {
        Some(run) => run.clone(),
        None => {
            let stored = run_on(&host, &digest, signer.as_deref()).await?;
            let leader = stored.leader.clone().unwrap_or_default();
            if let Some(cluster) = &host.cluster
                && let Some(address) = cluster.address_of(&leader)
                && !is_sent_on(&request)
            {
                return send(cluster, &address, request).await;
            }
            host.opened(stored).await.map_err(|error| trouble(&error))?
        }
    };
    let request = within_run(request, &format!("data/{digest}"))?;
    Ok(run.signed.clone().oneshot(request).await.into_response())
}

/// A run on a data set, if possible one that this signer may train.
async fn run_on(host: &Host, digest: &str, signer: Option<&str>) -> Reply<StoredRun> {
    let none = || {
        let detail = format!("this genomaster has no run on the data set {digest}");
        ErrorResponse::new(ProblemKind::NotFound, detail)
    };
    let parsed: Digest = digest.parse().map_err(|_| none())?;
    let runs = host.home.runs_on(parsed).await;
    let mut runs = runs.map_err(|error| trouble(&error))?;
    let is_listed = |run: &StoredRun| {
        run.miners.is_empty() || signer.is_some_and(|signer| run.miners.contains(signer))
    };
    runs.sort_by_key(|run| !is_listed(run));
    runs.into_iter().next().ok_or_else(none)
}
