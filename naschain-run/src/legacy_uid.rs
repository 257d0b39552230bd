//! Miners of the reference network: an integer uid, `uid-N` here.

use naschain_consensus::MinerId;

/// Returns the uid of a miner of the reference network, or `None` for any other name.
pub fn legacy_uid(miner: &MinerId) -> Option<u32> {
    let digits = miner.as_str().strip_prefix("uid-")?;
    let uid: u32 = digits.parse().ok()?;
    (uid.to_string() == digits).then_some(uid)
}
