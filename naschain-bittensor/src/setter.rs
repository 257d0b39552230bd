mod follow;
mod reveals;

use std::ops::Range;
use std::path::Path;

use naschain_identity::Hotkey;

use crate::client::{BlockRef, ChainClient, hex_text};
use crate::due::{Due, due};
use crate::error::{Error, Remedy};
use crate::extrinsic::{ERA_BLOCKS, SigningTerms, public_key};
use crate::metagraph::Metagraph;
use crate::plan::Plan;
use crate::state_file::{Commit, Sent, StateFile};
use crate::timelock::TimelockSecrets;

/// Blocks after a failure before weights are sent again.
const RETRY_BLOCKS: u64 = 10;
/// The chain is read again after so many blocks, also if nothing is due yet.
const MAX_WAIT_BLOCKS: u64 = 50;
/// Blocks behind the latest finalised one whose state every node has. Nodes that are no archives keep
/// 256; the rest is for the time until an answer.
const STATE_BLOCKS: u64 = 200;
/// JSON-RPC codes by which a node says that it has not taken an extrinsic.
const NOT_TAKEN: [i64; 6] = [1010, 1011, 1012, 1014, 1015, 1016];

/// Sets the weights of one hotkey on one subnet, block by block.
///
/// What is sent is written to a file first, and the file is read again after a restart: as long as
/// the extrinsic's era has not ended, nothing else is sent. Whether it was included is read from the
/// finalised blocks alone, so nothing depends on what a node's pool says. After an outage so long that
/// nodes no longer have the state of those blocks, the latest one tells it.
pub struct Setter {
    client: ChainClient,
    hotkey: Hotkey,
    netuid: u16,
    file: StateFile,
    /// From the block at which the chain was last read to the one before which nothing is due.
    wait: Range<u64>,
    /// The events up to this block have been searched for reveals.
    watched: u64,
    /// What happened and was not returned yet, as an error followed.
    notices: Vec<Notice>,
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
    /// A commit was revealed: a block says so, and has its weights.
    Revealed(Commit),
    /// The last block for its reveal has passed, and none has revealed it.
    NotRevealed(Commit),
    /// Whether a commit was revealed is not known: the nodes no longer have the state of its blocks, or
    /// the runtime has no event for it.
    NotChecked(Commit),
    /// The call was included and failed; it will be made again.
    Failed(Error),
    /// The era has ended and no block includes the extrinsic.
    Expired(Sent),
    /// The era ended so long ago that the nodes no longer have the state of its blocks.
    Late {
        /// What was sent. If it was a commit, its reveal is not watched.
        sent: Sent,
        /// The block that included it by the chain's `LastUpdate`; `None` if that names none of its
        /// blocks.
        block: Option<u64>,
    },
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
    NodeBehind {
        /// The block at which it has signed, or set weights.
        seen: u64,
    },
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
            wait: 0..0,
            watched: 0,
            notices: Vec::new(),
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
        let turn = self.next_turn().await;
        self.leave_node(turn)
    }

    /// Leaves a node where the next one may help, such as one that lacks the state of a block.
    fn leave_node<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        if matches!(&result, Err(error) if error.remedy() == Remedy::Reconnect) {
            self.client.disconnect();
        }
        result
    }

    async fn next_turn(&mut self) -> Result<Turn, Error> {
        let block = self.client.next_head().await?;
        self.check_chain()?;
        let next = self.act(block).await?;
        Ok(Turn {
            block,
            notices: std::mem::take(&mut self.notices),
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

    /// The latest block at which something was signed, or that has set weights.
    fn seen(&self) -> u64 {
        let state = &self.file.state;
        let signed = |sent: &Sent| sent.last_block.saturating_sub(ERA_BLOCKS - 1);
        state
            .settled_block
            .max(state.sent.as_ref().map_or(0, signed))
    }

    async fn act(&mut self, block: BlockRef) -> Result<NextStep, Error> {
        let seen = self.seen();
        if block.number < seen {
            return Ok(NextStep::NodeBehind { seen });
        }
        self.follow(block).await?;
        self.watch_reveals(block).await?;
        if let Some(sent) = &self.file.state.sent {
            let last_block = sent.last_block;
            return Ok(NextStep::InFlight { last_block });
        }
        // Now and then the chain is read all the same: one node said how long to wait, and another may
        // say otherwise.
        let read_again = self.wait.start.saturating_add(MAX_WAIT_BLOCKS);
        if self.wait.contains(&block.number) && block.number < read_again {
            return Ok(NextStep::NotBefore(self.wait.end));
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
                self.wait = block.number..not_before;
                NextStep::NotBefore(not_before)
            }
        })
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
        let sent = self.send(metagraph, weights).await;
        self.leave_node(sent)
    }

    async fn send(
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
                self.wait = block.number..block.number.saturating_add(1);
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
                    self.wait = block.number..block.number.saturating_add(RETRY_BLOCKS);
                }
                Err(error)
            }
        }
    }
}
