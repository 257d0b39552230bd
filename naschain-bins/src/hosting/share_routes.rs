//! `/v1/runs/RUN/shares`: links by which anybody may read a run.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use naschain_run::ProblemKind;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::home::shares::ShareInfo;
use crate::hosting::caller::{Sender, trouble};
use crate::hosting::host::Host;
use crate::hosting::openapi::Refusals;
use crate::hosting::run_changes::own;
use crate::server::app::Reply;
use crate::server::problem::ErrorResponse;

/// Links to a run, at most.
const MAX_SHARES: usize = 100;

/// A new link, which is shown only now.
#[derive(Deserialize, Serialize, ToSchema)]
pub(crate) struct MadeShare {
    /// Its id, by which it is revoked.
    pub(crate) id: String,
    /// Its path at this genomaster.
    pub(crate) link: String,
}

/// Makes a link by which anybody may read the run.
#[utoipa::path(post, path = "/v1/runs/{run}/shares", tag = "runs", params(("run" = String, Path)),
    security(("token" = []), ("session" = [])),
    responses((status = 201, body = MadeShare), Refusals))]
pub(super) async fn make(
    State(host): State<Arc<Host>>,
    sender: Sender,
    Path(id): Path<String>,
) -> Reply<(StatusCode, Json<MadeShare>)> {
    let run = own(&host, &sender, &id).await?;
    let shares = host.home.shares(run.id).await;
    if shares.map_err(|error| trouble(&error))?.len() >= MAX_SHARES {
        let detail = format!("the run has {MAX_SHARES} links, which is the maximum; revoke some");
        return Err(ErrorResponse::new(ProblemKind::QuotaReached, detail));
    }
    let made = host.home.add_share(run.id).await;
    let (id, secret) = made.map_err(|error| trouble(&error))?;
    let link = format!("/share/{secret}");
    Ok((StatusCode::CREATED, Json(MadeShare { id, link })))
}

/// Lists the links to a run, without their secrets.
#[utoipa::path(get, path = "/v1/runs/{run}/shares", tag = "runs", params(("run" = String, Path)),
    security(("token" = []), ("session" = [])),
    responses((status = 200, body = Vec<ShareInfo>), Refusals))]
pub(super) async fn list(
    State(host): State<Arc<Host>>,
    sender: Sender,
    Path(id): Path<String>,
) -> Reply<Json<Vec<ShareInfo>>> {
    let run = own(&host, &sender, &id).await?;
    let shares = host.home.shares(run.id).await;
    shares.map(Json).map_err(|error| trouble(&error))
}

/// Revokes a link.
#[utoipa::path(delete, path = "/v1/runs/{run}/shares/{id}", tag = "runs",
    params(("run" = String, Path), ("id" = String, Path)),
    security(("token" = []), ("session" = [])), responses((status = 204), Refusals))]
pub(super) async fn revoke(
    State(host): State<Arc<Host>>,
    sender: Sender,
    Path((id, share)): Path<(String, String)>,
) -> Reply<StatusCode> {
    let run = own(&host, &sender, &id).await?;
    let revoked = host.home.revoke_share(run.id, &share).await;
    if !revoked.map_err(|error| trouble(&error))? {
        let detail = format!("the run has no link {share}; GET shares lists them");
        return Err(ErrorResponse::new(ProblemKind::NotFound, detail));
    }
    Ok(StatusCode::NO_CONTENT)
}
