//! `/v1/runs`: creating, listing and changing runs.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use naschain_core::Digest;
use naschain_run::{ProblemKind, RunState};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::artifacts::extent::work_done;
use crate::artifacts::results::{limit_of_guessing, useful_members};
use crate::home::runs::{RunFilter, RunSettings, RunStatus, StoredRun};
use crate::hosting::caller::{Sender, run_named, trouble};
use crate::hosting::host::Host;
use crate::hosting::openapi::Refusals;
use crate::server::app::Reply;
use crate::server::problem::ErrorResponse;

/// Runs on a page, at most.
const MAX_PAGE: u32 = 100;

/// A run.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct RunInfo {
    /// The digest of the run's specification.
    #[schema(value_type = String)]
    pub(crate) id: Digest,
    /// What it is called.
    pub(crate) name: String,
    /// Whose it is.
    pub(crate) owner: String,
    /// Whether it goes on.
    pub(crate) state: RunStatus,
    /// Whether everybody may read it.
    pub(crate) public: bool,
    /// The digest of its data set.
    #[schema(value_type = String)]
    pub(crate) data: Digest,
    /// The settings that it was created with.
    #[schema(value_type = std::collections::BTreeMap<String, serde_json::Value>)]
    pub(crate) settings: RunSettings,
    /// When it was created, in seconds since 1970.
    pub(crate) created_s: i64,
    /// Why it waits, although it is running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) waits: Option<String>,
    /// How far it is; only of one run, not in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) progress: Option<RunProgress>,
}

/// How far a run is.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct RunProgress {
    /// Trainings that have ended.
    pub(crate) ended: usize,
    /// Trainings of the whole search, at most.
    pub(crate) total: usize,
    /// In words, such as `14 of 24 networks`.
    pub(crate) text: String,
    /// The best validation accuracy so far, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) best_percent: Option<f64>,
    /// Networks on the front so far that are better than guessing.
    pub(crate) front: usize,
}

/// A page of runs.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct RunPage {
    /// The runs, the newest first.
    pub(crate) runs: Vec<RunInfo>,
    /// `before` of the next page, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<i64>,
}

/// Which runs to list.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RunQuery {
    /// Only runs in this state.
    state: Option<RunStatus>,
    /// Only runs of this user.
    owner: Option<String>,
    /// `next` of the page before.
    #[param(minimum = 0)]
    before: Option<i64>,
    /// Runs on the page, 1 to 100.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

impl RunInfo {
    pub(super) fn new(run: StoredRun) -> RunInfo {
        RunInfo {
            id: run.id,
            name: run.name,
            owner: run.owner,
            state: run.status,
            public: run.is_public,
            data: run.data,
            settings: run.settings,
            created_s: run.created_s,
            waits: None,
            progress: None,
        }
    }
}

/// `limit` is the accuracy in percent that guessing does not exceed.
fn progress(state: &RunState, limit: f64) -> RunProgress {
    let best = state.best().and_then(|job| job.verdict.consensus);
    RunProgress {
        ended: state.ended_jobs().len(),
        total: state.max_jobs(),
        text: work_done(state),
        best_percent: best.map(|measured| measured.accuracy.percent()),
        front: useful_members(&state.front(), limit).len(),
    }
}

/// Lists the public runs and the user's own, the newest first; an administrator's list has all.
#[utoipa::path(get, path = "/v1/runs", tag = "runs", params(RunQuery),
    security((), ("token" = []), ("session" = [])),
    responses((status = 200, body = RunPage), Refusals))]
pub(super) async fn list(
    State(host): State<Arc<Host>>,
    sender: Sender,
    query: Result<Query<RunQuery>, QueryRejection>,
) -> Reply<Json<RunPage>> {
    let bad_query = |detail: String| ErrorResponse::new(ProblemKind::BadQuery, detail);
    let Query(query) = query.map_err(|error| bad_query(error.body_text()))?;
    let limit = query.limit.unwrap_or(MAX_PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        let detail = format!("limit is {limit}; it must be 1 to {MAX_PAGE}");
        return Err(bad_query(detail));
    }
    let reader = sender.reader();
    let is_admin = reader.is_some_and(|user| user.is_admin);
    // No user has this name: only what is public.
    let name = reader.map_or("-".to_owned(), |user| user.name.clone());
    let filter = RunFilter {
        status: query.state,
        reader: (!is_admin).then_some(name),
        owner: query.owner,
        before: query.before,
    };
    let runs = host
        .home
        .runs(&filter, limit)
        .await
        .map_err(|error| trouble(&error))?;
    let is_full = runs.len() == limit as usize;
    let next = runs.last().filter(|_| is_full).map(|run| run.number);
    let runs = runs.into_iter().map(RunInfo::new).collect();
    Ok(Json(RunPage { runs, next }))
}

/// One run, and how far it is.
#[utoipa::path(get, path = "/v1/runs/{run}", tag = "runs", params(("run" = String, Path)),
    security((), ("token" = []), ("session" = [])),
    responses((status = 200, body = RunInfo), Refusals))]
pub(super) async fn show(
    State(host): State<Arc<Host>>,
    sender: Sender,
    Path(id): Path<String>,
) -> Reply<Json<RunInfo>> {
    let stored = readable(&host, &sender, &id).await?;
    let hosted = host
        .opened(stored.clone())
        .await
        .map_err(|error| trouble(&error))?;
    let limit = limit_of_guessing(hosted.coordinator.spec(), hosted.served.guessing);
    let progress = |state: Option<&RunState>| state.map(|state| progress(state, limit));
    let progress = hosted.coordinator.try_with_state(progress).await;
    let mut info = RunInfo::new(stored);
    info.progress = progress;
    if hosted.status() == RunStatus::Running && host.has_used_up_hours(&hosted.owner) {
        let reason = format!("{} has used up the quota of processor hours", hosted.owner);
        info.waits = Some(reason);
    }
    Ok(Json(info))
}

/// A run that the sender may read.
pub(super) async fn readable(host: &Host, sender: &Sender, id: &str) -> Reply<StoredRun> {
    let found = run_named(host, id).await?;
    // Whether there is a run that one may not read is nobody's business.
    found.filter(|run| sender.may_read(run)).ok_or_else(|| {
        let detail = format!("there is no run {id} that this request may read");
        ErrorResponse::new(ProblemKind::NotFound, detail)
    })
}
