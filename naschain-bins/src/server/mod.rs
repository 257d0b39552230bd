//! The genomaster's HTTP server: JSON under /v1, every error an RFC 9457 problem document.

pub(crate) mod access;
pub(crate) mod allow_list;
pub(crate) mod app;
pub(crate) mod auth;
pub(crate) mod budget;
mod canonical_path;
pub(crate) mod checks;
mod data;
mod events;
mod evidence;
pub(crate) mod exams;
pub(crate) mod health;
pub(crate) mod index;
pub(crate) mod known_miners;
pub(crate) mod legacy;
pub(crate) mod limits;
pub(crate) mod listen;
pub(crate) mod miner_programs;
mod pages;
mod passes;
mod pauses;
pub(crate) mod problem;
mod questions;
pub(crate) mod ranges;
mod rates;
pub(crate) mod recording;
pub(crate) mod registrations;
pub(crate) mod requests;
pub(crate) mod served_run;
pub(crate) mod views;
pub(crate) mod work_account;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use naschain_consensus::{Event, LeaseId};

use crate::coordinator::Coordinator;
use crate::coordinator::call_error::{CallError, Unavailable};
use crate::server::access::Access;
use crate::server::app::{App, CoordinatorState, Reply};
use crate::server::auth::{Authenticator, Caller};
use crate::server::events::events;
use crate::server::health::{healthz, measure, metrics, only_leading};
use crate::server::index::index;
use crate::server::legacy::Legacy;
use crate::server::legacy::message::refusals_as_messages;
use crate::server::limits::{MAX_PART_BYTES, NetworkLimit};
use crate::server::pages::{MAX_READS_PER_NETWORK, ended_jobs, front, journal, limit_reads};
use crate::server::problem::ErrorResponse;
use crate::server::requests::{Body, MAX_WAIT_MS, check_run};
use crate::server::served_run::ServedRun;
use crate::server::work_account::WorkAccount;
use crate::web::page::wants_html;
use crate::web::run_pages;
use crate::web::security::secure;
use naschain_run::{
    ExamRequest, HeartbeatRequest, Identity, JobReply, JobRequest, JoinRequest, LeaveRequest,
    ProblemKind, ResultRequest, RunSpec, lease_in_path,
};

/// The routes, to be served with [`crate::server::listen::serve()`].
pub fn router(
    coordinator: Arc<Coordinator>,
    auth: Arc<Authenticator>,
    legacy: Option<Legacy>,
) -> Router {
    routes(App::new(coordinator, auth), legacy)
}

/// The routes of a run of which there is more to show than its state; `account` is charged for its jobs.
pub(crate) fn router_of(
    coordinator: Arc<Coordinator>,
    auth: Arc<Authenticator>,
    legacy: Option<Legacy>,
    account: Option<Arc<WorkAccount>>,
    served: Arc<ServedRun>,
) -> Router {
    let app = App {
        account,
        recording: served.recording.clone(),
        programs: served.programs.clone(),
        served: Some(served),
        ..App::new(coordinator, auth)
    };
    routes(app, legacy)
}

/// The pages of a run of this process, for its user: nothing can be changed over them.
pub(crate) fn viewer_router(coordinator: Arc<Coordinator>, served: Arc<ServedRun>) -> Router {
    let auth = Authenticator::new(Access::default(), coordinator.nonces());
    let app = App {
        recording: served.recording.clone(),
        served: Some(served),
        ..App::new(coordinator, Arc::new(auth))
    };
    let title = app.title();
    Router::new()
        .route("/", get(index))
        .route("/v1/run", get(run))
        .with_state(app.clone())
        .merge(public_routes(app.clone()))
        .merge(views::routes(app.clone()))
        .merge(views::picture_routes(app))
        .merge(run_pages::routes(title.clone()))
        .fallback(move |headers: HeaderMap| async move { missing(&headers, &title) })
        .layer(from_fn(secure))
}

