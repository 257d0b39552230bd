//! The genomaster's HTTP server: JSON under /v1, every error an RFC 9457 problem document.

pub mod access;
pub mod allow_list;
pub mod auth;
mod events;
pub mod exams;
mod health;
pub mod legacy;
pub mod limits;
pub mod listen;
pub mod problem;
pub mod tls;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, FromRef, FromRequest, Query, State};
use axum::http::{StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use naschain_consensus::{Event, LeaseId, MinerId};
use naschain_core::Digest;
use serde::Deserialize;

use crate::coordinator::Coordinator;
use crate::server::auth::{Authenticator, Caller, MAX_BODY_BYTES};
use crate::server::events::events;
use crate::server::health::{healthz, measure, metrics, only_leading};
use crate::server::legacy::Legacy;
use crate::server::problem::Failure;
use naschain_run::{
    ClosedJobs, ExamRequest, FrontEntry, HeartbeatRequest, HistoryChain, Identity, JobReply,
    JobRequest, JoinRequest, JournalPage, LeaveRequest, ProblemKind, RequestRules, ResultRequest,
    RunSpec, lease_in_path,
};

/// Maximum wait of a request for work; less than the client's timeout, so that waits end with a
/// reply.
const MAX_WAIT_MS: u64 = 30_000;
/// Maximum number of jobs per page.
const MAX_JOBS: usize = 1_000;
/// Maximum number of journal entries per page.
const MAX_ENTRIES: usize = 1_000;

/// State shared by the routes.
#[derive(Clone)]
struct App {
    coordinator: Arc<Coordinator>,
    auth: Arc<Authenticator>,
    /// Kept between requests, so that a request hashes only the jobs that have ended since the
    /// last.
    chain: Arc<Mutex<HistoryChain>>,
}

impl FromRef<App> for Arc<Coordinator> {
    fn from_ref(app: &App) -> Arc<Coordinator> {
        app.coordinator.clone()
    }
}

impl App {
    async fn has_joined(&self, miner: &MinerId) -> bool {
        let has_joined = |state: &naschain_run::RunState| state.board().has_joined(miner);
        self.coordinator.with_state(has_joined).await
    }
}

type Shared = State<Arc<Coordinator>>;

/// The routes, to be served with [`crate::server::listen::serve()`].
pub fn router(
    coordinator: Arc<Coordinator>,
    auth: Arc<Authenticator>,
    legacy: Option<Legacy>,
) -> Router {
    let app = App {
        chain: Arc::new(Mutex::new(HistoryChain::new(coordinator.run()))),
        coordinator: coordinator.clone(),
        auth: auth.clone(),
    };
    // A layer that is added later runs earlier: requests are authenticated before it is checked
    // whether this genomaster leads, and `measure`, the outermost layer, also counts refused
    // requests.
    let leading = from_fn_with_state(coordinator.clone(), only_leading);
    let signed = signed_routes(app.clone())
        .route_layer(leading.clone())
        .route_layer(from_fn_with_state(auth.clone(), auth::authenticate));
    let legacy = legacy.map(|legacy| legacy::router(coordinator.clone(), legacy));
    let open = public_routes(coordinator.clone())
        .merge(legacy.unwrap_or_default())
        .route_layer(leading)
        .merge(routes_about_itself(app))
        .route_layer(from_fn_with_state(auth, auth::check_limits));
    signed
        .merge(open)
        .fallback(|| async { Failure::new(ProblemKind::NotFound, "there is no such path") })
        .method_not_allowed_fallback(|| async {
            let detail = "this path does not support this method";
            Failure::new(ProblemKind::MethodNotAllowed, detail)
        })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn_with_state(coordinator, measure))
}

/// Routes for miners and validators.
fn signed_routes(app: App) -> Router {
    Router::new()
        .route("/v1/run", get(run))
        .route("/v1/join", post(join))
        .route("/v1/exam", post(exam))
        .route("/v1/leave", post(leave))
        .route("/v1/jobs", post(jobs))
        .route("/v1/leases/{lease}/heartbeat", post(heartbeat))
        .route("/v1/leases/{lease}/result", post(result))
        .route("/v1/batches", get(closed_jobs))
        .route("/v1/front", get(front))
        .with_state(app)
}

/// Public routes: journal and events.
fn public_routes(coordinator: Arc<Coordinator>) -> Router {
    Router::new()
        .route("/v1/journal", get(journal))
        .route("/v1/events", get(events))
        .with_state(coordinator)
}

/// Routes that a standby answers too: they concern this genomaster, not the run. A client needs
/// `/identity` before it can sign.
fn routes_about_itself(app: App) -> Router {
    Router::new()
        .route("/identity", get(identity))
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics))
        .with_state(app)
}

async fn identity(State(app): State<App>) -> Json<Identity> {
    Json(Identity {
        hotkey: app.auth.hotkey().map(|key| key.address().to_owned()),
    })
}

async fn run(State(coordinator): Shared) -> Json<RunSpec> {
    Json(coordinator.spec().clone())
}

