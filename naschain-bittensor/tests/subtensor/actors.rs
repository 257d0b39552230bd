//! A subnet with a validator and miners, registered and staked by extrinsics.

use std::sync::Arc;

use naschain_bittensor::{
    Argument, BlockRef, ChainClient, Error, Metagraph, Runtime, SigningTerms, blake2_256,
};
use naschain_identity::{Hotkey, ss58};
use parity_scale_codec::Encode;
use serde_json::json;

/// The seed of Substrate's well-known development key Alice, the sudo key of the specification.
const ALICE: &str = "e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a";
pub(crate) const TEMPO: u16 = 50;
const TAO: u64 = 1_000_000_000;

pub(crate) struct Subnet {
    pub(crate) client: ChainClient,
    pub(crate) url: String,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) netuid: u16,
    /// The coldkey of all.
    pub(crate) alice: Hotkey,
    /// Uid 0, the owner's hotkey, with stake.
    pub(crate) validator: Hotkey,
    /// Uids 1 to 3.
    pub(crate) miners: Vec<Hotkey>,
}

pub(crate) fn key(hotkey: &Hotkey) -> [u8; 32] {
    ss58::decode(hotkey.address()).unwrap()
}

impl Subnet {
    pub(crate) async fn create(url: String) -> Subnet {
        let mut client = ChainClient::new(std::slice::from_ref(&url), None).unwrap();
        let head = client.finalized().await.unwrap();
        let runtime = client.runtime(head.hash).await.unwrap();
        println!("specification {}", runtime.spec_version);
        let seed = hex::decode(ALICE).unwrap().try_into().unwrap();
        let mut subnet = Subnet {
            client,
            url,
            runtime,
            netuid: 0,
            alice: Hotkey::from_seed(&seed),
            validator: Hotkey::from_seed(&[100; 32]),
            miners: (1..=3)
                .map(|number| Hotkey::from_seed(&[number; 32]))
                .collect(),
        };
        // The runtime allows a network every 7,200 blocks, counted from block 0. No extrinsic lets
        // time pass, and making that many blocks would take hours.
        subnet.block_at(30_000).await;
        subnet.register().await;
        // The last block of an epoch, late enough for rate limits of 100 blocks.
        let period = u64::from(TEMPO) + 1;
        let offset = u64::from(subnet.netuid) + 1;
        let last = (30_200..).find(|block| (block + offset) % period == period - 1);
        subnet.block_at(last.unwrap()).await;
        let metagraph = subnet.metagraph().await;
        assert_eq!(metagraph.uid(&key(&subnet.validator)), Some(0));
        assert!(metagraph.permits[0], "the validator has a permit");
        subnet
    }

    async fn register(&mut self) {
        let alice = self.alice.clone();
        let validator = ("hotkey", Argument::Account(key(&self.validator)));
        let call = self.call("register_network", std::slice::from_ref(&validator));
        self.done(&alice, call).await;
        let at = self.client.finalized().await.unwrap();
        for netuid in 1..20_u16 {
            let Ok(metagraph) = self.client.metagraph(netuid, at).await else {
                continue;
            };
            if metagraph.uid(&key(&self.validator)).is_some() {
                self.netuid = netuid;
            }
        }
        assert!(self.netuid > 0, "the subnet is there");
        println!(
            "subnet {} of hotkey {}",
            self.netuid,
            self.validator.address()
        );
        let flag = Argument::Bool(true);
        let mut calls = vec![
            self.sudo("sudo_set_tempo", "tempo", Argument::U16(TEMPO)),
            self.sudo(
                "sudo_set_subtoken_enabled",
                "subtoken_enabled",
                flag.clone(),
            ),
            self.sudo(
                "sudo_set_network_registration_allowed",
                "registration_allowed",
                flag,
            ),
            self.sudo(
                "sudo_set_max_registrations_per_block",
                "max_registrations_per_block",
                Argument::U16(10),
            ),
            self.sudo(
                "sudo_set_target_registrations_per_interval",
                "target_registrations_per_interval",
                Argument::U16(10),
            ),
            self.rate_limit(0),
            self.commit_reveal(false),
        ];
        self.all_done(&alice, std::mem::take(&mut calls)).await;
        // Submitting checks each call against the latest block, so each step needs its own.
        let netuid = ("netuid", Argument::U16(self.netuid));
        for miner in &self.miners {
            let hotkey = ("hotkey", Argument::Account(key(miner)));
            calls.push(self.call("burned_register", &[netuid.clone(), hotkey]));
        }
        self.all_done(&alice, calls).await;
        let amount = ("amount_staked", Argument::U64(10_000 * TAO));
        let stake = self.call("add_stake", &[validator, netuid, amount]);
        self.done(&alice, stake).await;
        let stakes = [self.stake(0).await, self.stake(1).await];
        assert!(stakes[0] > 0 && stakes[1] == 0, "{stakes:?}");
        println!(
            "staked on the validator: {} of the subnet's tokens",
            stakes[0]
        );
    }

