//! What is known of miners, in all runs and at all genomasters of a home.

use std::collections::BTreeMap;

use anyhow::Result;
use naschain_consensus::{MinerId, TrackRecord};
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
        for (miner, record) in self.track_records().await {
            self.miners.note(&miner, record);
        }
        self.home.store_miners(&self.miners.take_changed()).await?;
        let now_s = (clock::unix_nanos() / 1_000_000_000) as i64;
        for (miner, record) in self.home.miners(*since_s, MAX_KNOWN as u32).await? {
            self.miners.remember(miner, record);
        }
        *since_s = now_s - OVERLAP_S;
        Ok(())
    }

    /// What the answers of miners say of them in all runs that are open to all miners. In a run with a
    /// list of its own they could confirm each other.
    async fn track_records(&self) -> BTreeMap<MinerId, TrackRecord> {
        let mut found: BTreeMap<MinerId, TrackRecord> = BTreeMap::new();
        let runs = self.open_runs();
        for run in runs.iter().filter(|run| !run.has_own_miners) {
            let read = |state: Option<&RunState>| -> Vec<(MinerId, TrackRecord)> {
                let track_records = state.into_iter().flat_map(|s| s.board().track_records());
                track_records
                    .map(|(miner, record)| (miner.clone(), record))
                    .collect()
            };
            for (miner, record) in run.coordinator.try_with_state(read).await {
                let merged = found.get(&miner).map_or(record, |one| one.with(record));
                found.insert(miner, merged);
            }
        }
        found
    }
}
