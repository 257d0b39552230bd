//! Comparison of canonical genomes with brute force and with an unpruned search, and tests of symmetric
//! networks.

mod brute_force;
mod plain_search;
mod symmetric;

use super::{Dag, ones};
use crate::{Genome, MacroSpace, Purpose, Stream};

fn space(phases: usize, nodes: usize) -> MacroSpace {
    MacroSpace {
        phases,
        nodes,
        input: "1x32x32".parse().unwrap(),
        init_channels: 4,
        classes: 10,
    }
}

/// The genome whose bits are those of `number`, lowest first.
fn genome(number: u64, len: usize) -> Genome {
    Genome::from_bits((0..len).map(|bit| number >> bit & 1 == 1))
}

/// A genome of one phase.
fn one_phase(dag: &Dag, skip: bool) -> Genome {
    Genome::from_bits(dag.bits().chain([skip]))
}

/// The same network in a random order in which every node comes after the nodes that it reads.
fn renumbered(dag: &Dag, seed: u64) -> Dag {
    let count = dag.reads.len();
    let mut stream = Stream::new(seed, Purpose::Simulation, 0, 0);
    let mut order: Vec<usize> = Vec::new();
    while order.len() < count {
        let ready: Vec<usize> = (0..count)
            .filter(|node| !order.contains(node))
            .filter(|&node| ones(dag.reads[node]).all(|read| order.contains(&read)))
            .collect();
        order.push(ready[stream.index(ready.len())]);
    }
    let place = |node: usize| order.iter().position(|&other| other == node).unwrap();
    let row = |&node: &usize| ones(dag.reads[node]).fold(0, |mask, read| mask | 1 << place(read));
    Dag {
        reads: order.iter().map(row).collect(),
    }
}
