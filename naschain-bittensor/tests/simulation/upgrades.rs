//! Runtimes that change.

use naschain_bittensor::Notice;

use crate::outages::weights_are_set_again;
use crate::world::World;

const WEIGHTS: [(u16, u16); 2] = [(1, 65_535), (3, 100)];

/// What was sent was signed for the old runtime, so no block includes it.
#[tokio::test]
async fn a_runtime_that_changes_after_sending_delays_weights_by_an_era() {
    let world = World::new("upgrade-later").await;
    let mut setter = world.setter();
    let metagraph = world.until_due(&mut setter).await;
    setter.set(&metagraph, &WEIGHTS).await.unwrap().unwrap();
    world.node.shared.chain.lock().unwrap().spec_version += 1;
    let (notice, blocks) = world.until_notice(&mut setter).await;
    assert!(matches!(notice, Notice::Expired(_)), "{notice:?}");
    assert_eq!((blocks, world.sets()), (63, 0));
    weights_are_set_again(&world, &mut setter).await;
    assert_eq!((world.submitted(), world.sets()), (2, 1));
}

/// The block of an upgrade has the events of the old runtime, while its state says the version of the
/// new one.
#[tokio::test]
async fn the_block_of_an_upgrade_is_read_by_the_runtime_that_executed_it() {
    let world = World::new("upgrade-block").await;
    let mut setter = world.setter();
    let metagraph = world.until_due(&mut setter).await;
    setter.set(&metagraph, &WEIGHTS).await.unwrap().unwrap();
    let old = metagraph.runtime.spec_version;
    {
        let mut chain = world.node.shared.chain.lock().unwrap();
        (chain.upgrades, chain.renumbered_from) = (true, old + 1);
    }
    let (notice, blocks) = world.until_notice(&mut setter).await;
    assert!(
        matches!(notice, Notice::Set { stored: true, .. }),
        "{notice:?}"
    );
    assert_eq!((blocks, world.sets()), (1, 1));
    let metagraph = world.until_due(&mut setter).await;
    assert_eq!(metagraph.runtime.spec_version, old + 1);
}
