//! Outages after which no node has the state of the blocks that matter.

use naschain_bittensor::{ChainClient, Error, NextStep, Notice, Setter};

use crate::chain::NETUID;
use crate::node::Fault;
use crate::world::World;

const WEIGHTS: [(u16, u16); 2] = [(1, 65_535), (3, 100)];
/// More than the states that the simulated node keeps, and that most real ones do.
const OUTAGE: u64 = 320;

/// Makes blocks that the validator does not see, as it is not connected.
fn make_unseen(world: &World, blocks: u64) {
    for _ in 0..blocks {
        world.node.shared.chain.lock().unwrap().advance();
    }
}

/// Restarts the validator.
fn restarted(world: &World, setter: Setter) -> Setter {
    drop(setter);
    world.setter()
}

/// Weights are set again, whatever happened.
pub(crate) async fn weights_are_set_again(world: &World, setter: &mut Setter) {
    let metagraph = world.until_due(setter).await;
    setter.set(&metagraph, &WEIGHTS).await.unwrap().unwrap();
    let (notice, _) = world.until_notice(setter).await;
    assert!(
        matches!(
            notice,
            Notice::Set { stored: true, .. } | Notice::Committed { stored: true, .. }
        ),
        "{notice:?}"
    );
}

#[tokio::test]
async fn what_was_sent_before_a_long_outage_is_settled_by_the_latest_state() {
    for (name, fault) in [
        ("late-set", Fault::DropAfterTaking),
        ("late-lost", Fault::DropBeforeTaking),
    ] {
        for commit_reveal in [false, true] {
            let world = World::new(&format!("{name}-{commit_reveal}")).await;
            world.node.shared.chain.lock().unwrap().commit_reveal = commit_reveal;
            let mut setter = world.setter();
            let metagraph = world.until_due(&mut setter).await;
            world.node.shared.faults.lock().unwrap().push_back(fault);
            setter.set(&metagraph, &WEIGHTS).await.unwrap_err();
            make_unseen(&world, OUTAGE);
            let mut setter = restarted(&world, setter);
            let turn = world.block(&mut setter).await.unwrap();
            let [Notice::Late { sent, block }] = &turn.notices[..] else {
                panic!("{turn:?}");
            };
            let included = metagraph.block.number + 1;
            let expected = (fault == Fault::DropAfterTaking).then_some(included);
            assert_eq!(*block, expected);
            assert_eq!(sent.commit.is_some(), commit_reveal);
            assert!(matches!(turn.next, NextStep::Set(_)), "{turn:?}");
            weights_are_set_again(&world, &mut setter).await;
        }
    }
}

#[tokio::test]
async fn a_commit_whose_reveal_fell_into_a_long_outage_is_dropped_with_a_notice() {
    let world = World::new("late-reveal").await;
    world.node.shared.chain.lock().unwrap().commit_reveal = true;
    let mut setter = world.setter();
    weights_are_set_again(&world, &mut setter).await;
    make_unseen(&world, OUTAGE);
    let mut setter = restarted(&world, setter);
    let turn = world.block(&mut setter).await.unwrap();
    assert!(
        matches!(&turn.notices[..], [Notice::NotChecked(_)]),
        "{turn:?}"
    );
    weights_are_set_again(&world, &mut setter).await;
}

#[tokio::test]
async fn a_node_without_the_state_of_a_block_is_left_for_another() {
    let (first, second) = (World::new("without").await, World::new("with").await);
    let urls = [first.node.url(), second.node.url()];
    let client = ChainClient::new(&urls, None).unwrap();
    let mut setter = Setter::new(client, first.hotkey.clone(), NETUID, &first.file).unwrap();
    first.node.shared.chain.lock().unwrap().blocks.clear();
    let error = setter.turn().await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    setter.turn().await.unwrap();
    assert_eq!(setter.client().endpoint(), Some(&*urls[1]));
}
