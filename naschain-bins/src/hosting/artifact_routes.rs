//! `/v1/runs/RUN/artifacts`: the files of a run, which `genomaster fetch` copies.

use std::io::ErrorKind;
use std::path::Path as FilePath;
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
use crate::hosting::caller::{Sender, trouble};
use crate::hosting::host::Host;
use crate::hosting::openapi::Refusals;
use crate::hosting::run_routes::readable;
use crate::server::app::Reply;
use crate::server::problem::ErrorResponse;
use crate::server::ranges::{MAX_RANGE_BYTES, range_start, read_range, respond};

/// What is in a run's folder and is for nobody else: its secret, its journal, which has a route of its
/// own, and files of miners that are not complete.
const PRIVATE: [&str; 6] = [
    "secret",
    "journal.sqlite",
    "journal.sqlite-wal",
    "journal.sqlite-shm",
    "genomaster.lock",
    "received",
];
/// Folders below that of the run, at most.
const MAX_DEPTH: usize = 3;

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

/// The files in a folder, by path.
fn files_in(dir: &FilePath) -> std::io::Result<Vec<Artifact>> {
    let mut found = Vec::new();
    let mut folders = vec![(dir.to_owned(), String::new(), 0)];
    while let Some((folder, before, depth)) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if depth == 0 && PRIVATE.contains(&name.as_str()) {
                continue;
            }
            let (kind, path) = (entry.file_type()?, format!("{before}{name}"));
            if kind.is_dir() && depth < MAX_DEPTH {
                folders.push((entry.path(), path + "/", depth + 1));
            } else if kind.is_file() {
                let bytes = entry.metadata()?.len();
                found.push(Artifact { path, bytes });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Lists the files of a run: its settings, history, front, report and models.
#[utoipa::path(get, path = "/v1/runs/{run}/artifacts", tag = "runs", params(("run" = String, Path)),
    security((), ("token" = [])), responses((status = 200, body = Vec<Artifact>), Refusals))]
pub(super) async fn list(
    State(host): State<Arc<Host>>,
    sender: Sender,
    Path(id): Path<String>,
) -> Reply<Json<Vec<Artifact>>> {
    let stored = readable(&host, &sender, &id).await?;
    let dir = host.home.run_dir(stored.id);
    let files = tokio::task::spawn_blocking(move || files_in(&dir)).await;
    let files = files.map_err(|error| trouble(&error.into()))?;
    files.map(Json).map_err(|error| trouble(&error.into()))
}

/// The history of a run: a line of JSON for each job that has ended.
#[utoipa::path(get, path = "/v1/runs/{run}/history", tag = "runs", params(("run" = String, Path)),
    security((), ("token" = [])),
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
    security((), ("token" = [])),
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
    params(("run" = String, Path), ArtifactQuery), security((), ("token" = [])),
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
    let dir = host.home.run_dir(stored.id);
    let share = host.budget.share(MAX_RANGE_BYTES as usize).await?;
    let read = move || {
        // Only what is listed: no other path leads anywhere.
        let is_listed = files_in(&dir).is_ok_and(|files| files.iter().any(|f| f.path == path));
        if !is_listed {
            let detail = format!("the run has no file {path:?}; GET artifacts lists them");
            return Err(ErrorResponse::new(ProblemKind::NotFound, detail));
        }
        read_range(&dir.join(&path), start).map_err(|error| match error.kind() {
            ErrorKind::InvalidInput => ErrorResponse::new(ProblemKind::BadQuery, error.to_string()),
            _ => trouble(&error.into()),
        })
    };
    let read = tokio::task::spawn_blocking(read).await;
    let range = read.map_err(|error| trouble(&error.into()))??;
    Ok(respond(range, share))
}
