//! Miners of the reference network: an integer uid, `uid-N` here.

use naschain_consensus::MinerId;

/// Returns the uid of a miner of the reference network, or `None` for any other name.
pub fn legacy_uid(miner: &MinerId) -> Option<u32> {
    miner.uid()
}
