//! Pausing, resuming and ending a run.

use tokio::sync::watch;

use crate::coordinator::Coordinator;
use crate::coordinator::activity::RunActivity;

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
