//! A thousand epochs with restarts of node and validator, long outages and an idle run: no lapse past
//! the cutoff, no second setting in an epoch, no weight for a key that is not registered, and of each
//! commit a notice whether it was revealed.

use std::collections::BTreeMap;

use naschain_bittensor::{Commit, NextStep, Notice, Remedy, Setter};

use crate::chain::{CUTOFF, Chain, Key, NETUID, RATE_LIMIT, TEMPO};
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
    /// Commits of which nobody learns whether they were revealed.
    unchecked: u64,
    revealed: u64,
    lost: u64,
    /// The first and the last block of each outage that is longer than nodes keep states.
    outages: Vec<(u64, u64)>,
}

impl Simulation {
    /// Something that happens to operators.
    async fn disturb(&mut self) {
        let shared = self.world.node.shared.clone();
        match self.numbers.below(400) {
            0 => {
                self.world.node.stop().await;
                // The chain goes on meanwhile.
                let mut blocks = self.numbers.below(60);
                if self.numbers.below(5) == 0 {
                    blocks += 310;
                    let best = shared.chain.lock().unwrap().best;
                    self.outages.push((best, best + blocks));
                }
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
            // An upgrade, whatever is in flight.
            6 => shared.chain.lock().unwrap().spec_version += 1,
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
            self.hear(notice);
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
        self.tell_the_chain(&weights);
    }

    /// One commit in twenty is lost: nobody can decrypt it.
    fn tell_the_chain(&mut self, weights: &[(u16, u16)]) {
        let state = std::fs::read_to_string(&self.world.file).unwrap();
        let state: serde_json::Value = serde_json::from_str(&state).unwrap();
        let sealed = state["sent"]["commit"]["sealed"].as_str();
        if let Some(sealed) = sealed.filter(|_| self.numbers.below(20) > 0) {
            let mut chain = self.world.node.shared.chain.lock().unwrap();
            let sealed = hex::decode(sealed).unwrap();
            chain.secrets.insert(sealed, weights.to_vec());
        }
    }

    fn hear(&mut self, notice: Notice) {
        let chain = self.world.node.shared.chain.lock().unwrap();
        let is_revealed = |commit: &Commit| {
            let sealed = hex::decode(&commit.sealed).unwrap();
            chain.revealed.contains(&sealed)
        };
        match notice {
            Notice::Set { stored, .. } | Notice::Committed { stored, .. } => assert!(stored),
            Notice::Expired(_) => self.expired += 1,
            Notice::Revealed(commit) => {
                assert!(is_revealed(&commit), "{commit:?}");
                self.revealed += 1;
            }
            Notice::NotRevealed(commit) => {
                assert!(!is_revealed(&commit), "{commit:?}");
                self.lost += 1;
            }
            Notice::NotChecked(_) => self.unchecked += 1,
            Notice::Late { sent, block } => {
                self.expired += u64::from(block.is_none());
                let is_commit = block.is_some() && sent.commit.is_some();
                self.unchecked += u64::from(is_commit);
            }
            other => panic!("{other:?}"),
        }
    }
}

/// `NASCHAIN_EPOCHS` sets another number.
#[tokio::test]
#[ignore = "100,000 blocks: minutes of one core"]
async fn a_thousand_epochs_without_a_lapse_or_a_second_setting() {
    simulate(false).await;
}

#[tokio::test]
#[ignore = "100,000 blocks: minutes of one core"]
async fn a_thousand_epochs_of_commits_of_which_the_lost_ones_are_noticed() {
    simulate(true).await;
}

async fn simulate(commit_reveal: bool) {
    let world = World::new(&format!("epochs-{commit_reveal}")).await;
    world.node.shared.chain.lock().unwrap().commit_reveal = commit_reveal;
    let scores = (1..=4_u8).map(|uid| ([uid; 32], 1_000 * u16::from(uid)));
    let mut simulation = Simulation {
        setter: world.setter(),
        world,
        numbers: Numbers(21),
        scores: scores.collect(),
        restarts: 0,
        next_key: 0,
        expired: 0,
        unchecked: 0,
        revealed: 0,
        lost: 0,
        outages: Vec::new(),
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
    simulation.check(epochs);
}

impl Simulation {
    fn check(&self, epochs: u64) {
        let chain = self.world.node.shared.chain.lock().unwrap();
        assert_eq!(chain.failures, []);
        let mut longest = 0;
        let end = chain.best;
        let blocks = chain.sets.iter().map(|set| set.block).chain([end]);
        let blocks: Vec<u64> = blocks.collect();
        for pair in blocks.windows(2) {
            let (first, second) = (pair[0], pair[1]);
            if second != end {
                assert!(second - first >= RATE_LIMIT);
                assert!(
                    Chain::epoch(first) < Chain::epoch(second),
                    "twice in an epoch: {first}, {second}"
                );
            }
            // In such an outage nobody can set weights.
            let away = self.outages.iter().map(|(start, end)| {
                let (start, end) = (*start.max(&first), *end.min(&second));
                end.saturating_sub(start)
            });
            let away: u64 = away.sum();
            longest = longest.max(second - first - away);
        }
        assert!(longest < CUTOFF, "a lapse of {longest}");
        for set in &chain.sets {
            for (uid, _) in &set.weights {
                let receiver = set.receivers[usize::from(*uid)];
                assert!(self.scores.contains_key(&receiver), "uid {uid}: {set:?}");
            }
        }
        let sets = chain.sets.len() as u64;
        println!(
            "{sets} settings in {end} blocks, at most {longest} blocks apart besides {} long outages; {} restarts, {} expired",
            self.outages.len(),
            self.restarts,
            self.expired,
        );
        if chain.commit_reveal {
            let (revealed, lost, unchecked) = (self.revealed, self.lost, self.unchecked);
            println!("{revealed} commits revealed, {lost} lost, {unchecked} not checked");
            let pending = sets - revealed - lost - unchecked;
            assert!(pending <= 1, "{pending} commits without a notice");
            // The end of an epoch and each outage leave one unchecked.
            assert!(lost > 0 && unchecked <= 2 * self.outages.len() as u64);
        }
        let outages: u64 = self.outages.iter().map(|(start, end)| end - start).sum();
        assert!(sets > (epochs - outages / (TEMPO + 1)) * 8 / 10);
    }
}
