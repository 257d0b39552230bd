//! Whether commits have become weights.

use std::ops::RangeInclusive;

use crate::client::BlockRef;
use crate::error::Error;
use crate::extrinsic::public_key;
use crate::setter::{Notice, STATE_BLOCKS, Setter};
use crate::state_file::Commit;

impl Setter {
    /// Looks in the blocks that can reveal commits whether they have. Weights alone do not tell it,
    /// since they may be the same as before.
    pub(super) async fn watch_reveals(&mut self, head: BlockRef) -> Result<(), Error> {
        let oldest = head.number.saturating_sub(STATE_BLOCKS);
        for commit in self.file.state.commits.clone() {
            if head.number < commit.reveal_block {
                continue;
            }
            let first = commit.reveal_block.max(self.watched + 1);
            let last = commit.last_reveal_block.min(head.number);
            let runtime = self.client.runtime(head.hash).await?;
            let is_readable = first >= oldest && runtime.has_reveal_event();
            let notice = if self.is_revealed(&commit, first.max(oldest)..=last).await? {
                Notice::Revealed(commit.clone())
            } else if !is_readable {
                Notice::NotChecked(commit.clone())
            } else if head.number >= commit.last_reveal_block {
                Notice::NotRevealed(commit.clone())
            } else {
                continue;
            };
            self.file.state.commits.retain(|other| *other != commit);
            self.file.save()?;
            self.notices.push(notice);
        }
        self.watched = head.number;
        Ok(())
    }

    /// Whether one of these blocks has revealed a commit: it says so in an event, and has its weights.
    async fn is_revealed(
        &mut self,
        commit: &Commit,
        blocks: RangeInclusive<u64>,
    ) -> Result<bool, Error> {
        let hotkey = public_key(&self.hotkey);
        for number in blocks {
            let hash = self.client.block_hash(number).await?;
            let hash = hash.ok_or_else(|| {
                Error::malformed("chain_getBlockHash", format!("block {number} is missing"))
            })?;
            let block = BlockRef { number, hash };
            let events = self.events(block).await?;
            let runtime = self.client.executing_runtime(block).await?;
            if runtime.has_revealed(&events, self.netuid, &hotkey)?
                && self.has_weights(&commit.weights, block).await?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
