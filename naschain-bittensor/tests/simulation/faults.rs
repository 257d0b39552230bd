//! What happens to an extrinsic after it was sent, and what the validator makes of it.

use naschain_bittensor::{ChainClient, Error, NextStep, Notice, Remedy, Setter};

use crate::chain::NETUID;
use crate::node::Fault;
use crate::world::World;

const WEIGHTS: [(u16, u16); 2] = [(1, 65_535), (3, 100)];

#[tokio::test]
async fn weights_are_set_once_and_read_back() {
    let world = World::new("once").await;
    let mut setter = world.setter();
    let metagraph = world.until_due(&mut setter).await;
    let sent = setter.set(&metagraph, &WEIGHTS).await.unwrap().unwrap();
    assert_eq!(setter.set(&metagraph, &WEIGHTS).await.unwrap(), None);
    let (notice, blocks) = world.until_notice(&mut setter).await;
    assert!(
        matches!(notice, Notice::Set { stored: true, .. }),
        "{notice:?}"
    );
    assert_eq!((blocks, sent.nonce, world.sets()), (1, 0, 1));
    // Not again in this epoch.
    let turn = world.blocks(&mut setter, 20).await.unwrap();
    assert!(matches!(turn.next, NextStep::NotBefore(_)), "{turn:?}");
    let metagraph = world.until_due(&mut setter).await;
    let sent = setter.set(&metagraph, &WEIGHTS).await.unwrap().unwrap();
    assert_eq!(sent.nonce, 1);
}

#[tokio::test]
async fn a_connection_lost_after_sending_is_not_answered_by_sending_again() {
    for fault in [Fault::DropAfterTaking, Fault::Garbage] {
        let world = World::new(&format!("{fault:?}")).await;
        let mut setter = world.setter();
        let metagraph = world.until_due(&mut setter).await;
        world.node.shared.faults.lock().unwrap().push_back(fault);
        // It stays in the pool for a while.
        world.node.shared.chain.lock().unwrap().include_from = metagraph.block.number + 30;
        let error = setter.set(&metagraph, &WEIGHTS).await.unwrap_err();
        assert_eq!(error.remedy(), Remedy::Reconnect, "{error}");
        // A restart changes nothing.
        drop(setter);
        let mut setter = world.setter();
        let turn = world.block(&mut setter).await.unwrap();
        assert!(matches!(turn.next, NextStep::InFlight { .. }), "{turn:?}");
        let (notice, _) = world.until_notice(&mut setter).await;
        assert!(
            matches!(notice, Notice::Set { stored: true, .. }),
            "{notice:?}"
        );
        assert_eq!((world.submitted(), world.sets()), (1, 1), "{fault:?}");
    }
}

#[tokio::test]
async fn what_no_block_includes_is_sent_again_after_its_era() {
    for fault in [Fault::DropBeforeTaking, Fault::Usurp] {
        let world = World::new(&format!("{fault:?}")).await;
        let mut setter = world.setter();
        let metagraph = world.until_due(&mut setter).await;
        world.node.shared.faults.lock().unwrap().push_back(fault);
        let result = setter.set(&metagraph, &WEIGHTS).await;
        assert_eq!(result.is_ok(), fault == Fault::Usurp);
        let (notice, blocks) = world.until_notice(&mut setter).await;
        let Notice::Expired(sent) = notice else {
            panic!("{notice:?}");
        };
        assert_eq!((blocks, world.submitted()), (63, 1), "{fault:?}");
        assert_eq!(sent.last_block, metagraph.block.number + 63);
        let metagraph = world.until_due(&mut setter).await;
        setter.set(&metagraph, &WEIGHTS).await.unwrap().unwrap();
        let (notice, _) = world.until_notice(&mut setter).await;
        assert!(matches!(notice, Notice::Set { .. }), "{notice:?}");
        assert_eq!((world.submitted(), world.sets()), (2, 1));
    }
}

#[tokio::test]
async fn only_finalised_blocks_count() {
    let world = World::new("lag").await;
    world.node.shared.advance(20);
    world.node.shared.chain.lock().unwrap().lag = 12;
    let mut setter = world.setter();
    let metagraph = world.until_due(&mut setter).await;
    setter.set(&metagraph, &WEIGHTS).await.unwrap().unwrap();
    let best = world.node.shared.chain.lock().unwrap().best;
    assert_eq!(metagraph.block.number + 12, best);
    let (notice, blocks) = world.until_notice(&mut setter).await;
    assert!(
        matches!(notice, Notice::Set { block, .. } if block == best + 1),
        "{notice:?}"
    );
    assert_eq!((blocks, world.sets()), (13, 1));
}

#[tokio::test]
async fn a_block_that_is_retracted_does_not_count() {
    let world = World::new("retracted").await;
    world.node.shared.advance(20);
    world.node.shared.chain.lock().unwrap().lag = 5;
    let mut setter = world.setter();
    let metagraph = world.until_due(&mut setter).await;
    setter.set(&metagraph, &WEIGHTS).await.unwrap().unwrap();
    let shared = &world.node.shared;
    // The best block has it, and is replaced by one without it before it is final.
    let extrinsic = shared.chain.lock().unwrap().pool[0].clone();
    let before = shared.chain.lock().unwrap().pool.clone();
    {
        let mut chain = shared.chain.lock().unwrap();
        chain.pool.clear();
        chain.advance();
        let best = chain.best;
        chain
            .blocks
            .get_mut(&best)
            .unwrap()
            .extrinsics
            .push(extrinsic);
    }
    {
        let mut chain = shared.chain.lock().unwrap();
        let best = chain.best;
        chain.blocks.get_mut(&best).unwrap().extrinsics.clear();
        chain.pool = before;
        chain.include_from = best + 4;
    }
    let (notice, _) = world.until_notice(&mut setter).await;
    let included = metagraph.block.number + 5 + 5;
    assert!(
        matches!(notice, Notice::Set { block, .. } if block == included),
        "{notice:?}"
    );
    assert_eq!((world.submitted(), world.sets()), (1, 1));
}

