//! What pages show of a run: its record, a candidate, the miners, and what it has found.

mod candidate;
mod leases;
mod miners;
pub(crate) mod record;
mod replies;
mod result;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

use crate::server::app::App;

/// The routes whose content anybody may see who may see the journal.
pub(super) fn routes(app: App) -> Router {
    Router::new()
        .route("/v1/record", get(record::record))
        .route("/v1/record/seats", get(record::seats))
        .route("/v1/candidates/{job}", get(candidate::candidate))
        .route("/v1/miners", get(miners::miners))
        .route("/v1/leases", get(leases::leases))
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
        .layer(DefaultBodyLimit::max(result::MAX_PICTURE_BYTES))
        .with_state(app)
}
