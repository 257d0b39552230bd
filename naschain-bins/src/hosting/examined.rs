//! Miners that have passed an examination, remembered for all runs and by all genomasters of a home.

use anyhow::Result;

use crate::clock;
use crate::hosting::host::Host;
use crate::server::admitted::MAX_ADMITTED;

/// Seconds that are read again, because the clocks of genomasters differ.
const OVERLAP_S: i64 = 60;

impl Host {
    /// Stores the hotkeys that have passed an examination here, and reads those that have elsewhere
    /// since `since_s`, in seconds since 1970.
    pub(super) async fn share_admitted(&self, since_s: &mut i64) -> Result<()> {
        self.home.admit(&self.admitted.take_new()).await?;
        let now_s = (clock::unix_nanos() / 1_000_000_000) as i64;
        let found = self.home.admitted(*since_s, MAX_ADMITTED as u32).await?;
        for miner in found {
            self.admitted.remember(miner);
        }
        *since_s = now_s - OVERLAP_S;
        Ok(())
    }
}
