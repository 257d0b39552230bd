//! `/v1/runs`: creating, listing and changing runs.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use naschain_core::Digest;
use naschain_run::{ProblemKind, RunState};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::artifacts::extent::work_done;
use crate::home::runs::{AddedRun, RunFilter, RunSettings, RunStatus, StoredRun};
use crate::home::tokens::Scope;
use crate::home::users::User;
use crate::hosting::caller::{Sender, trouble, wrong};
use crate::hosting::host::Host;
use crate::hosting::hosted_run::create_folder_of;
use crate::hosting::openapi::Refusals;
use crate::hosting::planning::planned;
use crate::hosting::settings::DIGITS;
use crate::miner::trainer::Trainer;
use crate::printable::counted;
use crate::server::allow_list::AllowList;
use crate::server::app::Reply;
use crate::server::problem::ErrorResponse;
use crate::server::requests::Body;

/// Most characters of a run's name.
const MAX_NAME: usize = 100;
/// Runs on a page, at most.
const MAX_PAGE: u32 = 100;

/// A search that is to begin.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRun {
    /// What the run is called; 1 to 100 characters.
    pub(crate) name: String,
    /// The digest of a data set that the user may use, or `digits`.
    pub(crate) data: String,
    /// Flags of `genomaster search` by name, such as `{"budget": "medium", "epochs": 12}`; what is
    /// left out is chosen by the data set.
    #[serde(default)]
    #[schema(value_type = std::collections::BTreeMap<String, Object>)]
    pub(crate) settings: RunSettings,
    /// Whether everybody may read the run.
    #[serde(default)]
    pub(crate) public: bool,
    /// The miners that may train the run, and so see its data: lines of a hotkey's address and its
    /// owner's name. All that the genomaster admits, if missing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) miners: String,
}

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
    #[schema(value_type = std::collections::BTreeMap<String, Object>)]
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
    /// Networks on the front so far.
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
    fn new(run: StoredRun) -> RunInfo {
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

fn progress(state: &RunState) -> RunProgress {
    let best = state.best().and_then(|job| job.verdict.consensus);
    RunProgress {
        ended: state.ended_jobs().len(),
        total: state.max_jobs(),
        text: work_done(state),
        best_percent: best.map(|measured| measured.accuracy.percent()),
        front: state.front().len(),
    }
}

/// Begins a search. Miners get its jobs at once.
#[utoipa::path(post, path = "/v1/runs", tag = "runs", request_body = NewRun,
    security(("token" = [])),
    responses((status = 201, body = RunInfo), Refusals))]
pub(super) async fn create(
    State(host): State<Arc<Host>>,
    sender: Sender,
    Body(new): Body<NewRun>,
) -> Reply<Response> {
    let user = sender.needs(Scope::Runs)?.clone();
    let stored = plan(&host, &user, new).await?;
    let hosted = match host.opened(stored.clone()).await {
        Ok(hosted) => hosted,
        Err(error) => {
            // It would only count against the quota.
            let _ = host.delete(&stored).await;
            return Err(trouble(&error));
        }
    };
    tracing::info!(
        "{} of {}: begins as {}",
        hosted.name,
        hosted.owner,
        hosted.id
    );
    let place = [(header::LOCATION, format!("/v1/runs/{}", stored.id))];
    Ok((StatusCode::CREATED, place, Json(RunInfo::new(stored))).into_response())
}

