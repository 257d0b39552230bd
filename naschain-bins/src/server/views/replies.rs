//! Refusals that several views have.

use naschain_run::ProblemKind;

use crate::server::app::App;
use crate::server::problem::ErrorResponse;

/// Whether the networks that a run has found, and what is known of them, are shown to everybody.
pub(super) fn may_read_results(app: &App) -> bool {
    let access = &app.auth.access;
    access.hotkey.is_none() || access.open_reads
}

/// The response when a task has ended with the process.
pub(super) fn closing() -> ErrorResponse {
    ErrorResponse::new(ProblemKind::Closing, "the genomaster is stopping")
}

/// The response to a request that files of the run cannot answer; the log has the reason.
pub(super) fn trouble(error: &anyhow::Error) -> ErrorResponse {
    tracing::error!("{error:#}");
    let detail =
        "the genomaster cannot do this now, for a reason that its log has; try again later";
    ErrorResponse::new(ProblemKind::JournalTrouble, detail)
}
