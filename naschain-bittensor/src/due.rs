use crate::metagraph::Metagraph;

/// Whether weights are to be set now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Due {
    /// They are.
    Now,
    /// Not before this block.
    NotBefore(u64),
    /// The hotkey has no validator permit: the chain refuses its weights.
    NoPermit,
}

/// Weights are set once in each epoch of the subnet, by the number of blocks alone: at the first block
/// of an epoch after the last setting that the rate limit allows, and in any case long before the
/// activity cutoff. `settled_block` is the block in which weights were last set as far as the
/// validator itself knows, for a node that is behind.
pub fn due(metagraph: &Metagraph, uid: u16, settled_block: u64) -> Due {
    let place = usize::from(uid);
    if metagraph.permits.get(place) != Some(&true) {
        return Due::NoPermit;
    }
    let updated = metagraph.last_update.get(place).copied().unwrap_or(0);
    let last = updated.max(settled_block);
    let schedule = metagraph.schedule;
    let block = metagraph.block.number;
    let start = schedule.epoch_start(block);
    // The chain's mark for never.
    if last == 0 {
        return Due::Now;
    }
    let next_epoch = if last < start {
        start
    } else {
        start.saturating_add(schedule.period())
    };
    let by_age = last.saturating_add(metagraph.activity_cutoff / 2);
    let by_rate = last.saturating_add(metagraph.rate_limit);
    let earliest = next_epoch.min(by_age).max(by_rate);
    if earliest <= block {
        Due::Now
    } else {
        Due::NotBefore(earliest)
    }
}