    /// The stake of a uid, in the subnet's own token.
    async fn stake(&mut self, uid: usize) -> u64 {
        let metagraph = self.metagraph().await;
        let keys: [&[u8]; 2] = [&metagraph.hotkeys[uid], &self.netuid.encode()];
        let (pallet, item) = ("SubtensorModule", "TotalHotkeyAlpha");
        let key = self.runtime.storage_key(pallet, item, &keys).unwrap();
        let value = self.client.storage(&[key], metagraph.block.hash).await;
        let value = value.unwrap().remove(0);
        let stake = self.runtime.stored(pallet, item, value.as_deref());
        stake.unwrap().unwrap()
    }

    async fn all_done(&mut self, signer: &Hotkey, calls: Vec<Vec<u8>>) {
        let calls = calls.into_iter().map(|call| (signer.clone(), call));
        let failures = self.send_all(calls.collect()).await.unwrap();
        assert!(failures.iter().all(Option::is_none), "{failures:?}");
        println!("{} calls in one block: all succeeded", failures.len());
    }

    pub(crate) fn call(&self, call: &str, arguments: &[(&str, Argument)]) -> Vec<u8> {
        self.runtime
            .call("SubtensorModule", call, arguments)
            .unwrap()
    }

    /// The call by which the sudo key sets a parameter of the subnet.
    pub(crate) fn sudo(&self, call: &str, field: &str, value: Argument) -> Vec<u8> {
        let netuid = ("netuid", Argument::U16(self.netuid));
        let call = self
            .runtime
            .call("AdminUtils", call, &[netuid, (field, value)]);
        // The call `sudo` is the first of its pallet; its only field is another call.
        let any = self.runtime.call("Sudo", "remove_key", &[]).unwrap();
        [&[any[0], 0][..], &call.unwrap()].concat()
    }

    pub(crate) fn rate_limit(&self, blocks: u64) -> Vec<u8> {
        let value = Argument::U64(blocks);
        self.sudo(
            "sudo_set_weights_set_rate_limit",
            "weights_set_rate_limit",
            value,
        )
    }

    pub(crate) fn commit_reveal(&self, enabled: bool) -> Vec<u8> {
        let value = Argument::Bool(enabled);
        self.sudo("sudo_set_commit_reveal_weights_enabled", "enabled", value)
    }

    /// Makes the next block.
    pub(crate) async fn block(&mut self) -> BlockRef {
        self.make_block(json!([])).await
    }

    /// Makes a block with this number; those between are left out.
    pub(crate) async fn block_at(&mut self, number: u64) -> BlockRef {
        self.make_block(json!([{"unsafeBlockHeight": number}]))
            .await
    }

    async fn make_block(&mut self, parameters: serde_json::Value) -> BlockRef {
        let before = self.client.finalized().await.unwrap();
        // A busy machine may take longer than the client waits.
        let _ = self.client.request("dev_newBlock", parameters).await;
        for _ in 0..300 {
            if let Ok(after) = self.client.finalized().await
                && after.number > before.number
            {
                return after;
            }
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
        panic!("no block follows {before:?}");
    }

    pub(crate) async fn metagraph(&mut self) -> Metagraph {
        let at = self.client.finalized().await.unwrap();
        self.client.metagraph(self.netuid, at).await.unwrap()
    }

    pub(crate) async fn terms(&mut self, signer: &Hotkey) -> SigningTerms {
        let at = self.client.finalized().await.unwrap();
        let nonce = self
            .client
            .nonce(&self.runtime, &key(signer), at.hash)
            .await
            .unwrap();
        SigningTerms::new(self.client.genesis().unwrap(), at.number, at.hash, nonce)
    }

    /// Sends calls, makes one block with all of them, and returns their errors.
    pub(crate) async fn send_all(
        &mut self,
        calls: Vec<(Hotkey, Vec<u8>)>,
    ) -> Result<Vec<Option<Error>>, Error> {
        let mut sent: Vec<([u8; 32], [u8; 32])> = Vec::new();
        for (signer, call) in &calls {
            let mut terms = self.terms(signer).await;
            let before = sent.iter().filter(|(account, _)| *account == key(signer));
            terms.nonce += before.count() as u32;
            let extrinsic = self.runtime.sign(call, &terms, signer)?;
            self.client.submit(&extrinsic.bytes).await?;
            sent.push((key(signer), extrinsic.hash));
        }
        let block = self.block().await;
        let extrinsics = self.client.extrinsics(block.hash).await?;
        let hashes: Vec<[u8; 32]> = extrinsics.iter().map(|bytes| blake2_256(bytes)).collect();
        let events = self.runtime.storage_key("System", "Events", &[])?;
        let events = self.client.storage(&[events], block.hash).await?.remove(0);
        let events = events.unwrap_or_default();
        let mut failures = Vec::new();
        for (_, hash) in sent {
            let place = hashes.iter().position(|found| *found == hash);
            let place = place.expect("the block includes the extrinsic");
            let failure = self.runtime.execution(&events, place as u32)?.failure;
            let block = block.number;
            failures.push(failure.map(|name| Error::Dispatch { block, name }));
        }
        Ok(failures)
    }

    pub(crate) async fn done(&mut self, signer: &Hotkey, call: Vec<u8>) {
        let failures = self.send_all(vec![(signer.clone(), call)]).await.unwrap();
        assert!(failures[0].is_none(), "{failures:?}");
    }
}
