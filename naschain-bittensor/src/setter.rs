use std::path::Path;

use naschain_identity::Hotkey;
use parity_scale_codec::Encode;

use crate::call::SUBTENSOR;
use crate::client::{BlockRef, ChainClient, hex_text};
use crate::due::{Due, due};
use crate::error::{Error, Remedy};
use crate::extrinsic::{SigningTerms, public_key};
use crate::metagraph::Metagraph;
use crate::plan::Plan;
use crate::state_file::{Commit, Sent, StateFile};
use crate::storage::blake2_256;
use crate::timelock::TimelockSecrets;

/// Blocks after a failure before weights are sent again.
const RETRY_BLOCKS: u64 = 10;
/// Commits whose reveal is watched.
const MAX_COMMITS: usize = 16;
/// JSON-RPC codes by which a node says that it has not taken an extrinsic.
const NOT_TAKEN: [i64; 6] = [1010, 1011, 1012, 1014, 1015, 1016];

/// Sets the weights of one hotkey on one subnet, block by block.
///
/// What is sent is written to a file first, and the file is read again after a restart: as long as
/// the extrinsic's era has not ended, nothing else is sent. Whether it was included is read from the
/// finalised blocks alone, so nothing depends on what a node's pool says.
pub struct Setter {
    client: ChainClient,
    hotkey: Hotkey,
    netuid: u16,
    file: StateFile,
    /// The chain is not read before this block.
    not_before: u64,
}

/// What happened since the last block.
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice {
    /// Weights were set. `stored` says whether the chain has exactly these.
    Set {
        /// The block that included them.
        block: u64,
        /// Whether they were read back.
        stored: bool,
    },
    /// Weights were committed. `stored` says whether the chain has this commit.
    Committed {
        /// The block that included the commit.
        block: u64,
        /// The commit.
        commit: Commit,
        /// Whether it was read back.
        stored: bool,
    },
    /// A commit was revealed: the chain has its weights.
    Revealed(Commit),
    /// The last block for its reveal has passed, and the chain has other weights.
    NotRevealed(Commit),
    /// The call was included and failed; it will be made again.
    Failed(Error),
    /// The era has ended and no block includes the extrinsic.
    Expired(Sent),
}

/// What is to be done at a block.
#[derive(Debug)]
#[non_exhaustive]
pub enum NextStep {
    /// Weights are to be set now, with [`Setter::set`].
    Set(Box<Metagraph>),
    /// Something was sent, and its end is not known.
    InFlight {
        /// The last block that can include it.
        last_block: u64,
    },
    /// Nothing before this block.
    NotBefore(u64),
    /// The hotkey has no validator permit.
    NoPermit,
    /// The node is behind what this hotkey has done already.
    NodeBehind,
}

/// The result of [`Setter::turn`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Turn {
    /// The finalised block.
    pub block: BlockRef,
    /// What happened.
    pub notices: Vec<Notice>,
    /// What is to be done.
    pub next: NextStep,
}

impl Setter {
    /// Opens the file of what was sent. The chain is the one that `client` pins, else that of the
    /// file, else the first one that a node shows; of the first two, both must be the same.
    ///
    /// # Errors
    /// [`Error::StateFile`], and [`Error::Malformed`] if the genesis hash in the file is damaged.
    pub fn new(
        mut client: ChainClient,
        hotkey: Hotkey,
        netuid: u16,
        file: &Path,
    ) -> Result<Setter, Error> {
        let file = StateFile::open(file, netuid, hotkey.address())?;
        if !file.state.genesis.is_empty() {
            client.pin(&file.state.genesis)?;
        }
        Ok(Setter {
            client,
            hotkey,
            netuid,
            file,
            not_before: 0,
        })
    }

    /// The client, for further reading.
    pub fn client(&mut self) -> &mut ChainClient {
        &mut self.client
    }

    /// Waits for the next finalised block and says what happened and what is to be done.
    ///
    /// # Errors
    /// [`Error::remedy`] says what to do. Nothing is lost by an error: call it again.
    pub async fn turn(&mut self) -> Result<Turn, Error> {
        let block = self.client.next_head().await?;
        self.check_chain()?;
        let mut notices = Vec::new();
        let next = self.act(block, &mut notices).await?;
        Ok(Turn {
            block,
            notices,
            next,
        })
    }

