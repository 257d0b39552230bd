//! Small spaces, in which all numberings of the nodes can be enumerated.

use std::collections::{BTreeMap, BTreeSet};

use super::{genome, space};
use crate::{Architecture, Genome};

/// The least list of edges of each phase (input 0, output 99) among all numberings of its nodes.
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

/// Checks that canonical forms correspond one to one to networks found by brute force, and returns
/// their number.
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
fn canonical_forms_of_small_spaces_match_brute_force() {
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

/// The number of networks in the documentation of `MacroSpace::canonical`.
#[test]
fn networks_of_3_phases_of_4_nodes() {
    let one_phase = check_all(1, 4) - 1;
    let all: usize = [0, 1, 2, 3].map(|k| one_phase.pow(k)).iter().sum();
    assert_eq!((one_phase, all), (60, 219_661));
}

/// The same number by enumeration instead of a formula.
#[test]
#[ignore = "enumerates two million genomes: seconds in a release build"]
fn all_genomes_of_3_phases_of_4_nodes() {
    let space = space(3, 4);
    let canonical = |number| space.canonical(&genome(number, 21)).unwrap();
    let forms: BTreeSet<Genome> = (0..1 << 21).map(canonical).collect();
    assert_eq!(forms.len(), 219_661);
}
