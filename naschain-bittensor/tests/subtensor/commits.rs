//! A timelocked commit that the runtime itself decrypts.

use std::path::Path;

use naschain_bittensor::{NextStep, Notice};
use parity_scale_codec::Encode;
use serde_json::json;

use crate::actors::Subnet;
use crate::weights::{notice_of_next, see, setter, until_due};

/// Time of drand's round 1000, whose signature is public.
const ROUND_1000_MS: u64 = 1_692_806_364_000;
const SIGNATURE_1000: &str = "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39";

const WEIGHTS: [(u16, u16); 2] = [(1, 65_535), (3, 4_321)];

fn hexed(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

pub(crate) async fn a_commit_is_revealed_by_the_runtime(subnet: &mut Subnet, folder: &Path) {
    let (alice, call) = (subnet.alice.clone(), subnet.commit_reveal(true));
    subnet.done(&alice, call).await;
    let mut setter = setter(subnet, folder);
    let metagraph = until_due(subnet, &mut setter).await;
    // The chain's clock is set so that the commit needs round 1000: of later rounds nobody here has
    // the signature.
    let schedule = metagraph.schedule;
    let (block, block_ms) = (metagraph.block.number, metagraph.block_ms);
    let reveal = schedule.reveal(block, metagraph.time_ms, block_ms, metagraph.reveal_period);
    let ahead_ms = (reveal.unwrap().block - 3 - block) * block_ms;
    let time_ms = ROUND_1000_MS + 500 - ahead_ms;
    subnet
        .client
        .request("dev_timeTravel", json!([time_ms]))
        .await
        .unwrap();
    subnet.block().await;
    let turn = see(subnet, &mut setter).await;
    let NextStep::Set(metagraph) = turn.next else {
        panic!("{turn:?}");
    };
    let sent = setter.set(&metagraph, &WEIGHTS).await.unwrap().unwrap();
    let commit = sent.commit.unwrap();
    assert_eq!(commit.round, 1000);
    let notice = notice_of_next(subnet, &mut setter).await;
    let Notice::Committed { block, stored, .. } = notice else {
        panic!("{notice:?}");
    };
    assert!(stored, "the chain has this commit");
    println!(
        "commit in block {block} to round 1000, revealed in block {}",
        commit.reveal_block
    );
    // What drand's beacon would have brought to the chain.
    let signature = hex::decode(SIGNATURE_1000).unwrap();
    let pulse = (1000_u64, vec![0_u8; 32], signature).encode();
    let key = subnet
        .runtime
        .storage_key("Drand", "Pulses", &[&1000_u64.encode()]);
    let stored = json!([[[hexed(&key.unwrap()), hexed(&pulse)]]]);
    subnet
        .client
        .request("dev_setStorage", stored)
        .await
        .unwrap();
    subnet.block_at(commit.reveal_block).await;
    let mut turn = see(subnet, &mut setter).await;
    let notice = turn.notices.pop().expect("something happened");
    assert!(
        matches!(&notice, Notice::Revealed(found) if *found == commit),
        "{notice:?}"
    );
    let runtime = subnet.runtime.clone();
    let at = subnet.client.finalized().await.unwrap();
    let client = &mut subnet.client;
    let weights = client
        .weights(&runtime, subnet.netuid, 0, at.hash)
        .await
        .unwrap();
    assert_eq!(weights, WEIGHTS);
    println!("the runtime has revealed the commit by block {}", at.number);
}
