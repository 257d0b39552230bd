use std::ops::RangeInclusive;

use crate::timelock::{round_at, round_time_ms};

/// Blocks between a round and the block that needs it. The chain stores rounds some blocks after
/// they are published.
const MARGIN_BLOCKS: u64 = 3;

/// When a subnet's epochs end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// By the block's number: where `(block + netuid + 1) mod (tempo + 1)` is `tempo`, the last block
    /// of an epoch (runtimes before May 2026).
    Modulo {
        /// The subnet.
        netuid: u16,
        /// Length of an epoch less one block.
        tempo: u16,
    },
    /// By a counter: `tempo` blocks after the last one (later runtimes).
    Counter {
        /// The block at which the current epoch began.
        last_epoch_block: u64,
        /// Length of an epoch in blocks.
        tempo: u16,
    },
}

/// When a commit is to be revealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reveal {
    /// Round of drand whose signature decrypts the commit.
    pub round: u64,
    /// The block that decrypts it, or the first that can.
    pub block: u64,
    /// After this block it is not revealed any more.
    pub last_block: u64,
}

impl Schedule {
    /// Blocks from the beginning of one epoch to that of the next.
    pub fn period(&self) -> u64 {
        match self {
            Schedule::Modulo { tempo, .. } => u64::from(*tempo) + 1,
            Schedule::Counter { tempo, .. } => u64::from(*tempo).max(1),
        }
    }

    /// The first block of the epoch to which a block belongs.
    pub fn epoch_start(&self, block: u64) -> u64 {
        match self {
            Schedule::Modulo { netuid, .. } => {
                let offset = block.saturating_add(u64::from(*netuid) + 1) % self.period();
                block.saturating_sub(offset)
            }
            Schedule::Counter {
                last_epoch_block, ..
            } => (*last_epoch_block).min(block),
        }
    }

    /// The blocks that can reveal a commit which this block includes.
    pub fn reveal_blocks(&self, block: u64, reveal_period: u64) -> RangeInclusive<u64> {
        let (period, epochs) = (self.period(), reveal_period.max(1));
        match self {
            // Commits are revealed once, in the last block of an epoch.
            Schedule::Modulo { netuid, .. } => {
                let offset = block.saturating_add(u64::from(*netuid) + 1) % period;
                let last = block.saturating_add(epochs.saturating_mul(period)) - 1 - offset;
                last..=last
            }
            // Revealed as soon as the round is stored, in every block of the epoch.
            Schedule::Counter { .. } => {
                let first = self.epoch_start(block);
                let first = first.saturating_add(epochs.saturating_mul(period));
                first..=first.saturating_add(period - 1)
            }
        }
    }

    /// When a commit of this block, whose time is in milliseconds since 1970, is to be revealed.
    /// `None` if the epoch ends so soon that the commit could miss it.
    pub fn reveal(
        &self,
        block: u64,
        time_ms: u64,
        block_ms: u64,
        reveal_period: u64,
    ) -> Option<Reveal> {
        let blocks = self.reveal_blocks(block, reveal_period);
        let after = |target: u64| time_ms.saturating_add((target - block).saturating_mul(block_ms));
        let round = match self {
            Schedule::Modulo { .. } => {
                // A commit is lost if the round is not stored by then.
                let safe = blocks.start().saturating_sub(MARGIN_BLOCKS);
                if safe <= block.saturating_add(MARGIN_BLOCKS) {
                    return None;
                }
                // The last round that is published before.
                let round = round_at(after(safe));
                if round_time_ms(round) > after(safe) {
                    round - 1
                } else {
                    round
                }
            }
            Schedule::Counter { .. } => {
                if *blocks.start() <= block.saturating_add(MARGIN_BLOCKS) {
                    return None;
                }
                round_at(after(blocks.start().saturating_add(MARGIN_BLOCKS)))
            }
        };
        Some(Reveal {
            round,
            block: *blocks.start(),
            last_block: *blocks.end(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `should_run_epoch` and `get_epoch_index` as the runtime defines them.
    fn runs(netuid: u64, tempo: u64, block: u64) -> bool {
        tempo - (block + netuid + 1) % (tempo + 1) == 0
    }

    fn index(netuid: u64, tempo: u64, block: u64) -> u64 {
        (block + netuid + 1) / (tempo + 1)
    }

    proptest! {
        #[test]
        fn commits_are_revealed_in_the_block_that_the_runtime_reveals_them_in(
            netuid in 0u16..200, tempo in 20u16..400, block in 1000u64..100_000, period in 1u64..5,
        ) {
            let schedule = Schedule::Modulo { netuid, tempo };
            let time_ms = 1_790_000_000_000;
            let Some(reveal) = schedule.reveal(block, time_ms, 12_000, period) else {
                return Ok(());
            };
            let (netuid, tempo) = (u64::from(netuid), u64::from(tempo));
            // The runtime looks for commits of the epoch `index - (period - 1)`.
            let expected = (block..).find(|later| {
                runs(netuid, tempo, *later)
                    && index(netuid, tempo, *later) == index(netuid, tempo, block) + (period - 1)
            });
            prop_assert_eq!(Some(reveal.block), expected);
            let reveal_ms = time_ms + (reveal.block - block) * 12_000;
            prop_assert!(round_time_ms(reveal.round) + 36_000 <= reveal_ms);
            prop_assert!(round_time_ms(reveal.round) + 39_000 > reveal_ms);
            prop_assert!(round_time_ms(reveal.round) > time_ms);
        }
    }

    #[test]
    fn a_counter_reveals_in_every_block_of_the_epoch_and_counts_from_that_of_the_inclusion() {
        let schedule = |last_epoch_block| Schedule::Counter {
            last_epoch_block,
            tempo: 360,
        };
        let (before, after) = (schedule(10_000), schedule(10_360));
        let reveal = before.reveal(10_100, 1_790_000_000_000, 12_000, 2).unwrap();
        assert_eq!((reveal.block, reveal.last_block), (10_720, 11_079));
        assert_eq!(before.reveal_blocks(10_100, 2), 10_720..=11_079);
        // Sent in one epoch, included in the next.
        assert_eq!(after.reveal_blocks(10_365, 2), 11_080..=11_439);
        // A round that is published some blocks after the epoch has begun, and not before.
        let first_ms = 1_790_000_000_000 + (10_720 - 10_100) * 12_000;
        assert!(round_time_ms(reveal.round) > first_ms);
        // What a hostile node says is no reason to panic.
        let far = Schedule::Counter {
            last_epoch_block: 5,
            tempo: 0,
        };
        assert_eq!(far.reveal_blocks(u64::MAX, u64::MAX), u64::MAX..=u64::MAX);
        let _ = far.reveal(10, u64::MAX, u64::MAX, u64::MAX);
    }

    #[test]
    fn the_start_of_an_epoch_follows_its_last_block() {
        let schedule = Schedule::Modulo {
            netuid: 1,
            tempo: 360,
        };
        let last = (1000..).find(|block| runs(1, 360, *block)).unwrap();
        assert_eq!(schedule.epoch_start(last + 1), last + 1);
        assert_eq!(schedule.epoch_start(last + 361), last + 1);
        // Too late in the epoch for a round that is stored in time.
        assert_eq!(
            schedule.reveal(last - 4, 1_790_000_000_000, 12_000, 1),
            None
        );
    }
}
