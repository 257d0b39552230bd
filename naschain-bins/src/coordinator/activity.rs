//! Whether a run goes on, as its owner decides; the journal has nothing of it.

use serde::Serialize;
use tokio::sync::watch;

use crate::coordinator::Coordinator;

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

impl Coordinator {
    /// Sets whether the run goes on.
    pub fn set_activity(&self, activity: RunActivity) {
        self.shared.activity.send_replace(activity);
        self.shared.changes.send_modify(|count| *count += 1);
    }

    /// Tells those who watch that what they know of the run is not up to date: its search was extended.
    pub fn renew_activity(&self) {
        self.shared.activity.send_modify(|_| ());
    }

    /// Whether the run goes on.
    pub fn activity(&self) -> RunActivity {
        *self.shared.activity.borrow()
    }

    /// The same, with notification of changes.
    pub fn watch_activity(&self) -> watch::Receiver<RunActivity> {
        self.shared.activity.subscribe()
    }
}
