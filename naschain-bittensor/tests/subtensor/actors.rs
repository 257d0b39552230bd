//! A subnet with a validator and miners, registered and staked by extrinsics.

use std::sync::Arc;

use naschain_bittensor::{
    Argument, BlockRef, Client, Error, Metagraph, Runtime, SigningTerms, blake2_256,
};
use naschain_identity::{Hotkey, ss58};
use serde_json::json;

/// The seed of Substrate's well-known development key Alice, the sudo key of the specification.
const ALICE: &str = "e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a";
pub(crate) const TEMPO: u16 = 40;
const TAO: u64 = 1_000_000_000;

pub(crate) struct Subnet {
    pub(crate) client: Client,
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
        let mut client = Client::new(std::slice::from_ref(&url), None).unwrap();
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
        // Before drand's round 1000, and a whole slot, so that the first block fits.
        let start_ms = 1_690_000_000_000_u64;
        subnet
            .client
            .request("dev_timeTravel", json!([start_ms]))
            .await
            .unwrap();
        let block = subnet.blocks(1).await;
        assert_eq!(block.number, 1, "chopsticks makes blocks");
        subnet.register().await;
        subnet.blocks(2 * u64::from(TEMPO)).await;
        let metagraph = subnet.metagraph().await;
        assert_eq!(metagraph.uid(&key(&subnet.validator)), Some(0));
        assert_eq!(metagraph.permits[0], true, "the validator has a permit");
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
        self.configure("sudo_set_tempo", "tempo", Argument::U16(TEMPO))
            .await;
        self.configure(
            "sudo_set_subtoken_enabled",
            "subtoken_enabled",
            Argument::Bool(true),
        )
        .await;
        let (name, allowed) = ("registration_allowed", Argument::Bool(true));
        self.configure("sudo_set_network_registration_allowed", name, allowed)
            .await;
        self.rate_limit(0).await;
        self.commit_reveal(false).await;
        for miner in self.miners.clone() {
            let netuid = ("netuid", Argument::U16(self.netuid));
            let hotkey = ("hotkey", Argument::Account(key(&miner)));
            let call = self.call("burned_register", &[netuid, hotkey]);
            self.done(&alice, call).await;
        }
        let netuid = ("netuid", Argument::U16(self.netuid));
        let amount = ("amount_staked", Argument::U64(10_000 * TAO));
        let call = self.call("add_stake", &[validator, netuid, amount]);
        self.done(&alice, call).await;
    }

    pub(crate) fn call(&self, call: &str, arguments: &[(&str, Argument)]) -> Vec<u8> {
        self.runtime
            .call("SubtensorModule", call, arguments)
            .unwrap()
    }

    /// Sets a parameter of the subnet as the sudo key.
    pub(crate) async fn configure(&mut self, call: &str, field: &str, value: Argument) {
        let netuid = ("netuid", Argument::U16(self.netuid));
        let call = self
            .runtime
            .call("AdminUtils", call, &[netuid, (field, value)]);
        // The call `sudo` is the first of its pallet; its only field is another call.
        let any = self.runtime.call("Sudo", "remove_key", &[]).unwrap();
        let sudo = [&[any[0], 0][..], &call.unwrap()].concat();
        let alice = self.alice.clone();
        self.done(&alice, sudo).await;
    }

    pub(crate) async fn rate_limit(&mut self, blocks: u64) {
        let value = Argument::U64(blocks);
        self.configure(
            "sudo_set_weights_set_rate_limit",
            "weights_set_rate_limit",
            value,
        )
        .await;
    }

    pub(crate) async fn commit_reveal(&mut self, enabled: bool) {
        let value = Argument::Bool(enabled);
        self.configure("sudo_set_commit_reveal_weights_enabled", "enabled", value)
            .await;
    }

    /// Makes blocks.
    pub(crate) async fn blocks(&mut self, count: u64) -> BlockRef {
        for _ in 0..count {
            self.client
                .request("dev_newBlock", json!([]))
                .await
                .unwrap();
        }
        self.client.finalized().await.unwrap()
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
        SigningTerms {
            genesis: self.client.genesis().unwrap(),
            block: at.number,
            block_hash: at.hash,
            nonce,
        }
    }

    /// Sends a call, makes a block with it, and returns the name of the error, if it failed.
    pub(crate) async fn send(
        &mut self,
        signer: &Hotkey,
        call: Vec<u8>,
    ) -> Result<Option<String>, Error> {
        let terms = self.terms(signer).await;
        let extrinsic = self.runtime.sign(&call, &terms, signer)?;
        self.client.submit(&extrinsic.bytes).await?;
        let block = self.blocks(1).await;
        let extrinsics = self.client.extrinsics(block.hash).await?;
        let mut hashes = extrinsics.iter().map(|bytes| blake2_256(bytes));
        let place = hashes.position(|hash| hash == extrinsic.hash);
        let place = place.expect("the block includes the extrinsic");
        let key = self.runtime.storage_key("System", "Events", &[])?;
        let events = self.client.storage(&[key], block.hash).await?.remove(0);
        let execution = self
            .runtime
            .execution(&events.unwrap_or_default(), place as u32)?;
        Ok(execution.failure)
    }

    async fn done(&mut self, signer: &Hotkey, call: Vec<u8>) {
        let failure = self.send(signer, call).await.unwrap();
        assert_eq!(failure, None);
    }
}
