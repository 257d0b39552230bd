//! Pauses of a miner, and the end of its work.

use std::time::Duration;

use tokio::sync::watch;

/// Pause before the first retry of a request; doubled for each further one.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause between two retries.
pub(super) const MAX_PAUSE: Duration = Duration::from_secs(15);

/// Returns when the miner must stop; never if the sender is gone, so that a caller that drops it
/// does not stop its miners.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}