async fn join(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Body(request): Body<JoinRequest>,
) -> Reply<Response> {
    caller.check_is(&request.miner)?;
    check_run(request.run, &caller, app.coordinator.request_rules())?;
    let event = app.auth.join_event(&request)?;
    if let Some(exams) = app.auth.exams()
        && caller.is_signed()
        && !exams.has_passed(&request.miner)
        && !app.has_joined(&request.miner).await
    {
        app.coordinator.use_unjournaled(caller.proof).await?;
        let exam = exams.offer(&request.miner, caller.address)?;
        return Ok((StatusCode::ACCEPTED, Json(exam)).into_response());
    }
    let name = request
        .name
        .map_or(String::new(), |name| format!(" ({name})"));
    tracing::info!("{}{name} joins", request.miner);
    app.coordinator.handle(event, caller.proof).await?;
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
        let detail = "this genomaster has no entrance examination; join";
        return Err(Failure::new(ProblemKind::NotFound, detail));
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
    State(coordinator): Shared,
    Extension(caller): Extension<Caller>,
    Body(request): Body<LeaveRequest>,
) -> Reply<StatusCode> {
    caller.check_is(&request.miner)?;
    check_run(Some(request.run), &caller, coordinator.request_rules())?;
    tracing::info!("{} leaves", request.miner);
    let miner = request.miner;
    let event = Event::Leave { miner };
    coordinator.handle(event, caller.proof).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn jobs(
    State(App {
        coordinator, auth, ..
    }): State<App>,
    Extension(caller): Extension<Caller>,
    Body(request): Body<JobRequest>,
) -> Reply<Json<JobReply>> {
    caller.check_is(&request.miner)?;
    check_run(request.run, &caller, coordinator.request_rules())?;
    // The miner may have joined before a restart with another allow-list.
    auth.owner(&request.miner)?;
    let wait = Duration::from_millis(request.wait_ms.min(MAX_WAIT_MS));
    let reply = coordinator
        .request(&request.miner, wait, caller.proof)
        .await?;
    if let JobReply::Job(job) = &reply {
        tracing::info!("{} takes {} under {}", request.miner, job.job, job.lease);
    }
    Ok(Json(reply))
}

async fn heartbeat(
    State(coordinator): Shared,
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
    State(coordinator): Shared,
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
    tracing::info!("{} answers under {lease}", request.miner);
    coordinator
        .submit(&request.miner, lease, request.row(), caller.proof)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A request must be for this run; a signed one must name it.
fn check_run(named: Option<Digest>, caller: &Caller, rules: RequestRules) -> Reply<()> {
    let run = rules.run;
    match named {
        Some(other) if other != run => {
            let detail = format!("the request is for run {other}; this genomaster has run {run}");
            Err(Failure::new(ProblemKind::WrongRun, detail))
        }
        None if caller.is_signed() && rules.must_name_run => {
            let detail = format!("a signed request must name its run: \"run\": \"{run}\"");
            Err(Failure::new(ProblemKind::WrongData, detail))
        }
        _ => Ok(()),
    }
}

fn lease_id(uri: &Uri) -> Reply<LeaseId> {
    lease_in_path(uri.path()).ok_or_else(|| {
        let detail = format!(
            "{} names no lease: its number must be plain decimal, as in /v1/leases/7/result",
            uri.path()
        );
        Failure::new(ProblemKind::BadPath, detail)
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct After {
    #[serde(default)]
    after: usize,
}

async fn closed_jobs(
    State(app): State<App>,
    query: Result<Query<After>, QueryRejection>,
) -> Reply<Json<ClosedJobs>> {
    let Query(After { after }) =
        query.map_err(|error| Failure::new(ProblemKind::BadQuery, error.body_text()))?;
    let page = app.coordinator.with_state(|state| {
        let closed = state.closed();
        // `after` is any number that the client sent.
        let after = after.min(closed.len());
        let end = after.saturating_add(MAX_JOBS).min(closed.len());
        let jobs = &closed[after..end];
        let is_last = end == closed.len();
        ClosedJobs {
            // The chain covers all jobs, so only a client that has the last page can compare it.
            head: is_last.then(|| {
                let mut chain = app.chain.lock().unwrap_or_else(PoisonError::into_inner);
                chain.follow(closed);
                chain.head(app.auth.hotkey())
            }),
            training_seeds: jobs
                .iter()
                .filter_map(|closed| app.coordinator.training_seed(closed.job))
                .collect(),
            jobs: jobs.to_vec(),
            total: closed.len(),
            finished: state.is_finished(),
        }
    });
    Ok(Json(page.await))
}

async fn front(State(coordinator): Shared) -> Json<Vec<FrontEntry>> {
    let front = coordinator.with_state(|state| state.front()).await;
    let entry = |member: naschain_run::FrontMember| FrontEntry {
        genome: member.genome,
        measurement: member.measurement,
    };
    Json(front.into_iter().map(entry).collect())
}

async fn journal(
    State(coordinator): Shared,
    query: Result<Query<After>, QueryRejection>,
) -> Reply<Json<JournalPage>> {
    let Query(After { after }) =
        query.map_err(|error| Failure::new(ProblemKind::BadQuery, error.body_text()))?;
    let page = coordinator.public_entries(after as u64, MAX_ENTRIES);
    let (mut entries, last) = page.await?;
    for entry in &mut entries {
        // Public events can be recomputed from the entries, so they are not sent.
        entry.feed = None;
    }
    Ok(Json(JournalPage { entries, last }))
}

type Reply<T> = Result<T, Failure>;

/// A JSON body whose errors are problem documents too.
struct Body<T>(T);

impl<S: Send + Sync, T: serde::de::DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: axum::extract::Request, state: &S) -> Result<Self, Failure> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Body(body)),
            Err(rejection) => {
                let kind = match &rejection {
                    JsonRejection::JsonDataError(_) => ProblemKind::WrongData,
                    JsonRejection::JsonSyntaxError(_)
                    | JsonRejection::MissingJsonContentType(_) => ProblemKind::NotJson,
                    _ => ProblemKind::BadBody,
                };
                let failure = Failure::new(kind, rejection.body_text());
                Err(failure.with_status(rejection.status()))
            }
        }
    }
}
