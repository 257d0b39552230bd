//! A validator of a genomaster with many runs follows all that are public.

use anyhow::{Result, ensure};

use super::{ValidateArgs, Validator};
use crate::client::Client;

/// Runs that are not finished and are followed at a time, at most: each is kept in memory.
const MAX_FOLLOWED: usize = 1_000;

impl Validator {
    /// Whether any run was observed.
    pub(super) fn has_observed(&self) -> bool {
        self.current.observed.is_some() || !self.others.is_empty() || !self.reported.is_empty()
    }

    /// Fetches and validates what is new in every run; returns whether it was the last time.
    pub(super) async fn round(&mut self, cli: &ValidateArgs, client: &Client) -> Result<bool> {
        if let Some(run) = cli.run {
            return self.step(cli, &client.of_run(run)).await;
        }
        if !client.has_many_runs().await? {
            return self.step(cli, client).await;
        }
        ensure!(
            cli.weights_out.is_none() && !cli.btcli,
            "the genomaster has many runs: --weights-out and --btcli are for one; choose it by --run, or set the weights of all by --chain"
        );
        self.observation.has_many_runs = true;
        let mut result = Ok(());
        for run in client.public_runs().await? {
            let is_new = !self.others.contains_key(&run);
            if self.reported.contains(&run) || is_new && self.others.len() >= MAX_FOLLOWED {
                continue;
            }
            self.current = self.others.remove(&run).unwrap_or_default();
            // A fault in one run must not keep the others from being scored.
            result = result.and(self.step(cli, &client.of_run(run)).await.map(drop));
            let validated = std::mem::take(&mut self.current);
            if validated.finished {
                self.reported.insert(run);
            } else {
                self.others.insert(run, validated);
            }
        }
        result?;
        Ok(!cli.goes_on())
    }
}
