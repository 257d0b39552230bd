//! Timelocked commits, and whether they become weights.

use naschain_bittensor::{Commit, Notice, Setter};

use crate::chain::Chain;
use crate::world::World;

const WEIGHTS: [(u16, u16); 2] = [(1, 65_535), (3, 100)];

/// Commits weights when they are due. They can be decrypted only if `is_known`.
async fn commit(world: &World, setter: &mut Setter, is_known: bool) -> Commit {
    let metagraph = world.until_due(setter).await;
    let sent = setter.set(&metagraph, &WEIGHTS).await.unwrap().unwrap();
    let commit = sent.commit.unwrap();
    if is_known {
        let sealed = hex::decode(&commit.sealed).unwrap();
        let mut chain = world.node.shared.chain.lock().unwrap();
        chain.secrets.insert(sealed, WEIGHTS.to_vec());
    }
    commit
}

#[tokio::test]
async fn a_reveal_is_seen_in_its_block_and_a_lost_commit_also_if_weights_repeat() {
    let world = World::new("reveal").await;
    world.node.shared.chain.lock().unwrap().commit_reveal = true;
    let mut setter = world.setter();
    for is_known in [true, true, false] {
        let sent = commit(&world, &mut setter, is_known).await;
        let (notice, _) = world.until_notice(&mut setter).await;
        assert!(
            matches!(&notice, Notice::Committed { commit, stored: true, .. } if *commit == sent),
            "{notice:?}"
        );
        let (notice, _) = world.until_notice(&mut setter).await;
        let best = world.node.shared.chain.lock().unwrap().best;
        assert_eq!(best, sent.reveal_block);
        match &notice {
            Notice::Revealed(found) => assert!(is_known && *found == sent),
            Notice::NotRevealed(found) => assert!(!is_known && *found == sent),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_commit_that_is_included_in_the_next_epoch_is_revealed_an_epoch_later() {
    let world = World::new("late-commit").await;
    world.node.shared.chain.lock().unwrap().commit_reveal = true;
    let mut setter = world.setter();
    // Late in an epoch.
    while Chain::epoch(world.node.shared.chain.lock().unwrap().best + 20) == 0 {
        world.node.shared.advance(1);
    }
    let sent = commit(&world, &mut setter, true).await;
    world.node.shared.chain.lock().unwrap().include_from = sent.reveal_block + 10;
    let (notice, _) = world.until_notice(&mut setter).await;
    let Notice::Committed { commit, .. } = notice else {
        panic!("{notice:?}");
    };
    assert_eq!(commit.sealed, sent.sealed);
    assert_eq!(commit.reveal_block, sent.reveal_block + 100);
    let (notice, _) = world.until_notice(&mut setter).await;
    assert!(
        matches!(&notice, Notice::Revealed(found) if *found == commit),
        "{notice:?}"
    );
}