    /// The file belongs to one chain.
    fn check_chain(&mut self) -> Result<(), Error> {
        let Some(genesis) = self.client.genesis() else {
            return Ok(());
        };
        let genesis = hex_text(&genesis);
        if self.file.state.genesis.is_empty() {
            self.file.state.genesis = genesis;
            return self.file.save();
        }
        if self.file.state.genesis != genesis {
            return Err(Error::WrongChain {
                endpoint: self.client.endpoint().unwrap_or_default().to_owned(),
                found: genesis,
                expected: self.file.state.genesis.clone(),
            });
        }
        Ok(())
    }

    async fn act(&mut self, block: BlockRef, notices: &mut Vec<Notice>) -> Result<NextStep, Error> {
        if block.number < self.file.state.settled_block {
            return Ok(NextStep::NodeBehind);
        }
        self.follow(block, notices).await?;
        self.watch_reveals(block, notices).await?;
        if let Some(sent) = &self.file.state.sent {
            let last_block = sent.last_block;
            return Ok(NextStep::InFlight { last_block });
        }
        if block.number < self.not_before {
            return Ok(NextStep::NotBefore(self.not_before));
        }
        let metagraph = self.client.metagraph(self.netuid, block).await?;
        let key = public_key(&self.hotkey);
        let uid = metagraph.uid(&key).ok_or_else(|| Error::NotRegistered {
            hotkey: self.hotkey.address().to_owned(),
            netuid: self.netuid,
        })?;
        Ok(match due(&metagraph, uid, self.file.state.settled_block) {
            Due::Now => NextStep::Set(Box::new(metagraph)),
            Due::NoPermit => NextStep::NoPermit,
            Due::NotBefore(not_before) => {
                self.not_before = not_before;
                NextStep::NotBefore(not_before)
            }
        })
    }

    /// Searches the finalised blocks for what was sent.
    async fn follow(&mut self, head: BlockRef, notices: &mut Vec<Notice>) -> Result<(), Error> {
        let Some(sent) = self.file.state.sent.clone() else {
            return Ok(());
        };
        for number in sent.searched + 1..=sent.last_block.min(head.number) {
            let hash = self.client.block_hash(number).await?;
            let hash = hash.ok_or_else(|| {
                Error::malformed("chain_getBlockHash", format!("block {number} is missing"))
            })?;
            let extrinsics = self.client.extrinsics(hash).await?;
            let mut hashes = extrinsics.iter().map(|bytes| hex_text(&blake2_256(bytes)));
            if let Some(place) = hashes.position(|found| found == sent.extrinsic) {
                let block = BlockRef { number, hash };
                return self
                    .included(&sent, block, place as u32, head, notices)
                    .await;
            }
            if let Some(sent) = &mut self.file.state.sent {
                sent.searched = number;
            }
        }
        if head.number >= sent.last_block {
            self.file.state.sent = None;
            notices.push(Notice::Expired(sent));
        }
        self.file.save()
    }

    /// Reads what became of an included extrinsic.
    async fn included(
        &mut self,
        sent: &Sent,
        block: BlockRef,
        place: u32,
        head: BlockRef,
        notices: &mut Vec<Notice>,
    ) -> Result<(), Error> {
        let runtime = self.client.runtime(block.hash).await?;
        let key = runtime.storage_key("System", "Events", &[])?;
        let events = self.client.storage(&[key], block.hash).await?.remove(0);
        let execution = runtime.execution(&events.unwrap_or_default(), place)?;
        let number = block.number;
        if let Some(name) = execution.failure {
            self.file.state.sent = None;
            self.file.save()?;
            self.not_before = head.number + RETRY_BLOCKS;
            let error = Error::Dispatch {
                block: number,
                name,
            };
            if error.remedy() == Remedy::Stop {
                return Err(error);
            }
            notices.push(Notice::Failed(error));
            return Ok(());
        }
        let notice = match &sent.commit {
            Some(commit) => Notice::Committed {
                block: number,
                commit: commit.clone(),
                stored: self.has_commit(commit, block).await?,
            },
            None => Notice::Set {
                block: number,
                stored: self.has_weights(&sent.weights, block).await?,
            },
        };
        let state = &mut self.file.state;
        state.settled_block = number;
        state.sent = None;
        state.commits.extend(sent.commit.clone());
        let surplus = state.commits.len().saturating_sub(MAX_COMMITS);
        state.commits.drain(..surplus);
        self.not_before = 0;
        self.file.save()?;
        notices.push(notice);
        Ok(())
    }

