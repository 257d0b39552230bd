//! The genomaster's HTTP side: JSON under /v1, every error an RFC 9457 problem document.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, FromRequest, Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use naschain_consensus::{Event, LeaseId, Rejected};
use serde::Deserialize;

use crate::api::{
    Batches, FrontEntry, HeartbeatRequest, JobReply, JobRequest, JoinRequest, JournalPage, Problem,
    ResultRequest,
};
use crate::coordinator::{Away, CallError, Coordinator};
use crate::events::events;
use crate::health::{healthz, measure, metrics, only_leading};
use crate::run_spec::RunSpec;

/// No request is larger than this.
const MOST_BODY_BYTES: usize = 64 * 1024;
/// No request for work waits longer than this.
const MOST_WAIT_MS: u64 = 30_000;
/// No page of batches has more than this.
const MOST_BATCHES: usize = 1_000;
/// No page of the journal has more than this.
const MOST_ENTRIES: usize = 1_000;

type App = State<Arc<Coordinator>>;

/// The routes, to be served with [`axum::serve()`].
pub fn router(coordinator: Arc<Coordinator>) -> Router {
    Router::new()
        .route("/v1/run", get(run))
        .route("/v1/join", post(join))
        .route("/v1/jobs", post(jobs))
        .route("/v1/leases/{lease}/heartbeat", post(heartbeat))
        .route("/v1/leases/{lease}/result", post(result))
        .route("/v1/batches", get(batches))
        .route("/v1/front", get(front))
        .route("/v1/journal", get(journal))
        .route("/v1/events", get(events))
        .route_layer(from_fn_with_state(coordinator.clone(), only_leading))
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics))
        .fallback(|| async {
            Failure::new(StatusCode::NOT_FOUND, "not_found", "there is no such path")
        })
        .method_not_allowed_fallback(|| async {
            let detail = "this path does not take this method";
            Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
        })
        .layer(DefaultBodyLimit::max(MOST_BODY_BYTES))
        .layer(from_fn_with_state(coordinator.clone(), measure))
        .with_state(coordinator)
}

async fn run(State(coordinator): App) -> Json<RunSpec> {
    Json(coordinator.spec().clone())
}

async fn join(State(coordinator): App, Body(request): Body<JoinRequest>) -> Reply<StatusCode> {
    let miner = request.miner;
    tracing::info!("{miner} joins");
    let event = match request.jobs {
        None => Event::Join { miner },
        Some(capacity) => Event::Register {
            miner,
            owner: None,
            capacity,
        },
    };
    coordinator.handle(event).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn jobs(State(coordinator): App, Body(request): Body<JobRequest>) -> Reply<Json<JobReply>> {
    let wait = Duration::from_millis(request.wait_ms.min(MOST_WAIT_MS));
    let reply = coordinator.request(&request.miner, wait).await?;
    if let JobReply::Job(job) = &reply {
        tracing::info!("{} takes {} under {}", request.miner, job.batch, job.lease);
    }
    Ok(Json(reply))
}

async fn heartbeat(
    State(coordinator): App,
    lease: Result<Path<u64>, PathRejection>,
    Body(request): Body<HeartbeatRequest>,
) -> Reply<StatusCode> {
    let lease = lease_id(lease)?;
    coordinator
        .heartbeat(&request.miner, lease, request.epoch)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn result(
    State(coordinator): App,
    lease: Result<Path<u64>, PathRejection>,
    Body(request): Body<ResultRequest>,
) -> Reply<StatusCode> {
    let lease = lease_id(lease)?;
    tracing::info!("{} answers under {lease}", request.miner);
    coordinator
        .submit(&request.miner, lease, request.row())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn lease_id(lease: Result<Path<u64>, PathRejection>) -> Reply<LeaseId> {
    let wrong =
        |error: PathRejection| Failure::new(StatusCode::BAD_REQUEST, "bad_path", error.body_text());
    Ok(LeaseId(lease.map_err(wrong)?.0))
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: usize,
}

async fn batches(
    State(coordinator): App,
    query: Result<Query<After>, QueryRejection>,
) -> Reply<Json<Batches>> {
    let Query(After { after }) = query
        .map_err(|error| Failure::new(StatusCode::BAD_REQUEST, "bad_query", error.body_text()))?;
    let page = coordinator.look(|state| {
        let closed = state.closed();
        Batches {
            batches: closed
                .iter()
                .skip(after)
                .take(MOST_BATCHES)
                .cloned()
                .collect(),
            total: closed.len(),
            finished: state.is_finished(),
        }
    });
    Ok(Json(page.await))
}

async fn front(State(coordinator): App) -> Json<Vec<FrontEntry>> {
    let front = coordinator.look(|state| state.front()).await;
    let entry = |member: crate::state::FrontMember| FrontEntry {
        genome: member.genome,
        measurement: member.measurement,
    };
    Json(front.into_iter().map(entry).collect())
}

async fn journal(
    State(coordinator): App,
    query: Result<Query<After>, QueryRejection>,
) -> Reply<Json<JournalPage>> {
    let Query(After { after }) = query
        .map_err(|error| Failure::new(StatusCode::BAD_REQUEST, "bad_query", error.body_text()))?;
    let page = coordinator.public_entries(after as u64, MOST_ENTRIES);
    let (mut entries, last) = page.await?;
    for entry in &mut entries {
        // It follows from the rest.
        entry.feed = None;
    }
    Ok(Json(JournalPage { entries, last }))
}

type Reply<T> = Result<T, Failure>;

/// A refusal on its way out.
pub(crate) struct Failure(Problem);

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

    pub(crate) fn new(status: StatusCode, kind: &str, detail: impl Into<String>) -> Failure {
        Failure(Problem {
            kind: kind.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
        })
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status);
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = [(header::CONTENT_TYPE, "application/problem+json")];
        let body = serde_json::to_string(&self.0).unwrap_or_default();
        let mut response = (status, headers, body).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let soon = HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, soon);
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
            CallError::Away(away) => return Failure::away(away),
        };
        Failure::new(status, kind, error.to_string())
    }
}

/// A JSON body whose errors are problem documents too.
struct Body<T>(T);

impl<S: Send + Sync, T: serde::de::DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: axum::extract::Request, state: &S) -> Result<Self, Failure> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Body(body)),
            Err(rejection) => {
                let kind = match &rejection {
                    JsonRejection::JsonDataError(_) => "wrong_data",
                    JsonRejection::JsonSyntaxError(_) => "not_json",
                    JsonRejection::MissingJsonContentType(_) => "not_json",
                    _ => "bad_body",
                };
                Err(Failure::new(
                    rejection.status(),
                    kind,
                    rejection.body_text(),
                ))
            }
        }
    }
}
