//! `/v1/runs/RUN`: changing a run.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use naschain_consensus::Event;
use naschain_run::ProblemKind;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::home::runs::StoredRun;
use crate::home::tokens::Scope;
use crate::hosting::caller::{Sender, run_named, trouble, whole};
use crate::hosting::host::Host;
use crate::hosting::hosted_run::HostedRun;
use crate::hosting::openapi::Refusals;
use crate::server::app::Reply;
use crate::server::problem::ErrorResponse;
use crate::server::requests::Body;

/// How many generations a search is to have.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Extension {
    /// More than it has.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub(crate) generations: u32,
}

/// A run that the sender may change.
pub(super) async fn own(host: &Host, sender: &Sender, id: &str) -> Reply<StoredRun> {
    let user = sender.needs(Scope::Runs)?;
    let found = run_named(host, id).await?;
    let is_own = |run: &StoredRun| user.is_admin || run.owner == user.name;
    found.filter(is_own).ok_or_else(|| {
        let detail = format!("{} has no run {id}", user.name);
        ErrorResponse::new(ProblemKind::NotFound, detail)
    })
}

/// The same, opened.
async fn own_opened(host: &Arc<Host>, sender: &Sender, id: &str) -> Reply<Arc<HostedRun>> {
    let stored = own(host, sender, id).await?;
    host.opened(stored).await.map_err(|error| trouble(&error))
}

fn in_other_state(hosted: &HostedRun, action: &str) -> ErrorResponse {
    let detail = format!("the run is {}; it cannot be {action}", hosted.status());
    ErrorResponse::new(ProblemKind::Refused, detail)
}

/// Pauses a run: no more jobs are handed out; trainings in progress go on.
#[utoipa::path(post, path = "/v1/runs/{run}/pause", tag = "runs", params(("run" = String, Path)),
    security(("token" = []), ("session" = [])),
    responses((status = 204), Refusals))]
pub(super) async fn pause(
    State(host): State<Arc<Host>>,
    sender: Sender,
    Path(id): Path<String>,
) -> Reply<StatusCode> {
    whole(async move { set_paused(&host, &sender, &id, true).await }).await
}

/// Lets a paused run go on.
#[utoipa::path(post, path = "/v1/runs/{run}/resume", tag = "runs", params(("run" = String, Path)),
    security(("token" = []), ("session" = [])),
    responses((status = 204), Refusals))]
pub(super) async fn resume(
    State(host): State<Arc<Host>>,
    sender: Sender,
    Path(id): Path<String>,
) -> Reply<StatusCode> {
    whole(async move { set_paused(&host, &sender, &id, false).await }).await
}

async fn set_paused(
    host: &Arc<Host>,
    sender: &Sender,
    id: &str,
    paused: bool,
) -> Reply<StatusCode> {
    let hosted = own_opened(host, sender, id).await?;
    let changed = host.set_paused(&hosted, paused).await;
    if !changed.map_err(|error| trouble(&error))? {
        let action = ["resumed", "paused"][usize::from(paused)];
        return Err(in_other_state(&hosted, action));
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Ends a run with what it has found so far. It cannot go on afterwards.
#[utoipa::path(post, path = "/v1/runs/{run}/stop", tag = "runs", params(("run" = String, Path)),
    security(("token" = []), ("session" = [])),
    responses((status = 202), Refusals))]
pub(super) async fn stop(
    State(host): State<Arc<Host>>,
    sender: Sender,
    Path(id): Path<String>,
) -> Reply<StatusCode> {
    whole(async move {
        let hosted = own_opened(&host, &sender, &id).await?;
        let stopped = host.stop(&hosted).await;
        if !stopped.map_err(|error| trouble(&error))? {
            return Err(in_other_state(&hosted, "stopped"));
        }
        Ok(StatusCode::ACCEPTED)
    })
    .await
}

/// Gives a search more generations.
#[utoipa::path(post, path = "/v1/runs/{run}/extend", tag = "runs", params(("run" = String, Path)),
    request_body = Extension, security(("token" = []), ("session" = [])),
    responses((status = 204), Refusals))]
pub(super) async fn extend(
    State(host): State<Arc<Host>>,
    sender: Sender,
    Path(id): Path<String>,
    Body(extension): Body<Extension>,
) -> Reply<StatusCode> {
    let hosted = own_opened(&host, &sender, &id).await?;
    if !hosted.status().is_open() {
        return Err(in_other_state(&hosted, "extended"));
    }
    let generations = extension.generations as usize;
    let extended = hosted
        .coordinator
        .handle(Event::Extend { generations }, None);
    extended.await?;
    hosted.coordinator.renew_activity();
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes a run with all its files.
#[utoipa::path(delete, path = "/v1/runs/{run}", tag = "runs", params(("run" = String, Path)),
    security(("token" = []), ("session" = [])),
    responses((status = 204), Refusals))]
pub(super) async fn delete(
    State(host): State<Arc<Host>>,
    sender: Sender,
    Path(id): Path<String>,
) -> Reply<StatusCode> {
    whole(async move {
        let stored = own(&host, &sender, &id).await?;
        host.delete(&stored)
            .await
            .map_err(|error| trouble(&error))?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}
