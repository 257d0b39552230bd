//! Networks with many automorphisms. A search that does not use them exceeds its limit: 15 chains from
//! one node have 15! orders, more than 10^12.

use super::{Dag, one_phase, renumbered, space};
use crate::canonical::{MAX_STEPS, OutOfSteps, Part, least_code};
use proptest::prelude::*;

/// A phase of `count` nodes in which node i reads the earlier node j if `reads(i, j)`.
fn dag(count: usize, reads: impl Fn(usize, usize) -> bool) -> Dag {
    let reads = &reads;
    let row = |node: usize| (0..node).filter(move |&read| reads(node, read));
    let mask = |node| row(node).fold(0, |mask, read| mask | 1 << read);
    Dag {
        reads: (0..count).map(mask).collect(),
    }
}

/// The union of these networks with one common node first, which is read by all nodes that have no
/// input.
fn side_by_side(parts: &[Dag]) -> Dag {
    let mut reads = vec![0];
    for part in parts {
        let shift = reads.len();
        let row = |&mask: &u32| if mask == 0 { 1 } else { mask << shift };
        reads.extend(part.reads.iter().map(row));
    }
    Dag { reads }
}

/// Checks that all numberings have the same canonical form, which is a numbering of the same network and
/// its own canonical form.
fn check(dag: &Dag, seeds: std::ops::Range<u64>) {
    let space = space(1, dag.reads.len());
    let form = space.canonical(&one_phase(dag, false)).unwrap();
    assert_eq!(space.canonical(&form).unwrap(), form);
    let costs = |genome| space.decode(genome).unwrap().costs().unwrap();
    assert_eq!(costs(&form), costs(&one_phase(dag, false)));
    for seed in seeds {
        let other = one_phase(&renumbered(dag, seed), false);
        assert_eq!(space.canonical(&other).unwrap(), form, "{:?}", dag.reads);
    }
}

/// Node 0, and `count` chains of `len` nodes whose first nodes read it.
fn chains(count: usize, len: usize) -> Dag {
    dag(1 + count * len, |node, read| {
        read == node.saturating_sub(count)
    })
}

#[test]
fn chains_from_one_node() {
    check(&chains(15, 2), 0..20);
    check(&chains(10, 3), 0..20);
    check(&chains(6, 5), 0..20);
}

/// Nodes 2 and 3 read nodes 0 and 1 crosswise, and node 4 reads one of them.
fn small() -> Dag {
    Dag {
        reads: vec![0, 1, 0b11, 0b10, 0b1100],
    }
}

#[test]
fn copies_of_a_small_network() {
    let six: Vec<Dag> = (0..6).map(|_| small()).collect();
    check(&side_by_side(&six), 0..20);
    let apart = dag(30, |node, read| {
        node / 5 == read / 5 && small().reads[node % 5] >> (read % 5) & 1 == 1
    });
    check(&apart, 0..20);
    let pairs = dag(32, |node, read| node == read + 1 && node % 2 == 1);
    check(&pairs, 0..20);
}

#[test]
fn layers_that_read_all_or_all_but_one() {
    for (width, nodes) in [(16, 32), (8, 32), (4, 32), (10, 30), (2, 32)] {
        check(&dag(nodes, |node, read| node / width > read / width), 0..5);
        check(
            &dag(nodes, |node, read| node / width == read / width + 1),
            0..5,
        );
        let but_one =
            |node: usize, read: usize| node / width > read / width && node % width != read % width;
        check(&dag(nodes, but_one), 0..5);
    }
}

/// Two layers of nodes: a node a of the second layer reads node b of the first if `wired(a, b)`.
fn two_layers(width: usize, wired: impl Fn(usize, usize) -> bool) -> Dag {
    dag(2 * width, |node, read| {
        node >= width && read < width && wired(node - width, read)
    })
}

