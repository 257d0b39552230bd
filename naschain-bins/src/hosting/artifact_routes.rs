//! `/v1/runs/RUN/artifacts`: the files of a run, which `genomaster fetch` copies.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use naschain_run::ProblemKind;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::artifacts::front_model::FRONT_FILE;
use crate::artifacts::history::HISTORY_FILE;
use crate::home::run_path;
use crate::hosting::caller::{Sender, trouble};
use crate::hosting::host::Host;
use crate::hosting::openapi::Refusals;
use crate::hosting::run_routes::readable;
use crate::server::app::Reply;
use crate::server::problem::ErrorResponse;
use crate::server::ranges::{FileRange, MAX_RANGE_BYTES, range_start, read_range, respond};

/// A file of a run.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Artifact {
    /// Its path in the run's folder, such as `report.html`.
    pub(crate) path: String,
    /// Its size in bytes.
    pub(crate) bytes: u64,
}

/// Which file of a run.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ArtifactQuery {
    /// Its path, as in the list.
    path: String,
}

/// Lists the files of a run: its settings, history, front, report and models.
#[utoipa::path(get, path = "/v1/runs/{run}/artifacts", tag = "runs", params(("run" = String, Path)),
    security((), ("token" = []), ("session" = [])), responses((status = 200, body = Vec<Artifact>), Refusals))]
pub(super) async fn list(
    State(host): State<Arc<Host>>,
    sender: Sender,
    Path(id): Path<String>,
) -> Reply<Json<Vec<Artifact>>> {
    let stored = readable(&host, &sender, &id).await?;
    let files = host
        .home
        .run_files(stored.id, stored.status.is_open())
        .await;
    let files = files.map_err(|error| trouble(&error))?.into_iter();
    Ok(Json(
        files
            .map(|(path, bytes)| Artifact { path, bytes })
            .collect(),
    ))
}

/// The history of a run: a line of JSON for each job that has ended.
#[utoipa::path(get, path = "/v1/runs/{run}/history", tag = "runs", params(("run" = String, Path)),
    security((), ("token" = []), ("session" = [])),
    responses((status = 200, content_type = "application/octet-stream"),
        (status = 206, content_type = "application/octet-stream"), Refusals))]
pub(super) async fn history(
    State(host): State<Arc<Host>>,
    sender: Sender,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Reply<Response> {
    send(&host, &sender, &id, HISTORY_FILE.to_owned(), &headers).await
}

/// The trained networks of the front of a run that has ended, with the paths of their files.
#[utoipa::path(get, path = "/v1/runs/{run}/models", tag = "runs", params(("run" = String, Path)),
    security((), ("token" = []), ("session" = [])),
    responses((status = 200, content_type = "application/octet-stream"),
        (status = 206, content_type = "application/octet-stream"), Refusals))]
pub(super) async fn models(
    State(host): State<Arc<Host>>,
    sender: Sender,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Reply<Response> {
    send(&host, &sender, &id, FRONT_FILE.to_owned(), &headers).await
}

/// A file of a run, at most 1 MiB at a time: `Range: bytes=N-` asks for the rest.
#[utoipa::path(get, path = "/v1/runs/{run}/artifact", tag = "runs",
    params(("run" = String, Path), ArtifactQuery), security((), ("token" = []), ("session" = [])),
    responses((status = 200, content_type = "application/octet-stream"),
        (status = 206, content_type = "application/octet-stream"), Refusals))]
pub(super) async fn read(
    State(host): State<Arc<Host>>,
    sender: Sender,
    Path(id): Path<String>,
    query: Result<Query<ArtifactQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Reply<Response> {
    let bad_query =
        |error: QueryRejection| ErrorResponse::new(ProblemKind::BadQuery, error.body_text());
    let Query(ArtifactQuery { path }) = query.map_err(bad_query)?;
    send(&host, &sender, &id, path, &headers).await
}

/// Sends a file of a run.
async fn send(
    host: &Host,
    sender: &Sender,
    id: &str,
    path: String,
    headers: &HeaderMap,
) -> Reply<Response> {
    let stored = readable(host, sender, id).await?;
    let start = range_start(headers)?;
    let (home, is_open) = (&host.home, stored.status.is_open());
    let share = host.budget.share(MAX_RANGE_BYTES as usize).await?;
    let size = home.run_file_size(stored.id, is_open, &path).await;
    let size = size.map_err(|error| trouble(&error))?.ok_or_else(|| {
        let detail = format!("the run has no file {path:?}; GET artifacts lists them");
        ErrorResponse::new(ProblemKind::NotFound, detail)
    })?;
    if start >= size {
        let detail = format!("the range begins at {start}; the file has {size} bytes");
        return Err(ErrorResponse::new(ProblemKind::BadQuery, detail));
    }
    let file = format!("{}/{path}", run_path(stored.id));
    let range = if home.are_files_published(is_open) {
        let read = home.files.published_range(&file, start, MAX_RANGE_BYTES);
        let read = read.await;
        read.map(|bytes| FileRange { bytes, start, size })
    } else {
        let file = home.files.local(&file);
        let read = tokio::task::spawn_blocking(move || read_range(&file, start)).await;
        read.map_err(anyhow::Error::from).and_then(|read| Ok(read?))
    };
    let range = range.map_err(|error| trouble(&error))?;
    Ok(respond(range, share))
}