    /// Whether the chain has these weights of this hotkey at a block.
    async fn has_weights(&mut self, weights: &[(u16, u16)], at: BlockRef) -> Result<bool, Error> {
        let runtime = self.client.runtime(at.hash).await?;
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
        let runtime = self.client.runtime(at.hash).await?;
        let item = runtime.commits_item()?;
        let prefix = runtime.storage_key(SUBTENSOR, item, &[&self.netuid.encode()])?;
        let keys = self.client.keys(&prefix, at.hash).await?;
        let sealed = hex::decode(&commit.sealed).map_err(|error| self.file.problem(error))?;
        let values = self.client.storage(&keys, at.hash).await?;
        let mut values = values.iter().flatten();
        Ok(values.any(|value| value.windows(sealed.len()).any(|part| part == sealed)))
    }

    /// Looks whether commits have become weights.
    async fn watch_reveals(
        &mut self,
        head: BlockRef,
        notices: &mut Vec<Notice>,
    ) -> Result<(), Error> {
        for commit in self.file.state.commits.clone() {
            if head.number < commit.reveal_block {
                continue;
            }
            // The revealing block itself, as later ones may have other weights already.
            let at = head.number.min(commit.last_reveal_block);
            let hash = self.client.block_hash(at).await?;
            let at = BlockRef {
                number: at,
                hash: hash.unwrap_or(head.hash),
            };
            let notice = if self.has_weights(&commit.weights, at).await? {
                Notice::Revealed(commit.clone())
            } else if head.number >= commit.last_reveal_block {
                Notice::NotRevealed(commit.clone())
            } else {
                continue;
            };
            notices.push(notice);
            self.file.state.commits.retain(|other| *other != commit);
            self.file.save()?;
        }
        Ok(())
    }

    /// The call that [`set`](Setter::set) would send now; `None` if the epoch ends too soon for a
    /// commit.
    ///
    /// # Errors
    /// As [`Metagraph::plan`], and [`Error::Randomness`].
    pub fn plan(
        &self,
        metagraph: &Metagraph,
        weights: &[(u16, u16)],
    ) -> Result<Option<Plan>, Error> {
        metagraph.plan(weights, &self.hotkey, &TimelockSecrets::generate()?)
    }

    /// Signs and sends weights, sorted by uid, at the block of the metagraph. Returns what was sent;
    /// `None` if nothing was, because something is in flight or the epoch ends too soon.
    ///
    /// # Errors
    /// [`Error::remedy`] says what to do. After [`Error::Connection`] the extrinsic may have been
    /// taken; [`turn`](Setter::turn) will tell.
    pub async fn set(
        &mut self,
        metagraph: &Metagraph,
        weights: &[(u16, u16)],
    ) -> Result<Option<Sent>, Error> {
        if self.file.state.sent.is_some() {
            return Ok(None);
        }
        let block = metagraph.block;
        let plan = match self.plan(metagraph, weights) {
            Ok(Some(plan)) => plan,
            result => {
                self.not_before = block.number + 1;
                return result.map(|_| None);
            }
        };
        let key = public_key(&self.hotkey);
        let runtime = &metagraph.runtime;
        let nonce = self.client.nonce(runtime, &key, block.hash).await?;
        let genesis = self.client.genesis().unwrap_or_default();
        let terms = SigningTerms::new(genesis, block.number, block.hash, nonce);
        let extrinsic = runtime.sign(&plan.call, &terms, &self.hotkey)?;
        let sent = Sent {
            nonce,
            extrinsic: hex_text(&extrinsic.hash),
            last_block: terms.last_block(),
            searched: block.number,
            weights: plan.weights,
            commit: plan.commit,
        };
        self.file.state.sent = Some(sent.clone());
        self.file.save()?;
        match self.client.submit(&extrinsic.bytes).await {
            Ok(()) => Ok(Some(sent)),
            Err(error) => {
                if matches!(&error, Error::Refused { code, .. } if NOT_TAKEN.contains(code)) {
                    self.file.state.sent = None;
                    self.file.save()?;
                    self.not_before = block.number + RETRY_BLOCKS;
                }
                Err(error)
            }
        }
    }
}
