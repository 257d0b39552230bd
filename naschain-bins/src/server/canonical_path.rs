//! The one spelling of a path in signed requests.

use axum::http::request::Parts;
use naschain_run::ProblemKind;

use crate::server::problem::ErrorResponse;

/// An auditor builds the path again from the event, so a request that changes something may have no
/// other spelling of it.
pub(super) fn check_path_is_canonical(parts: &Parts) -> Result<(), ErrorResponse> {
    if parts.uri.query().is_none() && !parts.uri.path().contains('%') {
        return Ok(());
    }
    let detail = format!(
        "{} has a query or a percent sign; the path of a POST request has neither",
        parts.uri
    );
    Err(ErrorResponse::new(ProblemKind::BadPath, detail))
}
