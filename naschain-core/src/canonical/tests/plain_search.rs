//! A simple search without pruning, except of nodes with the same neighbours. It does not end in
//! reasonable time on symmetric networks.

use super::{Dag, Genome, genome, one_phase, ones, renumbered, space};
use crate::canonical::Part;
use proptest::prelude::*;

/// Splits colours by the colours of the neighbours until nothing changes.
fn refine(part: &Part, mut colours: Vec<usize>) -> Vec<usize> {
    loop {
        let around = |mask: u32| {
            let mut seen: Vec<usize> = ones(mask).map(|node| colours[node]).collect();
            seen.sort_unstable();
            seen
        };
        let key = |node| {
            let (reads, readers) = (part.reads[node], part.readers[node]);
            (colours[node], around(reads), around(readers))
        };
        let keys: Vec<_> = (0..colours.len()).map(key).collect();
        let mut sorted = keys.clone();
        sorted.sort();
        sorted.dedup();
        let place = |key| sorted.binary_search(key).unwrap();
        let refined: Vec<usize> = keys.iter().map(place).collect();
        if refined == colours {
            return colours;
        }
        colours = refined;
    }
}

/// The least code of the subtree with these colours.
fn least(part: &Part, colours: &[usize]) -> Vec<u32> {
    let with = |colour| (0..colours.len()).filter(move |&node| colours[node] == colour);
    let Some(tie) = (0..colours.len()).find(|&colour| with(colour).count() > 1) else {
        let colours: Vec<u8> = colours.iter().map(|&colour| colour as u8).collect();
        return part.code(&colours);
    };
    let neighbours = |node: usize| (part.reads[node], part.readers[node]);
    let is_first = |&node: &usize| {
        let mut before = with(tie).take_while(|&other| other < node);
        before.all(|other| neighbours(other) != neighbours(node))
    };
    let below = |node: usize| {
        let mut split: Vec<usize> = colours.iter().map(|colour| 2 * colour + 1).collect();
        split[node] -= 1;
        least(part, &refine(part, split))
    };
    with(tie).filter(is_first).map(below).min().unwrap()
}

/// A phase with its nodes in canonical order, by the plain search.
fn canonical(dag: &Dag) -> Dag {
    let mut parts: Vec<Vec<u32>> = Vec::new();
    for nodes in dag.components().iter().filter(|nodes| nodes.len() > 1) {
        let part = Part::new(dag, nodes);
        let levels: Vec<usize> = part.levels().into_iter().map(usize::from).collect();
        parts.push(least(&part, &refine(&part, levels)));
    }
    parts.sort();
    let mut reads: Vec<u32> = Vec::new();
    for part in parts {
        let shift = reads.len();
        reads.extend(part.iter().map(|mask| mask << shift));
    }
    reads.resize(dag.reads.len(), 0);
    Dag { reads }
}

/// The canonical genome of one phase, by the plain search.
fn by_plain_search(dag: &Dag) -> Genome {
    let skip = dag.reads.iter().any(|&reads| reads != 0);
    one_phase(&canonical(dag), skip)
}

#[test]
fn all_genomes_of_up_to_5_nodes() {
    for nodes in 2..=5 {
        let space = space(1, nodes);
        for number in 0..1 << (space.genome_len() - 1) {
            let dag = Dag::read(&genome(number, space.genome_len()), 0, nodes);
            let found = space.canonical(&one_phase(&dag, true)).unwrap();
            assert_eq!(found, by_plain_search(&dag), "{nodes} nodes, {number}");
        }
    }
}

/// Layers of equal width that read earlier layers with circular symmetry. With `root`, the first layer
/// reads node 0.
fn cycles(width: usize, wiring: &[u64], root: bool) -> Dag {
    let first = usize::from(root);
    let mut reads = vec![0; first];
    for (layer, choice) in wiring.iter().enumerate() {
        for place in 0..width {
            let mut mask = u32::from(root && layer == 0);
            for bit in 0..layer * width {
                let (earlier, shift) = (bit / width, bit % width);
                if choice >> bit & 1 == 1 {
                    mask |= 1 << (first + earlier * width + (place + shift) % width);
                }
            }
            reads.push(mask);
        }
    }
    Dag { reads }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn random_phases(
        (nodes, bits) in (5_usize..=12, 0.05..0.7).prop_flat_map(|(nodes, share)| {
            let count = nodes * (nodes - 1) / 2;
            (Just(nodes), prop::collection::vec(prop::bool::weighted(share), count))
        }),
    ) {
        let dag = Dag::read(&Genome::from_bits(bits), 0, nodes);
        let found = space(1, nodes).canonical(&one_phase(&dag, true)).unwrap();
        prop_assert_eq!(found, by_plain_search(&dag));
    }

    #[test]
    fn symmetric_phases(
        width in 2_usize..=4,
        wiring in prop::collection::vec(any::<u64>(), 2..=3),
        root in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let layers = if width > 3 { &wiring[..2] } else { &wiring };
        let dag = renumbered(&cycles(width, layers, root), seed);
        let found = space(1, dag.reads.len()).canonical(&one_phase(&dag, true)).unwrap();
        prop_assert_eq!(found, by_plain_search(&dag));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Cycles in two layers, whose nodes refinement cannot distinguish, with some connections
    /// exchanged.
    #[test]
    fn cycles_side_by_side(
        widths in prop::collection::vec(2_usize..=4, 1..=3),
        trades in prop::collection::vec(any::<(u8, u8)>(), 0..=3),
        seed in any::<u64>(),
    ) {
        let mut rows: Vec<u32> = Vec::new();
        for &width in &widths {
            let first = rows.len();
            let next = |place| (place + 1) % width;
            let reads = |place| (1_u32 << place | 1_u32 << next(place)) << first;
            rows.extend((0..width).map(reads));
        }
        for (one, other) in trades {
            exchange(&mut rows, usize::from(one), usize::from(other));
        }
        let count = rows.len();
        let behind = rows.iter().map(|row| row << 1);
        let front = [0].into_iter().chain(std::iter::repeat_n(1, count));
        let reads = front.chain(behind).collect();
        let dag = renumbered(&Dag { reads }, seed);
        let found = space(1, dag.reads.len()).canonical(&one_phase(&dag, true)).unwrap();
        prop_assert_eq!(found, by_plain_search(&dag));
    }
}

/// Exchanges one bit of each row for one that only the other row has, if there are such bits. The
/// numbers of ones stay the same.
fn exchange(rows: &mut [u32], one: usize, other: usize) {
    let (one, other) = (one % rows.len(), other % rows.len());
    let lowest = |mask: u32| mask & mask.wrapping_neg();
    let (give, take) = (
        lowest(rows[one] & !rows[other]),
        lowest(rows[other] & !rows[one]),
    );
    if give != 0 && take != 0 {
        rows[one] ^= give | take;
        rows[other] ^= give | take;
    }
}
