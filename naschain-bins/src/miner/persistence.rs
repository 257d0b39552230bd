//! Calls that are repeated until the genomaster can be reached.

use std::future::Future;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::sync::watch;

use crate::client::transport::TransportError;
use crate::miner::Miner;
use crate::printable::is_logged;

/// Pause before the first retry of a request; doubled for each further one.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(250);
const MAX_PAUSE: Duration = Duration::from_secs(15);

impl Miner {
    /// Repeats the call with growing pauses until the genomaster can be reached; `None` when the
    /// miner must stop.
    pub(super) async fn persist<T, F: Future<Output = Result<T, TransportError>>>(
        &mut self,
        call: impl Fn() -> F,
    ) -> Result<Option<T>> {
        let mut pause = FIRST_PAUSE;
        let mut failures = 0;
        loop {
            let result = tokio::select! {
                result = call() => result,
                _ = stopped(&mut self.stop) => return Ok(None),
            };
            match result {
                Ok(value) => return Ok(Some(value)),
                Err(TransportError::Unavailable(reason)) => {
                    failures += 1;
                    if is_logged(failures) {
                        let name = &self.name;
                        tracing::warn!(
                            "{name}: {reason} (failure {failures}); retrying in {pause:?}"
                        );
                    }
                }
                Err(error) => bail!("{error}"),
            }
            tokio::select! {
                _ = tokio::time::sleep(pause) => {}
                _ = stopped(&mut self.stop) => return Ok(None),
            }
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }
}

/// Returns when the miner must stop; never if the sender is gone, so that a caller that drops it
/// does not stop its miners.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}
