use std::sync::Arc;

use parity_scale_codec::{Decode, Encode};

use crate::call::SUBTENSOR;
use crate::client::{BlockRef, ChainClient};
use crate::error::Error;
use crate::metadata::Runtime;
use crate::schedule::Schedule;

/// What a validator has to know of a subnet, all at one block.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Metagraph {
    /// The block.
    pub block: BlockRef,
    /// The block's time in milliseconds since 1970.
    pub time_ms: u64,
    /// Intended time between two blocks in milliseconds.
    pub block_ms: u64,
    /// The subnet.
    pub netuid: u16,
    /// The public key of each uid's hotkey, in the order of uids.
    pub hotkeys: Vec<[u8; 32]>,
    /// Whether each uid may set weights of others.
    pub permits: Vec<bool>,
    /// The block in which each uid last set or committed weights, or was registered.
    pub last_update: Vec<u64>,
    /// Minimum number of blocks between two settings.
    pub rate_limit: u64,
    /// The version key that calls must have at least.
    pub version_key: u64,
    /// Minimum number of weights.
    pub min_weights: u16,
    /// Maximum share of one weight in 65,535ths; 65,535 is no limit.
    pub max_weight: u16,
    /// Number of blocks without setting weights after which the chain ignores a validator.
    pub activity_cutoff: u64,
    /// Whether weights are committed and revealed later.
    pub commit_reveal: bool,
    /// The version that commits must have.
    pub commit_reveal_version: u16,
    /// Number of epochs from a commit to its reveal.
    pub reveal_period: u64,
    /// When epochs end.
    pub schedule: Schedule,
    /// The runtime that executes the next block, for which calls are made.
    pub runtime: Arc<Runtime>,
}

impl Metagraph {
    /// The uid of a hotkey.
    pub fn uid(&self, hotkey: &[u8; 32]) -> Option<u16> {
        let place = self.hotkeys.iter().position(|found| found == hotkey)?;
        u16::try_from(place).ok()
    }
}

/// Values that are stored for each subnet, in the order of [`PerSubnet::ITEMS`].
struct PerSubnet<'a> {
    runtime: &'a Runtime,
    values: Vec<Option<Vec<u8>>>,
}

impl PerSubnet<'_> {
    const ITEMS: [&'static str; 13] = [
        "NetworksAdded",
        "SubnetworkN",
        "ValidatorPermit",
        "LastUpdate",
        "WeightsSetRateLimit",
        "WeightsVersionKey",
        "MinAllowedWeights",
        "MaxWeightsLimit",
        "ActivityCutoff",
        "CommitRevealWeightsEnabled",
        "RevealPeriodEpochs",
        "Tempo",
        "LastEpochBlock",
    ];
    /// Items that not all runtimes have.
    const OPTIONAL: [&'static str; 4] = [
        "MaxWeightsLimit",
        "ActivityCutoff",
        "RevealPeriodEpochs",
        "LastEpochBlock",
    ];

    /// A value; an optional item that the runtime does not have is `None`.
    fn read<T: Decode>(&self, item: &str) -> Result<Option<T>, Error> {
        if Self::OPTIONAL.contains(&item) && !self.runtime.has_storage(SUBTENSOR, item) {
            return Ok(None);
        }
        let place = Self::ITEMS.iter().position(|found| *found == item);
        let bytes = place.and_then(|place| self.values[place].as_deref());
        self.runtime.stored(SUBTENSOR, item, bytes)
    }

    fn required<T: Decode>(&self, item: &str) -> Result<T, Error> {
        let value = self.read(item)?;
        value.ok_or_else(|| Error::malformed(item, "it has no value"))
    }
}

