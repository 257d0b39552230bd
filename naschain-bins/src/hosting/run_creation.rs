//! `POST /v1/runs`: a run from a request.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use naschain_core::Digest;
use naschain_run::{ProblemKind, RunSpec};
use naschain_train::Dataset;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::home::folders::NewFolder;
use crate::home::runs::{AddedRun, RunSettings, RunStatus, StoredRun};
use crate::home::tokens::Scope;
use crate::home::users::User;
use crate::hosting::caller::{Sender, trouble, whole, wrong};
use crate::hosting::host::Host;
use crate::hosting::openapi::Refusals;
use crate::hosting::planning::planned;
use crate::hosting::run_routes::RunInfo;
use crate::hosting::settings::DIGITS;
use crate::miner::trainer::Trainer;
use crate::printable::counted;
use crate::random::random_bytes;
use crate::server::allow_list::AllowList;
use crate::server::app::Reply;
use crate::server::problem::ErrorResponse;
use crate::server::requests::Body;

/// The setting that makes a search another one.
const SEED: &str = "seed";
/// Most characters of a run's name.
const MAX_NAME: usize = 100;

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
    #[schema(value_type = std::collections::BTreeMap<String, serde_json::Value>)]
    pub(crate) settings: RunSettings,
    /// Whether everybody may read the run.
    #[serde(default)]
    pub(crate) public: bool,
    /// The miners that may train the run, and so see its data: lines of a hotkey's address and its
    /// owner's name. All that the genomaster admits, if missing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) miners: String,
}

/// Begins a search. Miners get its jobs at once.
#[utoipa::path(post, path = "/v1/runs", tag = "runs", request_body = NewRun,
    security(("token" = []), ("session" = [])),
    responses((status = 201, body = RunInfo), Refusals))]
pub(super) async fn create(
    State(host): State<Arc<Host>>,
    sender: Sender,
    Body(new): Body<NewRun>,
) -> Reply<Response> {
    let user = sender.needs(Scope::Runs)?.clone();
    whole(async move {
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
    })
    .await
}

/// Checks the settings, and stores the run. Without a seed in the settings, one is chosen that no run
/// with these settings has.
async fn plan(host: &Arc<Host>, user: &User, mut new: NewRun) -> Reply<StoredRun> {
    check_new(user, &new)?;
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
    let is_digits = kind == DIGITS;
    let mut folder = specified(host, &new, &kind, &dataset).await?;
    check_miners(host, listed, &folder.spec)?;
    let has_seed = new.settings.contains_key(SEED);
    while !has_seed && is_taken(host, folder.spec.digest()).await? {
        new.settings.insert(SEED.to_owned(), random_seed()?.into());
        folder = specified(host, &new, &kind, &dataset).await?;
    }
    let id = folder.spec.digest();
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
        leader: host.cluster.as_ref().map(|cluster| cluster.id().to_owned()),
    };
    // Nobody opens it before its folder is there.
    let _opening = host.opening.lock().await;
    let added = host.home.add_run(run, &folder, limit, is_digits).await;
    let stored = match added.map_err(|error| trouble(&error))? {
        AddedRun::Added(stored) => *stored,
        AddedRun::TooMany => return Err(too_many_runs(user)),
        AddedRun::Exists => {
            let detail = "there is a search with these settings already; give another seed, or none: one is chosen then";
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
        creating.home.create_run_folder(&folder)
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

/// Checks what needs no data.
fn check_new(user: &User, new: &NewRun) -> Reply<()> {
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
    Ok(())
}

/// The specification of a run and its secret, checked on its data.
async fn specified(
    host: &Host,
    new: &NewRun,
    kind: &str,
    dataset: &Arc<Dataset>,
) -> Reply<NewFolder> {
    let (kind, dataset) = (kind.to_owned(), dataset.clone());
    let (settings, is_signed) = (new.settings.clone(), host.auth.hotkey().is_some());
    let trainer = Trainer {
        options: host.settings.options,
        checkpoints: None,
    };
    // On a thread of its own: it draws the data's split.
    let planned = move || {
        let (spec, secret) = planned(&settings, &kind, &dataset, is_signed)?;
        trainer.check_run(&spec)?;
        anyhow::Ok(NewFolder { spec, secret })
    };
    let planned = tokio::task::spawn_blocking(planned).await;
    let planned = planned.map_err(|error| trouble(&error.into()))?;
    planned.map_err(|error| wrong(&error))
}

/// Whether a run has this id.
async fn is_taken(host: &Host, id: Digest) -> Reply<bool> {
    let found = host.home.run(id).await.map_err(|error| trouble(&error))?;
    Ok(found.is_some())
}

/// A seed for a search whose settings have none.
fn random_seed() -> Reply<u32> {
    let [a, b, c, d, ..] = random_bytes().map_err(|error| trouble(&error))?;
    Ok(u32::from_le_bytes([a, b, c, d]))
}

/// Refuses a list of miners that cannot train the run.
fn check_miners(host: &Host, listed: AllowList, spec: &RunSpec) -> Reply<()> {
    if listed.is_empty() {
        return Ok(());
    }
    let listed = match &host.settings.access.allow_list {
        Some(allowed) => listed.within(allowed),
        None => listed,
    };
    let (owners, seats) = (listed.count_owners(), spec.rules.seats);
    if owners < seats {
        let detail = format!(
            "miners lists {} that this genomaster admits; each network is trained by miners of {seats} different owners",
            counted(owners, "owner")
        );
        return Err(ErrorResponse::new(ProblemKind::WrongData, detail));
    }
    Ok(())
}

fn too_many_runs(user: &User) -> ErrorResponse {
    let detail = format!(
        "{} has {} that {} not ended, which is the maximum; stop one, or wait until one is finished",
        user.name,
        counted(user.quota.max_runs as usize, "run"),
        ["has", "have"][usize::from(user.quota.max_runs != 1)]
    );
    ErrorResponse::new(ProblemKind::QuotaReached, detail)
}

/// The digest and the format of a data set that a user may use.
pub(super) async fn data_of(host: &Host, user: &User, data: &str) -> Reply<(Digest, String)> {
    let digits = Dataset::digits().digest();
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
