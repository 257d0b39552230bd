//! The pages of a genomaster of one run.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;

use crate::web::assets;
use crate::web::page::{CandidatePage, ChoicePage, DashboardPage, Page, html, not_found};

/// The title of the run.
type Title = State<Arc<str>>;

/// The pages and their scripts; that of the run itself is at `/dashboard`, because `/` is text for
/// programs.
pub(crate) fn routes(title: String) -> Router {
    Router::new()
        .route("/candidates/{job}", get(candidate))
        .route("/choose", get(choice))
        .with_state(Arc::<str>::from(title))
        .route("/assets/{digest}/{name}", get(assets::serve))
}

/// A page of the only run.
fn page(title: &str) -> Page {
    Page::new(title).of_run("/v1", "")
}

/// The page of the run itself.
pub(crate) fn dashboard(title: &str) -> Response {
    html(&DashboardPage { page: page(title) })
}

async fn candidate(State(title): Title) -> Response {
    html(&CandidatePage { page: page(&title) })
}

async fn choice(State(title): Title) -> Response {
    html(&ChoicePage { page: page(&title) })
}

/// The response to a browser that asks for a path that does not exist.
pub(crate) fn missing(title: &str) -> Response {
    not_found(page(title), "There is no such page.")
}
