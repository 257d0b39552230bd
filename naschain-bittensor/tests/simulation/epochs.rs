//! A thousand epochs with restarts of node and validator and an idle run: no lapse past the cutoff, no
//! second setting in an epoch, no weight for a key that is not registered.

use std::collections::BTreeMap;

use naschain_bittensor::{NextStep, Notice, Remedy, Setter};

use crate::chain::{CUTOFF, Key, NETUID, RATE_LIMIT, TEMPO};
use crate::node::Fault;
use crate::world::World;

/// A generator of small numbers (SplitMix64), so that every run of the test is the same.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

struct Simulation {
    world: World,
    numbers: Numbers,
    setter: Setter,
    /// The scores by hotkey, also of keys that are registered no more.
    scores: BTreeMap<Key, u16>,
    restarts: u64,
    next_key: u64,
    expired: u64,
}

impl Simulation {
    /// Something that happens to operators.
    async fn disturb(&mut self) {
        let shared = self.world.node.shared.clone();
        match self.numbers.below(400) {
            0 => {
                self.world.node.stop().await;
                // The chain goes on meanwhile.
                let blocks = self.numbers.below(60);
                for _ in 0..blocks {
                    shared.chain.lock().unwrap().advance();
                }
                self.world.node.start_again().await;
                self.restarts += 1;
            }
            1 | 2 => self.restart_validator(),
            3 => {
                // A uid gets a new owner, who has no score yet.
                self.next_key += 1;
                // Uid 4 keeps its owner, so there is always something to set.
                let uid = 1 + self.numbers.below(3) as u16;
                let key = naschain_bittensor::blake2_256(&self.next_key.to_le_bytes());
                let mut chain = shared.chain.lock().unwrap();
                // What is in flight was decided for the old owner; no client can help that.
                if !chain.pool.is_empty() {
                    return;
                }
                chain.replace(uid, key);
                // Only now and then does it begin to work.
                if self.numbers.below(2) == 0 {
                    self.scores
                        .insert(key, 1 + self.numbers.below(60_000) as u16);
                }
            }
            4 => {
                let faults = [
                    Fault::DropAfterTaking,
                    Fault::DropBeforeTaking,
                    Fault::Usurp,
                    Fault::Garbage,
                    Fault::Upgrade,
                ];
                let fault = faults[self.numbers.below(5) as usize];
                shared.faults.lock().unwrap().push_back(fault);
            }
            5 => shared.chain.lock().unwrap().lag = self.numbers.below(12),
            _ => {}
        }
    }

    fn restart_validator(&mut self) {
        let path = self.world.file.with_file_name("unused.json");
        let client = naschain_bittensor::ChainClient::new(&[self.world.node.url()], None).unwrap();
        // The lock is released before the file is opened again.
        self.setter = Setter::new(client, self.world.hotkey.clone(), NETUID, &path).unwrap();
        self.setter = self.world.setter();
        self.restarts += 1;
    }

    async fn step(&mut self) {
        let blocks = 1 + self.numbers.below(8);
        let turn = match self.world.blocks(&mut self.setter, blocks).await {
            Ok(turn) => turn,
            Err(error) => {
                assert_ne!(error.remedy(), Remedy::Stop, "{error}");
                return;
            }
        };
        for notice in turn.notices {
            match notice {
                Notice::Set { stored, .. } => assert!(stored),
                Notice::Expired(_) => self.expired += 1,
                other => panic!("{other:?}"),
            }
        }
        let NextStep::Set(metagraph) = turn.next else {
            return;
        };
        let scores = &self.scores;
        let place = |(uid, key): (usize, &Key)| Some((uid as u16, *scores.get(key)?));
        let hotkeys = metagraph.hotkeys.iter().enumerate();
        let mut weights: Vec<(u16, u16)> = hotkeys.filter_map(place).collect();
        let greatest = weights.iter().map(|(_, weight)| *weight).max().unwrap_or(0);
        for (_, weight) in &mut weights {
            if *weight == greatest {
                *weight = u16::MAX;
            }
        }
        if let Err(error) = self.setter.set(&metagraph, &weights).await {
            assert_ne!(error.remedy(), Remedy::Stop, "{error}");
        }
    }
}

/// `NASCHAIN_EPOCHS` sets another number.
#[tokio::test]
#[ignore = "100,000 blocks: minutes of one core"]
async fn a_thousand_epochs_without_a_lapse_or_a_second_setting() {
    let world = World::new("epochs").await;
    let scores = (1..=4_u8).map(|uid| ([uid; 32], 1_000 * u16::from(uid)));
    let mut simulation = Simulation {
        setter: world.setter(),
        world,
        numbers: Numbers(21),
        scores: scores.collect(),
        restarts: 0,
        next_key: 0,
        expired: 0,
    };
    let epochs = std::env::var("NASCHAIN_EPOCHS").map_or(1_000, |n| n.parse().unwrap());
    let end = epochs * (TEMPO + 1);
    loop {
        let best = simulation.world.node.shared.chain.lock().unwrap().best;
        if best >= end {
            break;
        }
        // Scores change in the first half; then the run is idle.
        if best < end / 2 {
            let key = [1 + simulation.numbers.below(4) as u8; 32];
            let score = 1 + simulation.numbers.below(60_000) as u16;
            simulation.scores.insert(key, score);
        }
        simulation.disturb().await;
        simulation.step().await;
    }
    let chain = simulation.world.node.shared.chain.lock().unwrap();
    assert_eq!(chain.failures, []);
    let epoch = |block: u64| (block + u64::from(NETUID) + 1) / (TEMPO + 1);
    let mut longest = 0;
    for pair in chain.sets.windows(2) {
        let (first, second) = (pair[0].block, pair[1].block);
        assert!(second - first >= RATE_LIMIT);
        assert!(
            epoch(first) < epoch(second),
            "twice in an epoch: {first}, {second}"
        );
        longest = longest.max(second - first);
    }
    let last = chain.sets.last().unwrap().block;
    assert!(
        longest.max(chain.best - last) < CUTOFF,
        "a lapse of {longest}"
    );
    for set in &chain.sets {
        for (uid, _) in &set.weights {
            let receiver = set.receivers[usize::from(*uid)];
            assert!(
                simulation.scores.contains_key(&receiver),
                "uid {uid}: {set:?}"
            );
        }
    }
    println!(
        "{} settings in {} blocks, at most {longest} blocks apart; {} restarts, {} expired",
        chain.sets.len(),
        chain.best,
        simulation.restarts,
        simulation.expired,
    );
    assert!(chain.sets.len() as u64 > epochs * 9 / 10);
}
