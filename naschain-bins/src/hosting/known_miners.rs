//! What is known of miners, in all runs and at all genomasters of a home.

use anyhow::Result;
use naschain_consensus::{MinerId, TrackRecord};
use naschain_run::RunState;

use crate::home::miners::StoredRecord;
use crate::home::now_s;
use crate::hosting::host::Host;
use crate::server::known_miners::MAX_KNOWN;

/// Seconds that are read again, because the clocks of genomasters differ.
const OVERLAP_S: i64 = 60;

impl Host {
    /// Stores what is known of miners here, and reads what others have stored since `since_s`, in seconds
    /// since 1970.
    pub(super) async fn share_miners(&self, since_s: &mut i64) -> Result<()> {
        self.note_records().await;
        let changed = self.miners.take_changed().into_iter();
        let changed: Vec<StoredRecord> = changed
            .map(|(miner, run, record)| StoredRecord { miner, run, record })
            .collect();
        self.home.store_miners(&changed).await?;
        let now_s = now_s();
        for stored in self.home.miners(*since_s, MAX_KNOWN as u32).await? {
            self.miners
                .note(stored.miner, stored.run, stored.record, false);
        }
        *since_s = now_s - OVERLAP_S;
        Ok(())
    }

    /// Notes what the answers of miners say of them in all runs that are open to all miners. In a run with
    /// a list of its own they could confirm each other.
    async fn note_records(&self) {
        let runs = self.open_runs();
        for run in runs.iter().filter(|run| !run.has_own_miners) {
            let read = |state: Option<&RunState>| -> Vec<(MinerId, TrackRecord)> {
                let records = state.into_iter().flat_map(|s| s.board().track_records());
                records
                    .map(|(miner, record)| (miner.clone(), record))
                    .collect()
            };
            for (miner, record) in run.coordinator.try_with_state(read).await {
                if self.miners.has(&miner) {
                    self.miners.note(miner, run.id, record, true);
                }
            }
        }
    }
}