fn routes(app: App, legacy: Option<Legacy>) -> Router {
    let (coordinator, auth) = (app.coordinator.clone(), app.auth.clone());
    // A layer that is added later runs earlier: requests are authenticated before it is checked
    // whether this genomaster leads, and `measure`, the outermost layer, also counts refused
    // requests.
    let leading = from_fn_with_state(coordinator.clone(), only_leading);
    let reads = Arc::new(NetworkLimit::new(MAX_READS_PER_NETWORK));
    let reads = from_fn_with_state(reads, limit_reads);
    let signed = signed_routes(app.clone())
        .merge(validator_routes(app.clone()).route_layer(reads.clone()))
        .route_layer(leading.clone())
        .route_layer(from_fn_with_state(auth.clone(), checks::authenticate));
    let has_legacy = legacy.is_some();
    let budget = app.budget.clone();
    let legacy = legacy.map(|legacy| legacy::routes(coordinator.clone(), legacy, budget));
    let legacy = legacy.unwrap_or_default();
    let pictures = views::picture_routes(app.clone())
        .route_layer(reads.clone())
        .route_layer(from_fn_with_state(auth.clone(), checks::check_address));
    let open = public_routes(app.clone())
        .merge(views::routes(app.clone()))
        .merge(legacy.validators)
        .route_layer(reads)
        .merge(legacy.miners)
        .route_layer(leading)
        .merge(routes_about_itself(app.clone()))
        .merge(run_pages::routes(app.title()))
        .route_layer(from_fn_with_state(auth, checks::check_limits));
    let title = app.title();
    let all = signed
        .merge(open)
        .fallback(move |headers: HeaderMap| async move { missing(&headers, &title) })
        .method_not_allowed_fallback(|| async {
            let detail = "this path does not support this method";
            ErrorResponse::new(ProblemKind::MethodNotAllowed, detail)
        })
        .layer(DefaultBodyLimit::max(MAX_PART_BYTES))
        .merge(pictures);
    let all = if has_legacy {
        all.layer(from_fn(refusals_as_messages))
    } else {
        all
    };
    all.layer(from_fn(secure))
        .layer(from_fn_with_state(coordinator, measure))
}

/// The response for a path that does not exist.
fn missing(headers: &HeaderMap, title: &str) -> Response {
    if wants_html(headers) {
        return run_pages::missing(title);
    }
    ErrorResponse::new(ProblemKind::NotFound, "there is no such path").into_response()
}

/// Signed routes of miners.
fn signed_routes(app: App) -> Router {
    Router::new()
        .route("/v1/run", get(run))
        .route("/v1/join", post(join))
        .route("/v1/exam", post(exam))
        .route("/v1/leave", post(leave))
        .route("/v1/jobs", post(jobs))
        .route("/v1/leases/{lease}/heartbeat", post(heartbeat))
        .route("/v1/leases/{lease}/result", post(result))
        .route("/v1/questions", post(questions::questions))
        .route("/v1/questions/{question}/states", post(questions::states))
        .route(
            "/v1/questions/{question}/file",
            get(questions::received).put(questions::put_file),
        )
        .with_state(app)
}

/// Signed routes with large responses.
fn validator_routes(app: App) -> Router {
    Router::new()
        .route("/v1/batches", get(ended_jobs))
        .route("/v1/front", get(front))
        .route("/v1/files/{digest}", get(evidence::file))
        .route("/v1/data/{digest}", get(data::data))
        .with_state(app)
}

/// Public routes: journal and events.
fn public_routes(app: App) -> Router {
    Router::new()
        .route("/v1/journal", get(journal))
        .route("/v1/events", get(events))
        .with_state(app)
}

/// Routes that a standby answers too: they concern this genomaster, not the run. A client needs
/// `/identity` before it can sign.
fn routes_about_itself(app: App) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/identity", get(identity))
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics))
        .with_state(app)
}

async fn identity(State(app): State<App>) -> Json<Identity> {
    Json(Identity {
        hotkey: app.auth.hotkey().map(|key| key.address().to_owned()),
        has_many_runs: false,
    })
}

async fn run(State(coordinator): CoordinatorState) -> Json<RunSpec> {
    Json(coordinator.spec().clone())
}

