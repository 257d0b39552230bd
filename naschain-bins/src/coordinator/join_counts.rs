//! Rate limit of joins.

use std::collections::BTreeMap;

use naschain_consensus::{Millis, MinerId};

use crate::coordinator::call_error::CallError;

/// Maximum number of a miner's joins per minute; more would only make the journal grow.
const JOINS_PER_MINUTE: u32 = 6;
const MINUTE_MS: u64 = 60_000;

/// Number of joins of each miner in the current minute.
#[derive(Default)]
pub(crate) struct JoinCounts {
    minute: u64,
    counts: BTreeMap<MinerId, u32>,
}

impl JoinCounts {
    /// Counts a join that is going to be journaled.
    pub(crate) fn add(&mut self, miner: &MinerId, now: Millis) -> Result<(), CallError> {
        let minute = now.0 / MINUTE_MS;
        if minute != self.minute {
            self.minute = minute;
            self.counts.clear();
        }
        let count = self.counts.entry(miner.clone()).or_default();
        if *count >= JOINS_PER_MINUTE {
            return Err(CallError::JoinsTooOften {
                miner: miner.clone(),
                limit: JOINS_PER_MINUTE,
                wait_s: (MINUTE_MS - now.0 % MINUTE_MS).div_ceil(1_000),
            });
        }
        *count += 1;
        Ok(())
    }
}
