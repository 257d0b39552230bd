//! Whether a run goes on, as its owner decides; the journal has nothing of it.

use serde::Serialize;

/// Whether a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunActivity {
    /// Jobs are handed out, as long as there are any.
    Running,
    /// No jobs are handed out at present. Trainings in progress go on, and their results count.
    Paused,
    /// No jobs are handed out any more, whether the search is finished or not.
    Ended,
}
