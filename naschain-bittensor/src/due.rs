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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::client::BlockRef;
    use crate::metadata::Runtime;
    use crate::schedule::Schedule;
    use proptest::prelude::*;

    /// A subnet whose only uid has a permit and was updated in block `updated`.
    fn metagraph(block: u64, updated: u64, tempo: u16, rate_limit: u64, cutoff: u64) -> Metagraph {
        let hash = [0; 32];
        Metagraph {
            block: BlockRef {
                number: block,
                hash,
            },
            time_ms: 0,
            block_ms: 12_000,
            netuid: 3,
            hotkeys: vec![[1; 32]],
            permits: vec![true],
            last_update: vec![updated],
            rate_limit,
            version_key: 0,
            min_weights: 1,
            max_weight: u16::MAX,
            activity_cutoff: cutoff,
            commit_reveal: false,
            commit_reveal_version: 4,
            reveal_period: 1,
            schedule: Schedule::Modulo { netuid: 3, tempo },
            runtime: Arc::new(Runtime::without_pallets()),
        }
    }

    /// The runtime's number of the epoch of a block.
    fn epoch(block: u64, tempo: u16) -> u64 {
        (block + 4) / (u64::from(tempo) + 1)
    }

    proptest! {
        #[test]
        fn weights_are_due_in_each_epoch_and_by_age_as_the_rate_limit_allows(
            block in 1000u64..5000, age in 0u64..900, tempo in 1u16..400, rate in 0u64..300,
            cutoff in 2u64..1500, settled_age in 0u64..900,
        ) {
            let (updated, settled) = (block - age, block - settled_age);
            let last = updated.max(settled);
            // By the definition, block by block.
            let is_due = |at: u64| {
                let is_other_epoch = epoch(at, tempo) > epoch(last, tempo);
                at - last >= rate && (is_other_epoch || at - last >= cutoff / 2)
            };
            let expected = if is_due(block) {
                Due::Now
            } else {
                Due::NotBefore((block..).find(|at| is_due(*at)).unwrap())
            };
            let metagraph = metagraph(block, updated, tempo, rate, cutoff);
            prop_assert_eq!(due(&metagraph, 0, settled), expected);
        }
    }

    #[test]
    fn a_hotkey_without_permit_waits_and_one_that_never_set_weights_does_not() {
        let mut new = metagraph(1000, 0, 99, 500, 5_000);
        assert_eq!(due(&new, 0, 0), Due::Now);
        // Known from the validator's own file, of which a node that is behind knows nothing.
        assert!(matches!(due(&new, 0, 990), Due::NotBefore(_)));
        new.permits = vec![false];
        assert_eq!(due(&new, 0, 0), Due::NoPermit);
        new.permits = Vec::new();
        assert_eq!(due(&new, 0, 0), Due::NoPermit);
    }
}
