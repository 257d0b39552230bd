//! Calls that are repeated until the genomaster can be reached.

use std::future::Future;

use anyhow::{Result, bail};

use crate::client::transport::TransportError;
use crate::miner::Miner;
use crate::miner::pauses::{FIRST_PAUSE, MAX_PAUSE, stopped};
use crate::printable::is_logged;

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
