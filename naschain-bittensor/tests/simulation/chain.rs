//! The simulated chain: blocks, storage, a pool, and the rules for weights that matter here.

use std::collections::{BTreeMap, BTreeSet};

use naschain_bittensor::{Runtime, blake2_256};
use naschain_identity::{is_signed_by, ss58};
use parity_scale_codec::{Compact, Decode, Encode};

use crate::runtime::{
    BLOCK_MS, DispatchError, EventRecord, ModuleError, Phase, RuntimeEvent, SubtensorError,
    SubtensorEvent, SystemEvent, metadata,
};

pub(crate) const NETUID: u16 = 7;
pub(crate) const TEMPO: u64 = 99;
pub(crate) const RATE_LIMIT: u64 = 50;
pub(crate) const CUTOFF: u64 = 500;
const GENESIS_MS: u64 = 1_790_000_000_000;
const PALLET: &str = "SubtensorModule";
/// Blocks whose state is kept.
const KEPT: u64 = 300;

pub(crate) type Key = [u8; 32];
type Storage = BTreeMap<Vec<u8>, Vec<u8>>;
/// A commit in the runtime's storage: hotkey, block, encrypted weights, round.
type StoredCommit = (Key, u64, Vec<u8>, u64);

#[derive(Clone)]
pub(crate) struct Block {
    pub(crate) extrinsics: Vec<Vec<u8>>,
    pub(crate) storage: Storage,
    pub(crate) spec_version: u32,
}

/// Weights that a call has set or committed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SetWeights {
    pub(crate) block: u64,
    pub(crate) hotkey: Key,
    pub(crate) weights: Vec<(u16, u16)>,
    /// The hotkeys of the uids in that block.
    pub(crate) receivers: Vec<Key>,
}

pub(crate) struct Chain {
    pub(crate) runtime: Runtime,
    pub(crate) genesis: Key,
    pub(crate) spec_version: u32,
    /// Whether the next block ends with an upgrade of the runtime.
    pub(crate) upgrades: bool,
    /// The specification from which on events have other numbers.
    pub(crate) renumbered_from: u32,
    pub(crate) transaction_version: u32,
    pub(crate) best: u64,
    pub(crate) blocks: BTreeMap<u64, Block>,
    /// How far finality is behind.
    pub(crate) lag: u64,
    pub(crate) pool: Vec<Vec<u8>>,
    /// The block that next includes extrinsics of the pool; 0 is the next one.
    pub(crate) include_from: u64,
    storage: Storage,
    pub(crate) hotkeys: Vec<Key>,
    pub(crate) permits: Vec<bool>,
    pub(crate) last_update: Vec<u64>,
    pub(crate) commit_reveal: bool,
    nonces: BTreeMap<Key, u32>,
    /// The weights in commits, as nobody here can decrypt them; others are lost.
    pub(crate) secrets: BTreeMap<Vec<u8>, Vec<(u16, u16)>>,
    commits: BTreeMap<u64, Vec<StoredCommit>>,
    pub(crate) revealed: BTreeSet<Vec<u8>>,
    pub(crate) sets: Vec<SetWeights>,
    pub(crate) failures: Vec<SubtensorError>,
}

impl Chain {
    pub(crate) fn new(genesis: Key, hotkeys: &[Key]) -> Chain {
        let spec_version = 400;
        let mut chain = Chain {
            runtime: Runtime::decode(&metadata(Vec::new()), spec_version, 1).unwrap(),
            genesis,
            spec_version,
            upgrades: false,
            renumbered_from: u32::MAX,
            transaction_version: 1,
            best: 0,
            blocks: BTreeMap::new(),
            lag: 0,
            pool: Vec::new(),
            include_from: 0,
            storage: Storage::new(),
            hotkeys: hotkeys.to_vec(),
            permits: vec![true; hotkeys.len()],
            last_update: vec![0; hotkeys.len()],
            commit_reveal: false,
            nonces: BTreeMap::new(),
            secrets: BTreeMap::new(),
            commits: BTreeMap::new(),
            revealed: BTreeSet::new(),
            sets: Vec::new(),
            failures: Vec::new(),
        };
        chain.put("NetworksAdded", &[&NETUID.encode()], &true);
        chain.put("WeightsSetRateLimit", &[&NETUID.encode()], &RATE_LIMIT);
        chain.put("ActivityCutoff", &[&NETUID.encode()], &(CUTOFF as u16));
        chain.put("Tempo", &[&NETUID.encode()], &(TEMPO as u16));
        chain.seal(Vec::new(), Vec::new());
        chain
    }

    fn put(&mut self, item: &str, keys: &[&[u8]], value: &impl Encode) {
        let key = self.runtime.storage_key(PALLET, item, keys).unwrap();
        self.storage.insert(key, value.encode());
    }

