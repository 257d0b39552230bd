//! Nodes of the right chain that answer wrongly.

use naschain_bittensor::{ChainClient, Error, NextStep, Remedy, Setter};

use crate::chain::NETUID;
use crate::node::Lie;
use crate::world::World;

/// Otherwise it would be a chain without this subnet, and the validator would stop.
#[tokio::test]
async fn a_node_without_an_answer_about_a_key_is_left_for_another() {
    let (first, second) = (World::new("no-storage").await, World::new("storage").await);
    *first.node.shared.lie.lock().unwrap() = Some(Lie::NoStorage);
    let urls = [first.node.url(), second.node.url()];
    let client = ChainClient::new(&urls, None).unwrap();
    let mut setter = Setter::new(client, first.hotkey.clone(), NETUID, &first.file).unwrap();
    let error = setter.turn().await.unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
    assert_eq!(error.remedy(), Remedy::Reconnect, "{error}");
    setter.turn().await.unwrap();
    assert_eq!(setter.client().endpoint(), Some(&*urls[1]));
}

/// On it the hotkey may not be registered yet, and the validator would stop.
#[tokio::test]
async fn a_node_that_is_catching_up_is_left_for_another() {
    let (first, second) = (World::new("syncing").await, World::new("synced").await);
    *first.node.shared.lie.lock().unwrap() = Some(Lie::Syncing);
    let alone = ChainClient::new(&[first.node.url()], None);
    let error = alone.unwrap().connect().await.unwrap_err();
    assert!(error.to_string().contains("still catching up"), "{error}");
    assert_eq!(error.remedy(), Remedy::Reconnect, "{error}");
    let urls = [first.node.url(), second.node.url()];
    let mut client = ChainClient::new(&urls, None).unwrap();
    client.connect().await.unwrap();
    assert_eq!(client.endpoint(), Some(&*urls[1]));
}

#[tokio::test]
async fn a_wrong_block_number_of_one_node_does_not_delay_weights_on_another() {
    let (mut first, second) = (World::new("far").await, World::new("near").await);
    {
        let mut chain = first.node.shared.chain.lock().unwrap();
        chain.best = 1_000_000_000;
        chain.last_update[0] = chain.best;
    }
    first.node.shared.advance(2);
    second.node.shared.advance(20);
    let urls = [first.node.url(), second.node.url()];
    let client = ChainClient::new(&urls, None).unwrap();
    let mut setter = Setter::new(client, first.hotkey.clone(), NETUID, &first.file).unwrap();
    let turn = setter.turn().await.unwrap();
    assert!(
        matches!(turn.next, NextStep::NotBefore(block) if block > 1_000_000_000),
        "{turn:?}"
    );
    first.node.stop().await;
    setter.turn().await.unwrap_err();
    let turn = setter.turn().await.unwrap();
    assert!(matches!(turn.next, NextStep::Set(_)), "{turn:?}");
}

/// It cannot be told apart from a node that is behind, but it is said.
#[tokio::test]
async fn what_was_signed_for_a_block_that_a_node_does_not_have_is_reported() {
    let (mut first, second) = (World::new("ahead").await, World::new("behind").await);
    first.node.shared.chain.lock().unwrap().best = 1_000_000_000;
    first.node.shared.advance(2);
    second.node.shared.advance(20);
    let urls = [first.node.url(), second.node.url()];
    let client = ChainClient::new(&urls, None).unwrap();
    let mut setter = Setter::new(client, first.hotkey.clone(), NETUID, &first.file).unwrap();
    let NextStep::Set(metagraph) = setter.turn().await.unwrap().next else {
        panic!("weights are not due");
    };
    setter.set(&metagraph, &[(1, 65_535)]).await.unwrap();
    first.node.stop().await;
    setter.turn().await.unwrap_err();
    let turn = setter.turn().await.unwrap();
    assert!(
        matches!(turn.next, NextStep::NodeBehind { seen } if seen == metagraph.block.number),
        "{turn:?}"
    );
}

#[tokio::test]
async fn a_wrong_time_of_the_last_weights_is_read_again_after_some_blocks() {
    let world = World::new("last-update").await;
    world.node.shared.chain.lock().unwrap().last_update[0] = 1_000_000_000;
    let mut setter = world.setter();
    let turn = world.block(&mut setter).await.unwrap();
    assert!(matches!(turn.next, NextStep::NotBefore(_)), "{turn:?}");
    world.node.shared.chain.lock().unwrap().last_update[0] = 0;
    let metagraph = world.until_due(&mut setter).await;
    let waited = metagraph.block.number - turn.block.number;
    assert_eq!(waited, 50);
}