/// Refinement alone cannot distinguish the nodes of these networks.
#[test]
fn cubes_designs_and_strongly_regular_graphs() {
    check(&two_layers(16, |a, b| (a ^ b).count_ones() == 1), 0..20);
    let rook = |a: usize, b: usize| a != b && (a / 4 == b / 4 || a % 4 == b % 4);
    check(&two_layers(16, rook), 0..20);
    let shrikhande = |a: usize, b: usize| {
        let apart = ((4 + a / 4 - b / 4) % 4, (4 + a % 4 - b % 4) % 4);
        [(1, 0), (3, 0), (0, 1), (0, 3), (1, 1), (3, 3)].contains(&apart)
    };
    check(&two_layers(16, shrikhande), 0..20);
    let planes = |a: usize, b: usize| ((a + 1) & (b + 1)).count_ones().is_multiple_of(2);
    check(&side_by_side(&[two_layers(15, planes)]), 0..20);
    let fano = || two_layers(7, |a, b| [0, 1, 3].contains(&((7 + b - a) % 7)));
    check(&side_by_side(&[fano(), fano()]), 0..20);

    // Two strongly regular graphs with the same parameters, which refinement cannot distinguish.
    let with_itself = |wired: &dyn Fn(usize, usize) -> bool| {
        let layers = two_layers(16, |a, b| a == b || wired(a, b));
        space(1, 32).canonical(&one_phase(&layers, false)).unwrap()
    };
    assert_ne!(with_itself(&rook), with_itself(&shrikhande));
}

/// A cycle of `width` nodes per layer in two layers.
fn cycle(width: usize) -> Dag {
    two_layers(width, |a, b| b == a || b == (a + 1) % width)
}

/// The networks that need the largest known numbers of steps.
#[test]
fn unions_of_cycles() {
    let of = |widths: &[usize]| {
        let cycles: Vec<Dag> = widths.iter().map(|&width| cycle(width)).collect();
        side_by_side(&cycles)
    };
    for widths in [
        &[2, 4, 4, 3, 2][..],
        &[2, 2, 2, 4, 3, 2],
        &[3; 5],
        &[6, 4, 3, 2],
    ] {
        check(&of(widths), 0..10);
    }
    let form = |widths: &[usize]| {
        space(1, 31)
            .canonical(&one_phase(&of(widths), false))
            .unwrap()
    };
    assert_eq!(form(&[3, 5, 7]), form(&[7, 3, 5]));
    assert_ne!(form(&[3, 5, 7]), form(&[4, 4, 7]));
}

/// A search fails exactly if its limit is below the number of steps that it needs.
#[test]
fn the_steps_of_a_search_are_limited() {
    let chains = chains(15, 2);
    let part = Part::new(&chains, &(0..31).collect::<Vec<_>>());
    let needed = (1..MAX_STEPS).find(|&steps| least_code(&part, steps).is_ok());
    let needed = needed.unwrap();
    assert!(needed > 15 && needed < 1000, "{needed} steps");
    assert_eq!(least_code(&part, needed - 1), Err(OutOfSteps));
    assert_eq!(least_code(&part, needed), least_code(&part, MAX_STEPS));
}

proptest! {
    /// Layers of equal width that read earlier layers with the symmetry of a cycle, a cube or both.
    #[test]
    fn symmetric_layers(
        (width, layers) in prop::sample::select(vec![
            (16_usize, 2_usize), (8, 4), (8, 3), (10, 3), (4, 8), (5, 6), (2, 16), (3, 10), (6, 5), (15, 2),
        ]),
        wiring in prop::collection::vec(any::<u16>(), 16),
        cube in any::<bool>(),
        root in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let apart = |a: usize, b: usize| {
            if cube && width.is_power_of_two() { a ^ b } else { (width + b - a) % width }
        };
        let reads = |node: usize, read: usize| {
            let (layer, earlier) = (node / width, read / width);
            // Each layer reads the previous one and, with probability 1/4, earlier ones.
            let choice = wiring[layer].rotate_left(3 * earlier as u32);
            let read_at_all = layer == earlier + 1 || layer > earlier && choice & 3 == 0;
            read_at_all && choice >> apart(node % width, read % width) & 1 == 1
        };
        let layered = dag(width * layers, reads);
        let dag = if root && width * layers < 32 { side_by_side(&[layered]) } else { layered };
        check(&dag, seed..seed.saturating_add(2));
    }

    /// For large phases of any kind, the canonical form does not depend on the numbering.
    #[test]
    fn renumbering_changes_nothing(
        nodes in prop::sample::select(vec![10_usize, 20, 32]),
        words in prop::collection::vec(any::<u32>(), 64),
        sparse in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let bit = |node: usize, read: usize| words[node] >> read & 1 == 1;
        let also = |node: usize, read: usize| words[32 + node] >> read & 1 == 1;
        let reads = |node, read| bit(node, read) && (!sparse || also(node, read));
        check(&dag(nodes, reads), seed..seed.saturating_add(2));
    }
}