    pub(crate) fn hash(&self, number: u64) -> Key {
        if number == 0 {
            return self.genesis;
        }
        blake2_256(&(self.genesis, number).encode())
    }

    pub(crate) fn finalized(&self) -> u64 {
        self.best.saturating_sub(self.lag)
    }

    /// The block with this hash.
    pub(crate) fn block(&self, hash: &Key) -> Option<&Block> {
        let mut blocks = self.blocks.iter().rev();
        let found = blocks.find(|(number, _)| self.hash(**number) == *hash);
        found.map(|(_, block)| block)
    }

    /// Gives a uid to another hotkey.
    pub(crate) fn replace(&mut self, uid: u16, hotkey: Key) {
        let old = self.hotkeys[usize::from(uid)];
        let keys: [&[u8]; 2] = [&NETUID.encode(), &old];
        let key = self.runtime.storage_key(PALLET, "Uids", &keys).unwrap();
        self.storage.remove(&key);
        self.hotkeys[usize::from(uid)] = hotkey;
        self.last_update[usize::from(uid)] = self.best;
    }

    pub(crate) fn epoch(block: u64) -> u64 {
        (block + u64::from(NETUID) + 1) / (TEMPO + 1)
    }

    /// Makes one block with what is in the pool.
    pub(crate) fn advance(&mut self) {
        self.best += 1;
        let mut events = self.reveal();
        let mut extrinsics = Vec::new();
        if self.best >= self.include_from {
            for extrinsic in std::mem::take(&mut self.pool) {
                let Some((signer, call)) = self.verified(&extrinsic) else {
                    continue;
                };
                *self.nonces.entry(signer).or_default() += 1;
                let phase = Phase::ApplyExtrinsic(extrinsics.len() as u32);
                let event = match self.execute(signer, &call) {
                    Ok(()) => SystemEvent::ExtrinsicSuccess,
                    Err(error) => {
                        self.failures.push(error);
                        let error = [error as u8, 0, 0, 0];
                        let module = ModuleError { index: 7, error };
                        SystemEvent::ExtrinsicFailed {
                            dispatch_error: DispatchError::Module(module),
                        }
                    }
                };
                events.push(EventRecord {
                    phase,
                    event: RuntimeEvent::System(event),
                    topics: Vec::new(),
                });
                extrinsics.push(extrinsic);
            }
        }
        self.spec_version += u32::from(std::mem::take(&mut self.upgrades));
        self.seal(extrinsics, events);
    }

    /// Reveals the commits of the epoch that ends with this block, before its extrinsics.
    fn reveal(&mut self) -> Vec<EventRecord> {
        let epoch = Self::epoch(self.best);
        if Self::epoch(self.best + 1) == epoch {
            return Vec::new();
        }
        let mut events = Vec::new();
        for (hotkey, _, sealed, _) in self.commits.remove(&epoch).unwrap_or_default() {
            let Some(weights) = self.secrets.get(&sealed).cloned() else {
                continue;
            };
            self.put_weights(hotkey, &weights);
            self.revealed.insert(sealed);
            let event = SubtensorEvent::TimelockedWeightsRevealed(NETUID, hotkey);
            events.push(EventRecord {
                phase: Phase::Initialization,
                event: RuntimeEvent::SubtensorModule(event),
                topics: Vec::new(),
            });
        }
        self.put_commits(epoch);
        events
    }

    fn put_commits(&mut self, epoch: u64) {
        let commits = self.commits.get(&epoch).cloned().unwrap_or_default();
        let keys = [&NETUID.encode()[..], &epoch.encode()];
        self.put("TimelockedWeightCommits", &keys, &commits);
    }

    fn seal(&mut self, extrinsics: Vec<Vec<u8>>, events: Vec<EventRecord>) {
        let netuid = NETUID.encode();
        let (hotkeys, permits) = (self.hotkeys.clone(), self.permits.clone());
        let (updates, reveals) = (self.last_update.clone(), self.commit_reveal);
        self.put("SubnetworkN", &[&netuid], &(hotkeys.len() as u16));
        self.put("ValidatorPermit", &[&netuid], &permits);
        self.put("LastUpdate", &[&netuid], &updates);
        self.put("CommitRevealWeightsEnabled", &[&netuid], &reveals);
        for (uid, hotkey) in hotkeys.iter().enumerate() {
            let uid = uid as u16;
            self.put("Keys", &[&netuid, &uid.encode()], hotkey);
            self.put("Uids", &[&netuid, hotkey], &uid);
        }
        let key = |pallet: &str, item: &str| self.runtime.storage_key(pallet, item, &[]).unwrap();
        let (now, record) = (key("Timestamp", "Now"), key("System", "Events"));
        let time_ms = GENESIS_MS + self.best * BLOCK_MS;
        self.storage.insert(now, time_ms.encode());
        self.storage.insert(record, events.encode());
        for (account, nonce) in self.nonces.clone() {
            let key = self.runtime.storage_key("System", "Account", &[&account]);
            self.storage.insert(key.unwrap(), (nonce, 0_u32).encode());
        }
        let block = Block {
            extrinsics,
            storage: self.storage.clone(),
            spec_version: self.spec_version,
        };
        self.blocks.insert(self.best, block);
        if let Some(old) = self.best.checked_sub(KEPT).filter(|old| *old > 0) {
            self.blocks.remove(&old);
        }
    }