/// Checks the settings, and stores the run.
async fn plan(host: &Arc<Host>, user: &User, new: NewRun) -> Reply<StoredRun> {
    if user.has_used_up_hours() {
        let detail = format!(
            "{} has used up the quota of {} processor hours",
            user.name, user.quota.max_hours
        );
        return Err(ErrorResponse::new(ProblemKind::QuotaReached, detail));
    }
    let length = new.name.chars().count();
    if !(1..=MAX_NAME).contains(&length) || new.name.chars().any(char::is_control) {
        let detail = format!(
            "name has {length} characters; it must have 1 to {MAX_NAME}, none of them a control character"
        );
        return Err(ErrorResponse::new(ProblemKind::WrongData, detail));
    }
    let listed = AllowList::parse(&new.miners).map_err(|error| wrong(&error.context("miners")))?;
    let limit = user.quota.max_runs;
    let open = host.home.count_open_runs(&user.name).await;
    if open.map_err(|error| trouble(&error))? >= limit {
        return Err(too_many_runs(user));
    }
    let (digest, kind) = data_of(host, user, &new.data).await?;
    let dataset = host
        .dataset(digest, &kind)
        .await
        .map_err(|error| trouble(&error))?;
    let (settings, is_signed) = (new.settings.clone(), host.auth.hotkey().is_some());
    let trainer = Trainer {
        options: host.settings.options,
        checkpoints: None,
    };
    let is_digits = kind == DIGITS;
    // On a thread of its own: it draws the data's split.
    let planned = move || {
        let planned = planned(&settings, &kind, &dataset, is_signed)?;
        trainer.check_memory(&planned.0)?;
        anyhow::Ok(planned)
    };
    let planned = tokio::task::spawn_blocking(planned).await;
    let planned = planned.map_err(|error| trouble(&error.into()))?;
    let (spec, secret) = planned.map_err(|error| wrong(&error))?;
    let (owners, seats) = (listed.count_owners(), spec.rules.seats);
    if !listed.is_empty() && owners < seats {
        let detail = format!(
            "miners lists {}; each network is trained by miners of {seats} different owners",
            counted(owners, "owner")
        );
        return Err(ErrorResponse::new(ProblemKind::WrongData, detail));
    }
    let id = spec.digest();
    let run = StoredRun {
        number: 0,
        id,
        owner: user.name.clone(),
        name: new.name,
        data: digest,
        settings: new.settings,
        miners: new.miners,
        is_public: new.public,
        status: RunStatus::Running,
        created_s: 0,
    };
    let added = host.home.add_run(run, limit, is_digits).await;
    let stored = match added.map_err(|error| trouble(&error))? {
        AddedRun::Added(stored) => stored,
        AddedRun::TooMany => return Err(too_many_runs(user)),
        AddedRun::Exists => {
            let detail = "there is a run with these settings already; give another seed";
            return Err(ErrorResponse::new(ProblemKind::Refused, detail));
        }
        AddedRun::NoData => {
            let detail = format!("the data set {digest} was deleted meanwhile");
            return Err(ErrorResponse::new(ProblemKind::WrongData, detail));
        }
    };
    let (creating, dir) = (host.clone(), host.home.run_dir(id));
    let create = move || {
        // What a run that was deleted may have left. Nobody else has this id now.
        let _ = std::fs::remove_dir_all(dir);
        create_folder_of(&creating.home, &spec, secret)
    };
    let created = tokio::task::spawn_blocking(create).await;
    let created = created
        .map_err(anyhow::Error::from)
        .and_then(|created| created);
    if let Err(error) = created {
        let _ = host.home.delete_run(id).await;
        return Err(trouble(&error));
    }
    Ok(stored)
}

fn too_many_runs(user: &User) -> ErrorResponse {
    let detail = format!(
        "{} has {} runs that have not ended, which is the maximum; stop one, or wait until one is finished",
        user.name, user.quota.max_runs
    );
    ErrorResponse::new(ProblemKind::QuotaReached, detail)
}

/// The digest and the format of a data set that a user may use.
async fn data_of(host: &Host, user: &User, data: &str) -> Reply<(Digest, String)> {
    let digits = naschain_train::Dataset::digits().digest();
    if data == DIGITS || data == digits.to_string() {
        return Ok((digits, DIGITS.to_owned()));
    }
    let unknown = || {
        let detail = format!(
            "data is {data:?}; it must be the digest of a data set that {} may use, or {DIGITS}",
            user.name
        );
        ErrorResponse::new(ProblemKind::WrongData, detail)
    };
    let digest: Digest = data.parse().map_err(|_| unknown())?;
    let found = host.home.data_for(digest, &user.name).await;
    let found = found
        .map_err(|error| trouble(&error))?
        .ok_or_else(unknown)?;
    Ok((digest, found.kind))
}

/// Lists the public runs and the user's own, the newest first; an administrator's list has all.
#[utoipa::path(get, path = "/v1/runs", tag = "runs", params(RunQuery),
    security((), ("token" = [])),
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
    security((), ("token" = [])),
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
    let progress = hosted
        .coordinator
        .try_with_state(|state| state.map(progress))
        .await;
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
    let found = match id.parse() {
        Ok(id) => host.home.run(id).await.map_err(|error| trouble(&error))?,
        Err(_) => None,
    };
    // Whether there is a run that one may not read is nobody's business.
    found.filter(|run| sender.may_read(run)).ok_or_else(|| {
        let detail = format!("there is no run {id} that this request may read");
        ErrorResponse::new(ProblemKind::NotFound, detail)
    })
}