#[tokio::test]
async fn a_runtime_that_changes_in_mid_flight_is_read_again() {
    let world = World::new("upgrade").await;
    let mut setter = world.setter();
    let metagraph = world.until_due(&mut setter).await;
    world
        .node
        .shared
        .faults
        .lock()
        .unwrap()
        .push_back(Fault::Upgrade);
    let error = setter.set(&metagraph, &WEIGHTS).await.unwrap_err();
    assert_eq!(error.remedy(), Remedy::ReadAgain, "{error}");
    assert!(error.to_string().contains("1010"), "{error}");
    let again = world.until_due(&mut setter).await;
    assert_eq!(
        again.runtime.spec_version,
        metagraph.runtime.spec_version + 1
    );
    setter.set(&again, &WEIGHTS).await.unwrap().unwrap();
    let (notice, _) = world.until_notice(&mut setter).await;
    assert!(
        matches!(notice, Notice::Set { stored: true, .. }),
        "{notice:?}"
    );
}

#[tokio::test]
async fn a_call_that_fails_is_named_and_made_again() {
    let world = World::new("toggled").await;
    let mut setter = world.setter();
    let metagraph = world.until_due(&mut setter).await;
    // Between the reading and the call.
    world.node.shared.chain.lock().unwrap().commit_reveal = true;
    setter.set(&metagraph, &WEIGHTS).await.unwrap().unwrap();
    let (notice, _) = world.until_notice(&mut setter).await;
    let Notice::Failed(error) = notice else {
        panic!("{notice:?}");
    };
    assert!(error.to_string().contains("CommitRevealEnabled"), "{error}");
    assert_eq!(error.remedy(), Remedy::ReadAgain);
    // Now it is a commit.
    let metagraph = world.until_due(&mut setter).await;
    let sent = setter.set(&metagraph, &WEIGHTS).await.unwrap().unwrap();
    let (notice, _) = world.until_notice(&mut setter).await;
    let Notice::Committed { commit, stored, .. } = notice else {
        panic!("{notice:?}");
    };
    assert!(stored);
    assert_eq!(Some(&commit), sent.commit.as_ref());
    // Nobody reveals it.
    let (notice, _) = world.until_notice(&mut setter).await;
    assert!(
        matches!(&notice, Notice::NotRevealed(lost) if *lost == commit),
        "{notice:?}"
    );
}

#[tokio::test]
async fn a_node_of_another_chain_is_refused_and_another_endpoint_is_used() {
    let world = World::new("chains").await;
    let other = World::new("other-chain").await;
    other.node.shared.chain.lock().unwrap().genesis = [0x5a; 32];
    let client = |urls: &[String]| ChainClient::new(urls, Some([0xa5; 32])).unwrap();
    let error = client(&[other.node.url()]).connect().await.unwrap_err();
    assert!(matches!(error, Error::WrongChain { .. }), "{error}");
    assert_eq!(error.remedy(), Remedy::Stop);
    let nowhere = "ws://127.0.0.1:1".to_owned();
    let mut client = client(&[nowhere, other.node.url(), world.node.url()]);
    client.connect().await.unwrap();
    assert_eq!(client.endpoint(), Some(&*world.node.url()));
    // The file remembers the chain.
    let mut setter = world.setter();
    world.block(&mut setter).await.unwrap();
    drop(setter);
    let client = ChainClient::new(&[other.node.url()], None).unwrap();
    let mut setter = Setter::new(client, world.hotkey.clone(), NETUID, &world.file).unwrap();
    let error = other.block(&mut setter).await.unwrap_err();
    assert!(matches!(error, Error::WrongChain { .. }), "{error}");
    drop(setter);
    let urls = [other.node.url(), world.node.url()];
    let client = ChainClient::new(&urls, None).unwrap();
    let mut setter = Setter::new(client, world.hotkey.clone(), NETUID, &world.file).unwrap();
    world.block(&mut setter).await.unwrap();
    assert_eq!(setter.client().endpoint(), Some(&*world.node.url()));
}

#[tokio::test]
async fn hotkeys_without_place_or_permit_are_told_apart() {
    let world = World::new("permit").await;
    let mut setter = world.setter();
    world.node.shared.chain.lock().unwrap().permits[0] = false;
    let turn = world.block(&mut setter).await.unwrap();
    assert!(matches!(turn.next, NextStep::NoPermit), "{turn:?}");
    world.node.shared.chain.lock().unwrap().replace(0, [8; 32]);
    let error = world.block(&mut setter).await.unwrap_err();
    assert!(matches!(error, Error::NotRegistered { .. }), "{error}");
    assert_eq!(error.remedy(), Remedy::Stop);
    // Two programs never send for one hotkey.
    let client = ChainClient::new(&[world.node.url()], None).unwrap();
    let second = Setter::new(client, world.hotkey.clone(), NETUID, &world.file);
    let error = second.err().unwrap();
    assert!(error.to_string().contains("another program"), "{error}");
}