    /// Checks an extrinsic as the runtime does, by bytes: length, signer, signature, era, nonce, tip,
    /// mode, call. `None` if it is not valid now.
    pub(crate) fn verified(&self, extrinsic: &[u8]) -> Option<(Key, Vec<u8>)> {
        let mut input = extrinsic;
        let length = Compact::<u32>::decode(&mut input).ok()?.0;
        if length as usize != input.len() || input.first_chunk::<2>()? != &[0x84, 0] {
            return None;
        }
        input = &input[2..];
        let signer = Key::decode(&mut input).ok()?;
        let (kind, signature) = <(u8, [u8; 64])>::decode(&mut input).ok()?;
        let signed_extra = input;
        let era = u16::decode(&mut input).ok()?;
        let nonce = Compact::<u32>::decode(&mut input).ok()?.0;
        let tip = Compact::<u128>::decode(&mut input).ok()?.0;
        let mode = u8::decode(&mut input).ok()?;
        let extra = &signed_extra[..signed_extra.len() - input.len()];
        let expected = self.nonces.get(&signer).copied().unwrap_or_default();
        if (kind, tip, mode, era & 15, nonce) != (1, 0, 0, 5, expected) {
            return None;
        }
        // The latest block with the era's phase.
        let phase = u64::from(era >> 4);
        let birth = (0..64).map(|age| self.best.checked_sub(age));
        let birth = birth.flatten().find(|block| block % 64 == phase)?;
        let implied = (self.spec_version, self.transaction_version, self.genesis);
        let implied = (implied, self.hash(birth), None::<Key>).encode();
        let mut payload = [input, extra, &implied].concat();
        if payload.len() > 256 {
            payload = blake2_256(&payload).to_vec();
        }
        let valid = is_signed_by(&ss58::encode(&signer), &payload, &signature);
        valid.then(|| (signer, input.to_vec()))
    }

    fn execute(&mut self, signer: Key, call: &[u8]) -> Result<(), SubtensorError> {
        let mut input = &call[2..];
        let place = self.hotkeys.iter().position(|key| *key == signer);
        let uid = place.ok_or(SubtensorError::HotKeyNotRegisteredInSubNet)?;
        let last = self.last_update[uid];
        if last != 0 && self.best - last < RATE_LIMIT {
            return Err(SubtensorError::SettingWeightsTooFast);
        }
        match (call[1], self.commit_reveal) {
            (0, false) => {}
            (113, true) => {
                let (netuid, commit, round, version) =
                    <(u16, Vec<u8>, u64, u16)>::decode(&mut input).unwrap();
                assert_eq!((netuid, version, input.len()), (NETUID, 4, 0));
                self.record(
                    signer,
                    self.secrets.get(&commit).cloned().unwrap_or_default(),
                );
                let epoch = Self::epoch(self.best);
                let stored = (signer, self.best, commit, round);
                self.commits.entry(epoch).or_default().push(stored);
                self.put_commits(epoch);
                self.last_update[uid] = self.best;
                return Ok(());
            }
            (0, true) => return Err(SubtensorError::CommitRevealEnabled),
            _ => return Err(SubtensorError::CommitRevealDisabled),
        }
        if !self.permits[uid] {
            return Err(SubtensorError::NeuronNoValidatorPermit);
        }
        let (netuid, uids, values, version_key) =
            <(u16, Vec<u16>, Vec<u16>, u64)>::decode(&mut input).unwrap();
        assert_eq!((netuid, version_key, input.len()), (NETUID, 0, 0));
        assert_eq!(uids.len(), values.len());
        self.last_update[uid] = self.best;
        let weights: Vec<(u16, u16)> = uids.into_iter().zip(values).collect();
        self.put_weights(signer, &weights);
        self.record(signer, weights);
        Ok(())
    }

    fn put_weights(&mut self, hotkey: Key, weights: &[(u16, u16)]) {
        if let Some(uid) = self.hotkeys.iter().position(|key| *key == hotkey) {
            let keys = [&NETUID.encode()[..], &(uid as u16).encode()];
            self.put("Weights", &keys, &weights);
        }
    }

    fn record(&mut self, hotkey: Key, weights: Vec<(u16, u16)>) {
        self.sets.push(SetWeights {
            block: self.best,
            hotkey,
            weights,
            receivers: self.hotkeys.clone(),
        });
    }
}
