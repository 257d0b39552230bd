//! Runs whose time is limited.

use std::sync::Arc;
use std::time::Duration;

use crate::home::now_s;
use crate::hosting::host::Host;
use crate::hosting::hosted_run::HostedRun;

/// Pause before a run is stopped again, after the database could not be reached.
const RETRY: Duration = Duration::from_secs(10);

impl Host {
    /// Stops a run when its time is over, which may have been while no genomaster was there.
    pub(super) async fn end_in_time(self: Arc<Host>, hosted: Arc<HostedRun>) {
        let Some(limit) = hosted.served.time_limit else {
            return;
        };
        let elapsed_s = u64::try_from(now_s() - hosted.created_s).unwrap_or(0);
        let left = limit.saturating_sub(Duration::from_secs(elapsed_s));
        tokio::time::sleep(left).await;
        loop {
            match self.stop(&hosted).await {
                Ok(stopped) if stopped => tracing::info!(
                    "{} of {}: its time is over ({})",
                    hosted.name,
                    hosted.owner,
                    humantime::format_duration(limit)
                ),
                Ok(_) => {}
                Err(error) => {
                    tracing::error!("{} cannot be stopped: {error:#}", hosted.name);
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            }
            return;
        }
    }
}
