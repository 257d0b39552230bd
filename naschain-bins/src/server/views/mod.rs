//! What pages show of a run: its record, a candidate, the miners, and what it has found.

mod candidate;
mod miners;
pub(crate) mod record;
mod result;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use naschain_run::ProblemKind;

use crate::server::app::App;
use crate::server::problem::ErrorResponse;

/// Size of a picture that is tried, at most.
const MAX_PICTURE_BYTES: usize = 16 << 20;

/// The routes whose content anybody may see who may see the journal.
pub(super) fn routes(app: App) -> Router {
    Router::new()
        .route("/v1/record", get(record::record))
        .route("/v1/record/seats", get(record::seats))
        .route("/v1/candidates/{job}", get(candidate::candidate))
        .route("/v1/miners", get(miners::miners))
        .route("/v1/result", get(result::result))
        .route("/v1/front/models", get(result::models))
        .route("/v1/models/{genome}/int8", get(result::int8))
        .route("/v1/models/{genome}/files/{format}", get(result::download))
        .with_state(app)
}

/// Trying a model, whose body is a picture.
pub(super) fn picture_routes(app: App) -> Router {
    Router::new()
        .route("/v1/models/{genome}/predictions", post(result::predict))
        .layer(DefaultBodyLimit::max(MAX_PICTURE_BYTES))
        .with_state(app)
}

/// Whether the networks that a run has found, and what is known of them, are shown to everybody.
fn may_read_results(app: &App) -> bool {
    let access = &app.auth.access;
    access.hotkey.is_none() || access.open_reads
}

/// The response when a task has ended with the process.
fn closing() -> ErrorResponse {
    ErrorResponse::new(ProblemKind::Closing, "the genomaster is stopping")
}

/// The response to a request that files of the run cannot answer; the log has the reason.
fn trouble(error: &anyhow::Error) -> ErrorResponse {
    tracing::error!("{error:#}");
    let detail =
        "the genomaster cannot do this now, for a reason that its log has; try again later";
    ErrorResponse::new(ProblemKind::JournalTrouble, detail)
}
