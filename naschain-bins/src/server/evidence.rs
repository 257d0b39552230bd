//! Files from miners: checkpoints by which the referee decided or from which a job continues, and
//! delivered weights.

use std::io::ErrorKind;

use axum::extract::{Path as UrlPath, State};
use axum::http::HeaderMap;
use axum::response::Response;
use naschain_run::ProblemKind;

use crate::coordinator::deliveries::{delivered_file, state_file};
use crate::server::app::{App, Reply};
use crate::server::problem::ErrorResponse;
use crate::server::ranges::{MAX_RANGE_BYTES, digest_in_path, range_start, read_range, respond};

/// `GET /v1/files/{digest}`: the checkpoint with this state, or the weights of the training with this
/// digest. With `Range: bytes=N-` from byte N on. Always at most 1 MiB.
pub(super) async fn file(
    State(app): State<App>,
    UrlPath(digest): UrlPath<String>,
    headers: HeaderMap,
) -> Reply<Response> {
    let digest = digest_in_path(&digest)?;
    let start = range_start(&headers)?;
    let share = app.budget.share(MAX_RANGE_BYTES as usize).await?;
    let missing = || {
        let detail = format!("this genomaster has no file {digest}");
        ErrorResponse::new(ProblemKind::NotFound, detail)
    };
    let folder = app.coordinator.run_folder().ok_or_else(missing)?;
    let read = tokio::task::spawn_blocking(move || {
        let places = [state_file(&folder, digest), delivered_file(&folder, digest)];
        let found = places.iter().find(|path| path.is_file());
        found.map(|path| read_range(path, start)).transpose()
    });
    let found = match read.await {
        Ok(Ok(Some(found))) => found,
        Ok(Ok(None)) if app.coordinator.is_collecting(digest).await => {
            let detail = format!("the file {digest} is being delivered; ask again");
            return Err(ErrorResponse::new(ProblemKind::NotDelivered, detail));
        }
        Ok(Ok(None)) => return Err(missing()),
        Ok(Err(error)) if error.kind() == ErrorKind::InvalidInput => {
            return Err(ErrorResponse::new(ProblemKind::BadQuery, error.to_string()));
        }
        _ => {
            let detail = format!("the file {digest} cannot be read now");
            return Err(ErrorResponse::new(ProblemKind::JournalTrouble, detail));
        }
    };
    Ok(respond(found, share))
}
