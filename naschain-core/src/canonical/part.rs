//! One connected component of a phase, and the refinement of its nodes' colours.

use super::{Dag, ones};

/// One connected component with its nodes renumbered from 0. Bit j of `reads[i]` and bit i of
/// `readers[j]` are 1 if node i reads node j.
pub(super) struct Part {
    pub(super) reads: Vec<u32>,
    pub(super) readers: Vec<u32>,
}

/// A node's colour, the sorted colours of the nodes that it reads, and those of the nodes that read
/// it. Both lists are counted from 1 and padded with zeros.
type Key = (u8, [u8; 32], [u8; 32]);

impl Part {
    pub(super) fn new(dag: &Dag, nodes: &[usize]) -> Part {
        let place = |node| nodes.iter().position(|&other| other == node);
        let mut part = Part {
            reads: vec![0; nodes.len()],
            readers: vec![0; nodes.len()],
        };
        for (reader, &node) in nodes.iter().enumerate() {
            for read in ones(dag.reads[node]).filter_map(place) {
                part.reads[reader] |= 1 << read;
                part.readers[read] |= 1 << reader;
            }
        }
        part
    }

    /// The length of the longest path to each node. In an order by level, a node comes after all nodes
    /// that it reads.
    pub(super) fn levels(&self) -> Vec<u8> {
        let mut levels: Vec<u8> = Vec::with_capacity(self.reads.len());
        for &mask in &self.reads {
            let deepest = ones(mask).map(|read| levels[read] + 1).max();
            levels.push(deepest.unwrap_or(0));
        }
        levels
    }

    /// Splits colours by the colours of a node's neighbours until nothing changes. The new colours are
    /// 0, 1, … in an order that does not depend on the numbering of nodes.
    pub(super) fn refine(&self, mut colours: Vec<u8>) -> Vec<u8> {
        loop {
            let mut keys: Vec<(Key, usize)> = (0..colours.len())
                .map(|node| (self.key(node, &colours), node))
                .collect();
            keys.sort_unstable();
            let mut refined = vec![0; colours.len()];
            let mut colour = 0;
            for pair in keys.windows(2) {
                colour += u8::from(pair[0].0 != pair[1].0);
                refined[pair[1].1] = colour;
            }
            let all_differ = usize::from(colour) + 1 == colours.len();
            if all_differ || refined == colours {
                return refined;
            }
            colours = refined;
        }
    }

    fn key(&self, node: usize, colours: &[u8]) -> Key {
        let around = |mask: u32| {
            let mut seen = [0; 32];
            for (seen, node) in seen.iter_mut().zip(ones(mask)) {
                *seen = colours[node] + 1;
            }
            seen[..mask.count_ones() as usize].sort_unstable();
            seen
        };
        let (reads, readers) = (self.reads[node], self.readers[node]);
        (colours[node], around(reads), around(readers))
    }

    /// The refined colours if `node` is put before all nodes of its colour.
    pub(super) fn put_first(&self, node: usize, colours: &[u8]) -> Vec<u8> {
        // Doubling the colours makes room for a new one before each.
        let mut split: Vec<u8> = colours.iter().map(|colour| 2 * colour + 1).collect();
        split[node] -= 1;
        self.refine(split)
    }

    /// The `reads` masks if nodes are numbered by their colours, which must all differ.
    pub(super) fn code(&self, colours: &[u8]) -> Vec<u32> {
        let mut code = vec![0; colours.len()];
        for (node, &colour) in colours.iter().enumerate() {
            let reads = ones(self.reads[node]);
            code[usize::from(colour)] = reads.fold(0, |mask, read| mask | 1 << colours[read]);
        }
        code
    }
}
