//! Plain weights by the whole procedure.

use std::path::Path;

use naschain_bittensor::{ChainClient, Metagraph, NextStep, Notice, Setter, Turn};

use crate::actors::Subnet;

/// Weights of the three miners.
pub(crate) const WEIGHTS: [(u16, u16); 3] = [(1, 10_000), (2, 65_535), (3, 7)];

pub(crate) fn setter(subnet: &Subnet, folder: &Path) -> Setter {
    let client = ChainClient::new(std::slice::from_ref(&subnet.url), None).unwrap();
    let file = folder.join("weights.json");
    Setter::new(client, subnet.validator.clone(), subnet.netuid, &file).unwrap()
}

/// Lets the validator see the latest block.
pub(crate) async fn see(subnet: &mut Subnet, setter: &mut Setter) -> Turn {
    let head = subnet.client.finalized().await.unwrap();
    loop {
        let turn = setter.turn().await.unwrap();
        if turn.block.number >= head.number || !turn.notices.is_empty() {
            return turn;
        }
    }
}

/// Goes to the block in which weights are to be set.
pub(crate) async fn until_due(subnet: &mut Subnet, setter: &mut Setter) -> Box<Metagraph> {
    subnet.block().await;
    for _ in 0..3 {
        match see(subnet, setter).await.next {
            NextStep::Set(metagraph) => return metagraph,
            NextStep::NotBefore(number) => subnet.block_at(number).await,
            other => panic!("{other:?}"),
        };
    }
    panic!("weights are never due");
}

/// Makes a block, and returns what happened in it.
pub(crate) async fn notice_of_next(subnet: &mut Subnet, setter: &mut Setter) -> Notice {
    subnet.block().await;
    let mut turn = see(subnet, setter).await;
    turn.notices.pop().expect("something happened")
}

/// The validator's weights on the chain.
pub(crate) async fn stored_weights(subnet: &mut Subnet) -> Vec<(u16, u16)> {
    let runtime = subnet.runtime.clone();
    let at = subnet.client.finalized().await.unwrap();
    let client = &mut subnet.client;
    let weights = client.weights(&runtime, subnet.netuid, 0, at.hash).await;
    weights.unwrap()
}

pub(crate) async fn plain_weights_are_set_once(subnet: &mut Subnet, folder: &Path) {
    let mut setter = setter(subnet, folder);
    let metagraph = until_due(subnet, &mut setter).await;
    let sent = setter.set(&metagraph, &WEIGHTS).await.unwrap().unwrap();
    let notice = notice_of_next(subnet, &mut setter).await;
    let Notice::Set { block, stored } = notice else {
        panic!("{notice:?}");
    };
    assert!(stored, "the chain has these weights");
    assert_eq!(stored_weights(subnet).await, WEIGHTS);
    let metagraph = subnet.metagraph().await;
    assert_eq!(metagraph.last_update[0], block);
    println!(
        "plain weights in block {block}, nonce {}: stored",
        sent.nonce
    );
    subnet.block().await;
    let next = see(subnet, &mut setter).await.next;
    assert!(matches!(next, NextStep::NotBefore(_)), "{next:?}");
}
