//! The data set of the run, for machines that do not have it.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use naschain_run::ProblemKind;
use naschain_train::PackedDataset;

use crate::server::app::{App, Reply};
use crate::server::auth::Caller;
use crate::server::problem::ErrorResponse;
use crate::server::ranges::{FileRange, MAX_RANGE_BYTES, digest_in_path, range_start, respond};

/// `GET /v1/data/{digest}`: the data set with this digest, as [`PackedDataset`] describes it; with
/// `Range: bytes=N-` from byte N on, always at most 1 MiB. Only for those that may join.
pub(super) async fn data(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(digest): Path<String>,
    headers: HeaderMap,
) -> Reply<Response> {
    let digest = digest_in_path(&digest)?;
    app.auth.access.check_may_join(caller.hotkey())?;
    let start = range_start(&headers)?;
    let missing = || {
        let detail = format!("this genomaster has no data set {digest}");
        ErrorResponse::new(ProblemKind::NotFound, detail)
    };
    let dataset = app.coordinator.shared_data(digest).ok_or_else(missing)?;
    let share = app.budget.share(MAX_RANGE_BYTES as usize).await?;
    // Pictures that are not kept in memory are decoded here.
    let read = tokio::task::spawn_blocking(move || {
        let packed = PackedDataset::new(&dataset);
        let size = packed.size();
        if start >= size {
            let detail = format!("the range begins at {start}; the data set has {size} bytes");
            return Err(ErrorResponse::new(ProblemKind::BadQuery, detail));
        }
        let bytes = packed
            .read(start, MAX_RANGE_BYTES as usize)
            .map_err(|error| {
                let detail = format!("the data set cannot be read now: {error}");
                ErrorResponse::new(ProblemKind::JournalTrouble, detail)
            })?;
        Ok(FileRange { bytes, start, size })
    });
    let read = read.await.map_err(|error| {
        let detail = format!("the data set cannot be read now: {error}");
        ErrorResponse::new(ProblemKind::JournalTrouble, detail)
    })?;
    Ok(respond(read?, share))
}
