//! What is known of miners, in all runs and at all genomasters of a home.

use std::collections::BTreeMap;

use anyhow::Result;
use naschain_consensus::{MinerId, Standing};
use naschain_run::RunState;

use crate::clock;
use crate::hosting::host::Host;
use crate::server::known_miners::MAX_KNOWN;

/// Seconds that are read again, because the clocks of genomasters differ.
const OVERLAP_S: i64 = 60;

impl Host {
    /// Stores what is known of miners here, and reads what others have stored since `since_s`, in seconds
    /// since 1970.
    pub(super) async fn share_miners(&self, since_s: &mut i64) -> Result<()> {
        for (miner, standing) in self.standings().await {
            self.miners.note(&miner, standing);
        }
        self.home.store_miners(&self.miners.take_changed()).await?;
        let now_s = (clock::unix_nanos() / 1_000_000_000) as i64;
        for (miner, standing) in self.home.miners(*since_s, MAX_KNOWN as u32).await? {
            self.miners.remember(miner, standing);
        }
        *since_s = now_s - OVERLAP_S;
        Ok(())
    }

    /// What the answers of miners say of them in all runs that are open to all miners. In a run with a
    /// list of its own they could confirm each other.
    async fn standings(&self) -> BTreeMap<MinerId, Standing> {
        let mut found: BTreeMap<MinerId, Standing> = BTreeMap::new();
        let runs = self.open_runs();
        for run in runs.iter().filter(|run| !run.has_own_miners) {
            let read = |state: Option<&RunState>| -> Vec<(MinerId, Standing)> {
                let standings = state.into_iter().flat_map(|s| s.board().standings());
                standings
                    .map(|(miner, standing)| (miner.clone(), standing))
                    .collect()
            };
            for (miner, standing) in run.coordinator.try_with_state(read).await {
                let merged = found.get(&miner).map_or(standing, |one| one.with(standing));
                found.insert(miner, merged);
            }
        }
        found
    }
}