impl ChainClient {
    async fn per_subnet<'a>(
        &mut self,
        runtime: &'a Runtime,
        netuid: u16,
        block: [u8; 32],
    ) -> Result<PerSubnet<'a>, Error> {
        let (mut keys, mut places) = (Vec::new(), Vec::new());
        for (place, item) in PerSubnet::ITEMS.iter().enumerate() {
            if PerSubnet::OPTIONAL.contains(item) && !runtime.has_storage(SUBTENSOR, item) {
                continue;
            }
            keys.push(runtime.storage_key(SUBTENSOR, item, &[&netuid.encode()])?);
            places.push(place);
        }
        let mut values = vec![None; PerSubnet::ITEMS.len()];
        for (place, value) in places.into_iter().zip(self.storage(&keys, block).await?) {
            values[place] = value;
        }
        Ok(PerSubnet { runtime, values })
    }

    /// Reads a subnet at a block.
    ///
    /// # Errors
    /// [`Error::NoSubnet`], [`Error::Missing`] if the runtime has not what is needed, or the errors of
    /// [`request`](ChainClient::request).
    pub async fn metagraph(&mut self, netuid: u16, block: BlockRef) -> Result<Metagraph, Error> {
        let runtime = self.executing_runtime(block).await?;
        let subnet = self.per_subnet(&runtime, netuid, block.hash).await?;
        if !subnet.read::<bool>("NetworksAdded")?.unwrap_or(false) {
            return Err(Error::NoSubnet { netuid });
        }
        let count: u16 = subnet.required("SubnetworkN")?;
        let tempo = subnet.required("Tempo")?;
        let schedule = match subnet.read("LastEpochBlock")? {
            Some(last_epoch_block) => Schedule::Counter {
                last_epoch_block,
                tempo,
            },
            None => Schedule::Modulo { netuid, tempo },
        };
        let time_ms = self
            .plain(&runtime, "Timestamp", "Now", block.hash)
            .await?
            .unwrap_or_default();
        let version = "CommitRevealWeightsVersion";
        let commit_reveal_version = if runtime.has_storage(SUBTENSOR, version) {
            self.plain(&runtime, SUBTENSOR, version, block.hash).await?
        } else {
            None
        };
        let half_ms: u64 = runtime.constant("Timestamp", "MinimumPeriod")?;
        let cutoff: Option<u16> = subnet.read("ActivityCutoff")?;
        Ok(Metagraph {
            block,
            time_ms,
            block_ms: half_ms.saturating_mul(2),
            netuid,
            permits: subnet.required("ValidatorPermit")?,
            last_update: subnet.required("LastUpdate")?,
            rate_limit: subnet.required("WeightsSetRateLimit")?,
            version_key: subnet.required("WeightsVersionKey")?,
            min_weights: subnet.required("MinAllowedWeights")?,
            max_weight: subnet.read("MaxWeightsLimit")?.unwrap_or(u16::MAX),
            activity_cutoff: u64::from(cutoff.unwrap_or(5_000)),
            commit_reveal: subnet.required("CommitRevealWeightsEnabled")?,
            commit_reveal_version: commit_reveal_version.unwrap_or_default(),
            reveal_period: subnet.read("RevealPeriodEpochs")?.unwrap_or(1),
            schedule,
            hotkeys: self.hotkeys(&runtime, netuid, count, block.hash).await?,
            runtime: self.runtime(block.hash).await?,
        })
    }

    /// The hotkey of each uid.
    async fn hotkeys(
        &mut self,
        runtime: &Runtime,
        netuid: u16,
        count: u16,
        block: [u8; 32],
    ) -> Result<Vec<[u8; 32]>, Error> {
        let netuid = netuid.encode();
        let key = |uid: u16| runtime.storage_key(SUBTENSOR, "Keys", &[&netuid, &uid.encode()]);
        let keys: Vec<_> = (0..count).map(key).collect::<Result<_, _>>()?;
        let mut hotkeys = Vec::with_capacity(keys.len());
        for (uid, value) in self.storage(&keys, block).await?.iter().enumerate() {
            let hotkey = runtime.stored(SUBTENSOR, "Keys", value.as_deref())?;
            hotkeys.push(hotkey.ok_or_else(|| {
                Error::malformed("SubtensorModule.Keys", format!("uid {uid} has no hotkey"))
            })?);
        }
        Ok(hotkeys)
    }

    /// The value of a storage item that is no map.
    pub(crate) async fn plain<T: Decode>(
        &mut self,
        runtime: &Runtime,
        pallet: &str,
        item: &str,
        block: [u8; 32],
    ) -> Result<Option<T>, Error> {
        let key = runtime.storage_key(pallet, item, &[])?;
        let value = self.storage(&[key], block).await?.remove(0);
        runtime.stored(pallet, item, value.as_deref())
    }

    /// The number of extrinsics that an account has sent.
    ///
    /// # Errors
    /// As [`request`](ChainClient::request).
    pub async fn nonce(
        &mut self,
        runtime: &Runtime,
        account: &[u8; 32],
        block: [u8; 32],
    ) -> Result<u32, Error> {
        let key = runtime.storage_key("System", "Account", &[account])?;
        // An account that nobody has paid to is not stored. The nonce is the first field.
        let Some(value) = self.storage(&[key], block).await?.remove(0) else {
            return Ok(0);
        };
        u32::decode(&mut &value[..]).map_err(|error| Error::malformed("System.Account", error))
    }

    /// The weights that a uid has set, as uids and weights; empty if none.
    ///
    /// # Errors
    /// As [`request`](ChainClient::request).
    pub async fn weights(
        &mut self,
        runtime: &Runtime,
        netuid: u16,
        uid: u16,
        block: [u8; 32],
    ) -> Result<Vec<(u16, u16)>, Error> {
        let keys: [&[u8]; 2] = [&netuid.encode(), &uid.encode()];
        let key = runtime.storage_key(SUBTENSOR, "Weights", &keys)?;
        let value = self.storage(&[key], block).await?.remove(0);
        let weights = runtime.stored(SUBTENSOR, "Weights", value.as_deref())?;
        Ok(weights.unwrap_or_default())
    }
}