async fn join(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Body(request): Body<JoinRequest>,
) -> Reply<Response> {
    caller.check_is(&request.miner)?;
    check_run(request.run, &caller, app.coordinator.request_rules())?;
    let event = app.auth.join_event(&request)?;
    app.programs.note(&request.miner, &headers);
    if caller.is_signed() && !app.has_place(&request.miner).await {
        if let Some(registrations) = &app.auth.access.registrations {
            registrations.check_is_read()?;
        }
        match app.auth.exams() {
            Some(exams) if exams.has_passed(&request.miner) => {}
            Some(_) if app.auth.is_admitted(&request.miner) => {}
            Some(exams) => {
                app.coordinator.use_unjournaled(caller.proof).await?;
                let exam = exams.offer(&request.miner, caller.address)?;
                return Ok((StatusCode::ACCEPTED, Json(exam)).into_response());
            }
            None => app.auth.check_new_hotkey(caller.address)?,
        }
    }
    let name = request
        .name
        .map_or(String::new(), |name| format!(" ({name})"));
    let miner = request.miner;
    // In a task of its own: if the client hangs up, its pass is used up all the same.
    let joined = tokio::spawn(async move {
        // Only what is journaled is logged, so that nobody can fill the disk with the log.
        if app.coordinator.record(event, caller.proof).await? {
            tracing::info!("{miner}{name} joins");
        }
        if let Some(exams) = app.auth.exams() {
            exams.use_pass(&miner);
            app.auth.admit(&miner, app.coordinator.run());
        }
        if let Some(record) = app.auth.track_record(&miner) {
            app.coordinator.introduce(&miner, record).await?;
        }
        Ok::<(), CallError>(())
    });
    let stopped = |_| CallError::Unavailable(Unavailable::Closing);
    joined.await.map_err(stopped)??;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn exam(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Body(request): Body<ExamRequest>,
) -> Reply<StatusCode> {
    caller.check_is(&request.miner)?;
    check_run(Some(request.run), &caller, app.coordinator.request_rules())?;
    let Some(exams) = app.auth.exams() else {
        let detail = "no entrance examination is required; send POST /v1/join";
        return Err(ErrorResponse::new(ProblemKind::NotFound, detail));
    };
    app.coordinator.use_unjournaled(caller.proof).await?;
    let ExamRequest {
        miner,
        exam,
        digest,
        ..
    } = request;
    exams.judge(&miner, exam, digest, caller.address).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn leave(
    State(coordinator): CoordinatorState,
    Extension(caller): Extension<Caller>,
    Body(request): Body<LeaveRequest>,
) -> Reply<StatusCode> {
    caller.check_is(&request.miner)?;
    check_run(Some(request.run), &caller, coordinator.request_rules())?;
    let miner = request.miner.clone();
    let event = Event::Leave { miner };
    if coordinator.record(event, caller.proof).await? {
        tracing::info!("{} leaves", request.miner);
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn jobs(
    State(App {
        coordinator,
        auth,
        account,
        ..
    }): State<App>,
    Extension(caller): Extension<Caller>,
    Body(request): Body<JobRequest>,
) -> Reply<Json<JobReply>> {
    caller.check_is(&request.miner)?;
    check_run(request.run, &caller, coordinator.request_rules())?;
    // The miner may have lost its registration, or have joined before a restart with another
    // allow-list.
    auth.owner(&request.miner)?;
    let wait = Duration::from_millis(request.wait_ms.min(MAX_WAIT_MS));
    let reply = coordinator
        .request(&request.miner, wait, caller.proof)
        .await?;
    if let JobReply::Job(job) = &reply {
        tracing::debug!("{} takes {} under {}", request.miner, job.job, job.lease);
        if let Some(account) = account {
            account.charge(coordinator.spec(), job);
        }
    }
    Ok(Json(reply))
}

async fn heartbeat(
    State(coordinator): CoordinatorState,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    Body(request): Body<HeartbeatRequest>,
) -> Reply<StatusCode> {
    let lease = lease_id(&uri)?;
    caller.check_is(&request.miner)?;
    check_run(request.run, &caller, coordinator.request_rules())?;
    coordinator
        .heartbeat(&request.miner, lease, request.epoch, caller.proof)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn result(
    State(App {
        coordinator,
        account,
        ..
    }): State<App>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    Body(request): Body<ResultRequest>,
) -> Reply<StatusCode> {
    let lease = lease_id(&uri)?;
    caller.check_is(&request.miner)?;
    let mut rules = coordinator.request_rules();
    // Answers name their run in runs of the first version too.
    rules.must_name_run = true;
    check_run(request.run, &caller, rules)?;
    let miner = &request.miner;
    let submit = coordinator.submit(miner, lease, request.row(), caller.proof);
    if submit.await? {
        tracing::debug!("{miner} answers under {lease}");
        if let Some(account) = account {
            account.answered(lease);
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

fn lease_id(uri: &Uri) -> Reply<LeaseId> {
    lease_in_path(uri.path()).ok_or_else(|| {
        let detail = format!(
            "{} names no lease: its number must be plain decimal, as in /v1/leases/7/result",
            uri.path()
        );
        ErrorResponse::new(ProblemKind::BadPath, detail)
    })
}
