//! Timelocked commits, which the runtime itself decrypts, or cannot.

use std::path::Path;

use naschain_bittensor::{Commit, Metagraph, NextStep, Notice, Setter};
use parity_scale_codec::Encode;
use serde_json::json;

use crate::actors::Subnet;
use crate::weights::{notice_of_next, see, setter, stored_weights, until_due};

/// Time of drand's round 1000, whose signature is public.
const ROUND_1000_MS: u64 = 1_692_806_364_000;
const SIGNATURE_1000: &str = "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39";

const WEIGHTS: [(u16, u16); 2] = [(1, 65_535), (3, 4_321)];
/// Of the commit that is never revealed.
const OTHER_WEIGHTS: [(u16, u16); 1] = [(2, 65_535)];

fn hexed(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

pub(crate) async fn a_commit_is_revealed_by_the_runtime(subnet: &mut Subnet, folder: &Path) {
    let (alice, call) = (subnet.alice.clone(), subnet.commit_reveal(true));
    subnet.done(&alice, call).await;
    let mut setter = setter(subnet, folder);
    let metagraph = until_due(subnet, &mut setter).await;
    set_clock(subnet, &metagraph).await;
    let turn = see(subnet, &mut setter).await;
    let NextStep::Set(metagraph) = turn.next else {
        panic!("{turn:?}");
    };
    let commit = committed(subnet, &mut setter, &metagraph, &WEIGHTS).await;
    assert_eq!(commit.round, 1000);
    store_round_1000(subnet).await;
    let before = stored_weights(subnet).await;
    subnet.block_at(commit.reveal_block - 1).await;
    let turn = see(subnet, &mut setter).await;
    assert!(turn.notices.is_empty(), "{turn:?}");
    assert_eq!(stored_weights(subnet).await, before);
    let notice = notice_of_next(subnet, &mut setter).await;
    assert!(
        matches!(&notice, Notice::Revealed(found) if *found == commit),
        "{notice:?}"
    );
    assert_eq!(stored_weights(subnet).await, WEIGHTS);
    println!(
        "the runtime has revealed the commit in block {}",
        commit.reveal_block
    );
    a_commit_without_its_round_is_lost(subnet, &mut setter).await;
}

async fn a_commit_without_its_round_is_lost(subnet: &mut Subnet, setter: &mut Setter) {
    let metagraph = until_due(subnet, setter).await;
    let commit = committed(subnet, setter, &metagraph, &OTHER_WEIGHTS).await;
    subnet.block_at(commit.reveal_block).await;
    let mut turn = see(subnet, setter).await;
    let notice = turn.notices.pop().expect("something happened");
    assert!(
        matches!(&notice, Notice::NotRevealed(found) if *found == commit),
        "{notice:?}"
    );
    assert_eq!(stored_weights(subnet).await, WEIGHTS);
    println!(
        "a commit whose round the chain does not have: not revealed in block {}",
        commit.reveal_block
    );
}

/// Sets the chain's clock so that a commit needs round 1000: of later rounds nobody here has the
/// signature. No extrinsic can do this.
async fn set_clock(subnet: &mut Subnet, metagraph: &Metagraph) {
    let (block, block_ms) = (metagraph.block.number, metagraph.block_ms);
    let schedule = metagraph.schedule;
    let reveal = schedule.reveal(block, metagraph.time_ms, block_ms, metagraph.reveal_period);
    let ahead_ms = (reveal.unwrap().block - 3 - block) * block_ms;
    let time_ms = ROUND_1000_MS + 500 - ahead_ms;
    subnet
        .client
        .request("dev_timeTravel", json!([time_ms]))
        .await
        .unwrap();
    subnet.block().await;
}

/// Commits weights in the next block.
async fn committed(
    subnet: &mut Subnet,
    setter: &mut Setter,
    metagraph: &Metagraph,
    weights: &[(u16, u16)],
) -> Commit {
    let sent = setter.set(metagraph, weights).await.unwrap().unwrap();
    let notice = notice_of_next(subnet, setter).await;
    let Notice::Committed {
        block,
        commit,
        stored,
    } = notice
    else {
        panic!("{notice:?}");
    };
    assert!(stored, "the chain has this commit");
    assert_eq!(sent.commit.as_ref(), Some(&commit));
    println!(
        "commit in block {block} to round {}, to be revealed in block {}",
        commit.round, commit.reveal_block
    );
    commit
}

/// Brings the signature of round 1000 to the chain. The extrinsic for it, `Drand.write_pulse` of
/// nodes' offchain workers, calls host functions of BLS12-381 that chopsticks does not have.
async fn store_round_1000(subnet: &mut Subnet) {
    let signature = hex::decode(SIGNATURE_1000).unwrap();
    // The second field is the signature's hash; revealing does not read it.
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
}
