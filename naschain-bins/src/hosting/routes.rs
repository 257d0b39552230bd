//! The routes of a genomaster with many runs.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::HeaderMap;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Extension, Json, Router};
use naschain_run::{AssignmentReply, AssignmentRequest, Identity, ProblemKind};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::hosting::caller::Sender;
use crate::hosting::host::Host;
use crate::hosting::openapi::{Document, respond};
use crate::hosting::operator_routes::{self, measure};
use crate::hosting::pages;
use crate::hosting::proxy::{SentOn, recognise, to_leader, to_receiver};
use crate::hosting::{
    account_routes, artifact_routes, data_pictures, data_routes, estimate_routes, forward,
    run_changes, run_creation, run_routes, session_routes, share_routes, upload_routes,
};
use crate::server::app::Reply;
use crate::server::auth::Caller;
use crate::server::checks::{authenticate, check_address, check_limits};
use crate::server::limits::MAX_PART_BYTES;
use crate::server::problem::ErrorResponse;
use crate::server::requests::{Body, MAX_WAIT_MS};
use crate::web::page::wants_html;
use crate::web::security::secure;

/// Most runs that a miner may except.
const MAX_EXCEPTED: usize = 64;

/// The routes, to be served with [`crate::server::listen::serve()`].
pub(crate) fn router(host: Arc<Host>) -> Router {
    let streamed = OpenApiRouter::new().routes(routes!(
        upload_routes::show,
        upload_routes::append,
        upload_routes::delete
    ));
    let (streamed, streamed_document) = streamed.split_for_parts();
    let streamed = streamed
        .route_layer(from_fn_with_state(host.clone(), to_receiver))
        .route_layer(from_fn_with_state(host.auth.clone(), check_address));
    let (users, mut document) = user_routes().split_for_parts();
    let (runs, run_document) = run_routes().split_for_parts();
    document.merge(run_document);
    document.merge(streamed_document);
    let document = document.to_pretty_json().unwrap_or_default();
    let signed = Router::new()
        .route("/v1/assignments", post(assign))
        .route_layer(from_fn_with_state(host.auth.clone(), authenticate));
    let of_genomasters = Router::new().route("/cluster/assignments", post(assign_for_another));
    let runs = runs.route_layer(from_fn_with_state(host.clone(), to_leader));
    let limited = users
        .merge(runs)
        .route(
            "/v1/openapi.json",
            get(move || async move { respond(&document) }),
        )
        .route("/identity", get(identity))
        .route("/healthz", get(|| async { "ok\n" }))
        .merge(pages::routes())
        .route("/v1/run", get(has_many))
        .route_layer(from_fn_with_state(host.auth.clone(), check_limits));
    // Each run's own routes check more, but only after the run was found.
    let of_runs = Router::new()
        .route("/v1/runs/{run}/{*rest}", any(forward::forward))
        .route_layer(from_fn_with_state(host.clone(), to_leader))
        .route("/v1/data/{digest}", get(forward::data))
        .route_layer(from_fn_with_state(host.auth.clone(), check_address));
    signed
        .merge(limited)
        .merge(of_genomasters)
        .layer(DefaultBodyLimit::max(MAX_PART_BYTES))
        .merge(streamed)
        .merge(of_runs)
        .fallback(missing)
        .method_not_allowed_fallback(|| async {
            let detail = "this path does not support this method";
            ErrorResponse::new(ProblemKind::MethodNotAllowed, detail)
        })
        .layer(from_fn_with_state(host.clone(), measure))
        .layer(session_routes::layer(&host))
        .layer(from_fn(secure))
        .layer(from_fn_with_state(host.clone(), recognise))
        .with_state(host)
}

/// The routes of users, which the OpenAPI document describes.
fn user_routes() -> OpenApiRouter<Arc<Host>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(run_creation::create, run_routes::list))
        .routes(routes!(account_routes::register))
        .routes(routes!(account_routes::make_token, account_routes::tokens))
        .routes(routes!(account_routes::revoke))
        .routes(routes!(session_routes::sign_in, session_routes::sign_out))
        .routes(routes!(account_routes::me))
        .routes(routes!(operator_routes::operator))
        .routes(routes!(data_routes::list))
        .routes(routes!(data_pictures::show, data_routes::delete))
        .routes(routes!(data_pictures::sample))
        .routes(routes!(estimate_routes::estimate))
        .routes(routes!(share_routes::make, share_routes::list))
        .routes(routes!(share_routes::revoke))
        .routes(routes!(upload_routes::create, upload_routes::list))
}

/// The routes of one run, which the genomaster that leads it answers.
fn run_routes() -> OpenApiRouter<Arc<Host>> {
    OpenApiRouter::new()
        .routes(routes!(run_routes::show, run_changes::delete))
        .routes(routes!(run_changes::pause))
        .routes(routes!(run_changes::resume))
        .routes(routes!(run_changes::stop))
        .routes(routes!(run_changes::extend))
        .routes(routes!(artifact_routes::list))
        .routes(routes!(artifact_routes::read))
        .routes(routes!(artifact_routes::history))
        .routes(routes!(artifact_routes::models))
}

/// The response for a path that does not exist.
async fn missing(State(host): State<Arc<Host>>, sender: Sender, headers: HeaderMap) -> Response {
    if wants_html(&headers) {
        return pages::missing(&host, &sender);
    }
    ErrorResponse::new(ProblemKind::NotFound, "there is no such path").into_response()
}

async fn identity(State(host): State<Arc<Host>>) -> Json<Identity> {
    Json(Identity {
        hotkey: host.auth.hotkey().map(|key| key.address().to_owned()),
        has_many_runs: true,
    })
}

/// What older miners ask for.
async fn has_many() -> ErrorResponse {
    let detail = "this genomaster has many runs: a miner of this version asks POST /v1/assignments for one, and GET /v1/runs lists them";
    ErrorResponse::new(ProblemKind::NotFound, detail)
}

/// A run of this genomaster that has work for a miner of another one.
async fn assign_for_another(
    State(host): State<Arc<Host>>,
    sent_on: Option<Extension<SentOn>>,
    Body(request): Body<AssignmentRequest>,
) -> Reply<Json<AssignmentReply>> {
    if sent_on.is_none() {
        return Err(ErrorResponse::new(
            ProblemKind::NotFound,
            "there is no such path",
        ));
    }
    let found = host.find(&request, false).await;
    Ok(Json(found.unwrap_or(AssignmentReply::Wait)))
}

/// `POST /v1/assignments`: a run that has work for the miner.
async fn assign(
    State(host): State<Arc<Host>>,
    Extension(caller): Extension<Caller>,
    Body(request): Body<AssignmentRequest>,
) -> Reply<Json<AssignmentReply>> {
    caller.check_is(&request.miner)?;
    if request.except.len() > MAX_EXCEPTED {
        let detail = format!(
            "except has {} runs; it may have {MAX_EXCEPTED}",
            request.except.len()
        );
        return Err(ErrorResponse::new(ProblemKind::WrongData, detail));
    }
    host.auth.use_nonce(&caller)?;
    let wait = Duration::from_millis(request.wait_ms.min(MAX_WAIT_MS));
    Ok(Json(host.assign(&request, wait).await))
}
