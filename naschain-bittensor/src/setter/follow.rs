//! What became of an extrinsic that was sent.

use parity_scale_codec::Encode;

use crate::call::SUBTENSOR;
use crate::client::{BlockRef, hex_text};
use crate::error::{Error, Remedy};
use crate::extrinsic::public_key;
use crate::setter::{Notice, RETRY_BLOCKS, STATE_BLOCKS, Setter};
use crate::state_file::{Commit, Sent};
use crate::storage::blake2_256;

/// Commits whose reveal is watched.
const MAX_COMMITS: usize = 16;

impl Setter {
    /// Searches the finalised blocks for what was sent.
    pub(super) async fn follow(&mut self, head: BlockRef) -> Result<(), Error> {
        let Some(sent) = self.file.state.sent.clone() else {
            return Ok(());
        };
        // An era is shorter, so it has ended.
        if sent.searched + STATE_BLOCKS < head.number && sent.last_block < head.number {
            return self.settle_late(sent, head).await;
        }
        for number in sent.searched + 1..=sent.last_block.min(head.number) {
            let hash = self.client.block_hash(number).await?;
            let hash = hash.ok_or_else(|| {
                Error::malformed("chain_getBlockHash", format!("block {number} is missing"))
            })?;
            let extrinsics = self.client.extrinsics(hash).await?;
            let mut hashes = extrinsics.iter().map(|bytes| hex_text(&blake2_256(bytes)));
            if let Some(place) = hashes.position(|found| found == sent.extrinsic) {
                let block = BlockRef { number, hash };
                return self.included(&sent, block, place as u32, head).await;
            }
            if let Some(sent) = &mut self.file.state.sent {
                sent.searched = number;
            }
        }
        if head.number >= sent.last_block {
            self.file.state.sent = None;
            self.notices.push(Notice::Expired(sent));
        }
        self.file.save()
    }

    /// Settles by the latest state what became of an extrinsic whose blocks are too old to be read.
    async fn settle_late(&mut self, sent: Sent, head: BlockRef) -> Result<(), Error> {
        let metagraph = self.client.metagraph(self.netuid, head).await?;
        let uid = metagraph.uid(&public_key(&self.hotkey));
        let updated = uid.and_then(|uid| metagraph.last_update.get(usize::from(uid)).copied());
        let blocks = sent.searched + 1..=sent.last_block;
        let block = updated.filter(|block| blocks.contains(block));
        let state = &mut self.file.state;
        state.settled_block = state.settled_block.max(block.unwrap_or(0));
        state.sent = None;
        self.wait = 0..0;
        self.file.save()?;
        self.notices.push(Notice::Late { sent, block });
        Ok(())
    }

    /// Reads what became of an included extrinsic.
    async fn included(
        &mut self,
        sent: &Sent,
        block: BlockRef,
        place: u32,
        head: BlockRef,
    ) -> Result<(), Error> {
        let events = self.events(block).await?;
        let runtime = self.client.executing_runtime(block).await?;
        let execution = runtime.execution(&events, place)?;
        let number = block.number;
        if let Some(name) = execution.failure {
            self.file.state.sent = None;
            self.file.save()?;
            self.wait = head.number..head.number.saturating_add(RETRY_BLOCKS);
            let error = Error::Dispatch {
                block: number,
                name,
            };
            if error.remedy() == Remedy::Stop {
                return Err(error);
            }
            self.notices.push(Notice::Failed(error));
            return Ok(());
        }
        let mut commits = Vec::new();
        let notice = match &sent.commit {
            Some(commit) => {
                let commit = self.included_commit(commit, block).await?;
                commits.push(commit.clone());
                let stored = self.has_commit(&commit, block).await?;
                Notice::Committed {
                    block: number,
                    commit,
                    stored,
                }
            }
            None => Notice::Set {
                block: number,
                stored: self.has_weights(&sent.weights, block).await?,
            },
        };
        let state = &mut self.file.state;
        state.settled_block = number;
        state.sent = None;
        state.commits.append(&mut commits);
        let surplus = state.commits.len().saturating_sub(MAX_COMMITS);
        state.commits.drain(..surplus);
        self.wait = 0..0;
        self.file.save()?;
        self.notices.push(notice);
        Ok(())
    }

    /// A commit with the blocks that can reveal it. The epoch may have ended while it waited in the
    /// pool, which delays its reveal.
    async fn included_commit(&mut self, commit: &Commit, at: BlockRef) -> Result<Commit, Error> {
        let metagraph = self.client.metagraph(self.netuid, at).await?;
        let (schedule, period) = (metagraph.schedule, metagraph.reveal_period);
        let blocks = schedule.reveal_blocks(at.number, period);
        Ok(Commit {
            reveal_block: *blocks.start(),
            last_reveal_block: *blocks.end(),
            ..commit.clone()
        })
    }

    /// The content of `System.Events` at a block.
    pub(super) async fn events(&mut self, at: BlockRef) -> Result<Vec<u8>, Error> {
        let runtime = self.client.executing_runtime(at).await?;
        let key = runtime.storage_key("System", "Events", &[])?;
        let events = self.client.storage(&[key], at.hash).await?.remove(0);
        Ok(events.unwrap_or_default())
    }

    /// Whether the chain has these weights of this hotkey at a block.
    pub(super) async fn has_weights(
        &mut self,
        weights: &[(u16, u16)],
        at: BlockRef,
    ) -> Result<bool, Error> {
        let runtime = self.client.executing_runtime(at).await?;
        let keys: [&[u8]; 2] = [&self.netuid.encode(), &public_key(&self.hotkey)];
        let key = runtime.storage_key(SUBTENSOR, "Uids", &keys)?;
        let value = self.client.storage(&[key], at.hash).await?.remove(0);
        let Some(uid) = runtime.stored(SUBTENSOR, "Uids", value.as_deref())? else {
            return Ok(false);
        };
        let (client, netuid) = (&mut self.client, self.netuid);
        let mut found = client.weights(&runtime, netuid, uid, at.hash).await?;
        found.sort_unstable();
        Ok(found == weights)
    }

    /// Whether the chain has this commit at a block.
    async fn has_commit(&mut self, commit: &Commit, at: BlockRef) -> Result<bool, Error> {
        let runtime = self.client.executing_runtime(at).await?;
        let item = runtime.commits_item()?;
        let prefix = runtime.storage_key(SUBTENSOR, item, &[&self.netuid.encode()])?;
        let keys = self.client.keys(&prefix, at.hash).await?;
        let sealed = hex::decode(&commit.sealed).map_err(|error| self.file.problem(error))?;
        let values = self.client.storage(&keys, at.hash).await?;
        let mut values = values.iter().flatten();
        Ok(values.any(|value| value.windows(sealed.len()).any(|part| part == sealed)))
    }
}
