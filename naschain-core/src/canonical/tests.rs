//! Canonical genomes against brute force, the plain search, and symmetric networks.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::Architecture;
use proptest::prelude::*;

fn space(phases: usize, nodes: usize) -> MacroSpace {
    MacroSpace {
        phases,
        nodes,
        input: "1x32x32".parse().unwrap(),
        init_channels: 4,
        classes: 10,
    }
}

fn genome(number: u64, len: usize) -> Genome {
    Genome::from_bits((0..len).map(|bit| number >> bit & 1 == 1))
}

/// The slow way: a phase's edges (input 0, output 99) under every numbering, the least one.
fn by_brute_force(architecture: &Architecture) -> Vec<Vec<(usize, usize)>> {
    let phase_edges = |phase: &crate::Phase| {
        let count = phase.nodes.len();
        let numbers: Vec<usize> = phase.nodes.iter().map(|node| node.number).collect();
        let mut least: Option<Vec<(usize, usize)>> = None;
        for order in permutations(count) {
            let rename = |old: usize| match numbers.iter().position(|&number| number == old) {
                Some(place) => order[place] + 1,
                None => 0,
            };
            let mut edges: Vec<(usize, usize)> = phase
                .nodes
                .iter()
                .flat_map(|node| node.inputs.iter().map(|&input| (input, node.number)))
                .map(|(from, to)| (rename(from), rename(to)))
                .chain(phase.output.iter().map(|&from| (rename(from), 99)))
                .collect();
            edges.sort_unstable();
            if least.as_ref().is_none_or(|least| edges < *least) {
                least = Some(edges);
            }
        }
        least.unwrap()
    };
    architecture.phases.iter().map(phase_edges).collect()
}

fn permutations(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![vec![]];
    }
    let mut all = Vec::new();
    for rest in permutations(count - 1) {
        for place in 0..count {
            let mut longer = rest.clone();
            longer.insert(place, count - 1);
            all.push(longer);
        }
    }
    all
}

/// Canonical forms and brute force must pair off one to one.
fn check_all(phases: usize, nodes: usize) -> usize {
    let space = space(phases, nodes);
    let mut pairs = BTreeMap::new();
    let mut forms = BTreeSet::new();
    for number in 0..1 << space.genome_len() {
        let genome = genome(number, space.genome_len());
        let canonical = space.canonical(&genome).unwrap();
        assert_eq!(space.canonical(&canonical).unwrap(), canonical);
        let network = by_brute_force(&space.decode(&genome).unwrap());
        forms.insert(canonical.clone());
        let before = pairs.insert(network, canonical.clone());
        assert!(before.is_none_or(|before| before == canonical), "{genome}");
    }
    assert_eq!(forms.len(), pairs.len(), "two networks share a form");
    forms.len()
}

#[test]
fn every_genome_of_small_spaces() {
    assert_eq!(check_all(3, 2), 1 + 2 + 4 + 8);
    let three_nodes = check_all(1, 3) - 1;
    assert_eq!(
        check_all(3, 3),
        [0, 1, 2, 3]
            .map(|k| three_nodes.pow(k))
            .iter()
            .sum::<usize>()
    );
    check_all(1, 4);
    check_all(1, 5);
}

/// The count that `MacroSpace::canonical` states.
#[test]
fn networks_of_3_phases_of_4_nodes() {
    let one_phase = check_all(1, 4) - 1;
    let all: usize = [0, 1, 2, 3].map(|k| one_phase.pow(k)).iter().sum();
    assert_eq!((one_phase, all), (60, 219_661));
}

/// The same count without a formula.
#[test]
#[ignore = "goes through two million genomes: seconds in a release build"]
fn all_genomes_of_3_phases_of_4_nodes() {
    let space = space(3, 4);
    let canonical = |number| space.canonical(&genome(number, 21)).unwrap();
    let forms: BTreeSet<Genome> = (0..1 << 21).map(canonical).collect();
    assert_eq!(forms.len(), 219_661);
}

proptest! {
    /// Large phases, where brute force cannot go: renumbering nodes changes nothing.
    #[test]
    fn renumbering_changes_nothing(
        bits in prop::collection::vec(prop::bool::weighted(0.25), 46),
        seed in any::<u64>(),
    ) {
        let space = space(1, 10);
        let genome = Genome::from_bits(bits);
        let dag = Dag::read(&genome, 0, 10);
        // A random order in which every node comes after what it reads.
        let mut stream = crate::Stream::new(seed, crate::Purpose::Simulation, 0, 0);
        let mut order: Vec<usize> = Vec::new();
        while order.len() < 10 {
            let ready: Vec<usize> = (0..10)
                .filter(|node| !order.contains(node))
                .filter(|&node| ones(dag.reads[node]).all(|read| order.contains(&read)))
                .collect();
            order.push(ready[stream.index(ready.len())]);
        }
        let place = |node: usize| order.iter().position(|&other| other == node).unwrap();
        let reads = order
            .iter()
            .map(|&node| ones(dag.reads[node]).fold(0, |mask, read| mask | 1 << place(read)))
            .collect();
        let mut renumbered: Vec<bool> = Dag { reads }.bits().collect();
        renumbered.push(genome.get(45));
        let renumbered = Genome::from_bits(renumbered);
        prop_assert_eq!(space.canonical(&genome).unwrap(), space.canonical(&renumbered).unwrap());
        let canonical = space.canonical(&genome).unwrap();
        let costs = |genome: &Genome| space.decode(genome).unwrap().costs().unwrap();
        prop_assert_eq!(costs(&canonical), costs(&genome));
    }
}
