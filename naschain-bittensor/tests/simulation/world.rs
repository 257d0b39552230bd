//! A node, a validator's hotkey and its file.

use std::path::PathBuf;

use naschain_bittensor::{ChainClient, Error, Metagraph, NextStep, Notice, Setter, Turn};
use naschain_identity::{Hotkey, ss58};

use crate::chain::{Chain, Key, NETUID};
use crate::node::Node;

pub(crate) struct World {
    pub(crate) node: Node,
    pub(crate) hotkey: Hotkey,
    pub(crate) file: PathBuf,
}

pub(crate) fn key(hotkey: &Hotkey) -> Key {
    ss58::decode(hotkey.address()).unwrap()
}

impl World {
    /// Uid 0 is the validator; 1 to 4 are miners with the keys `[uid; 32]`.
    pub(crate) async fn new(test: &str) -> World {
        let hotkey = Hotkey::from_seed(&[9; 32]);
        let keys = [key(&hotkey), [1; 32], [2; 32], [3; 32], [4; 32]];
        let node = Node::start(Chain::new([0xa5; 32], &keys)).await;
        let name = format!("naschain-chain-{test}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        World {
            node,
            hotkey,
            file: folder.join("weights.json"),
        }
    }

    pub(crate) fn setter(&self) -> Setter {
        let client = ChainClient::new(&[self.node.url()], None).unwrap();
        Setter::new(client, self.hotkey.clone(), NETUID, &self.file).unwrap()
    }

    /// Makes one block and lets the validator see the latest finalised one.
    pub(crate) async fn block(&self, setter: &mut Setter) -> Result<Turn, Error> {
        self.blocks(setter, 1).await
    }

    pub(crate) async fn blocks(&self, setter: &mut Setter, count: u64) -> Result<Turn, Error> {
        self.node.shared.advance(count);
        let finalized = self.node.shared.chain.lock().unwrap().finalized();
        loop {
            let turn = setter.turn().await?;
            let happened = !turn.notices.is_empty() || matches!(turn.next, NextStep::Set(_));
            if turn.block.number >= finalized || happened {
                return Ok(turn);
            }
        }
    }

    /// Blocks until weights are to be set.
    pub(crate) async fn until_due(&self, setter: &mut Setter) -> Box<Metagraph> {
        for _ in 0..1_000 {
            if let NextStep::Set(metagraph) = self.block(setter).await.unwrap().next {
                return metagraph;
            }
        }
        panic!("weights are never due");
    }

    /// Blocks until something happened; returns it with the number of blocks.
    pub(crate) async fn until_notice(&self, setter: &mut Setter) -> (Notice, u64) {
        for blocks in 1..1_000 {
            let mut turn = self.block(setter).await.unwrap();
            if let Some(notice) = turn.notices.pop() {
                return (notice, blocks);
            }
        }
        panic!("nothing happens");
    }

    pub(crate) fn sets(&self) -> usize {
        self.node.shared.chain.lock().unwrap().sets.len()
    }

    pub(crate) fn submitted(&self) -> u64 {
        *self.node.shared.submitted.lock().unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.file.parent().unwrap());
    }
}
