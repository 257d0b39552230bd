//! The search over what refinement leaves tied.

use std::collections::BTreeMap;

use super::{Part, ones};

/// Automorphisms that are remembered. A dozen was the most that a search found; the limit keeps the
/// work of a step bounded.
const MOST_AUTOMORPHISMS: usize = 64;

/// The search tree of one part, walked depth first.
///
/// A place in the tree is a path: nodes that were put in front of what they were tied with, one
/// after the other. At a leaf no tie is left, and its order of the nodes gives a code. Two leaves
/// with one code give an automorphism, a renumbering of the nodes that leaves all connections in
/// place. It keeps the nodes that begin both paths, so where the paths part, the two branches hold
/// the same codes, and only the one walked before is needed. The same goes for all branches that
/// known automorphisms that keep the path exchange (McKay and Piperno 2014). What is left out holds
/// no code that was not seen, so the least code is the one that a walk through the whole tree finds.
pub(super) struct Search<'a> {
    part: &'a Part,
    path: Vec<usize>,
    leaves: BTreeMap<Vec<u32>, Leaf>,
    automorphisms: Vec<Automorphism>,
    steps_left: usize,
}

struct Leaf {
    path: Vec<usize>,
    colours: Vec<u8>,
}

struct Automorphism {
    image: Vec<usize>,
    /// The nodes that stay where they are.
    fixed: u32,
}

/// The search took all its steps and was not at its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OutOfSteps;

/// Searches `part` in at most `steps` refinements: what each node reads, in the order of nodes
/// that makes this least among all orders that refinement leaves possible.
pub(super) fn least_code(part: &Part, steps: usize) -> Result<Vec<u32>, OutOfSteps> {
    let mut search = Search {
        part,
        path: Vec::new(),
        leaves: BTreeMap::new(),
        automorphisms: Vec::new(),
        steps_left: steps,
    };
    search.walk(part.refine(part.levels()))?;
    let (code, _) = search.leaves.pop_first().expect("a walk ends in a leaf");
    Ok(code)
}

impl Search<'_> {
    /// Walks the tree below the present path and says how long the path is where there is more to
    /// see; that is shorter than this one if all below this one was seen in another branch.
    fn walk(&mut self, colours: Vec<u8>) -> Result<usize, OutOfSteps> {
        self.steps_left = self.steps_left.checked_sub(1).ok_or(OutOfSteps)?;
        let Some(tied) = first_tie(&colours) else {
            return Ok(self.leaf(colours));
        };
        let depth = self.path.len();
        let mut tried = 0;
        for node in ones(tied) {
            if self.looks_like(node, tried) {
                continue;
            }
            tried |= 1 << node;
            self.path.push(node);
            let back = self.walk(self.part.put_first(node, &colours))?;
            self.path.pop();
            if back < depth {
                return Ok(back);
            }
        }
        Ok(depth)
    }

    fn leaf(&mut self, colours: Vec<u8>) -> usize {
        let code = self.part.code(&colours);
        let Some(before) = self.leaves.get(&code) else {
            let path = self.path.clone();
            self.leaves.insert(code, Leaf { path, colours });
            return self.path.len();
        };
        if self.automorphisms.len() < MOST_AUTOMORPHISMS {
            let with = |colour| before.colours.iter().position(|&other| other == colour);
            let image: Vec<usize> = colours.iter().filter_map(|&colour| with(colour)).collect();
            let fixed = (0..image.len()).filter(|&node| image[node] == node);
            self.automorphisms.push(Automorphism {
                fixed: fixed.fold(0, |mask, node| mask | 1 << node),
                image,
            });
        }
        let both = self.path.iter().zip(&before.path);
        both.take_while(|(now, before)| now == before).count()
    }

    /// Whether an automorphism that keeps the path takes `node` to one of those tried.
    fn looks_like(&self, node: usize, tried: u32) -> bool {
        // Nodes with the same neighbours can always be exchanged.
        let neighbours = |node: usize| (self.part.reads[node], self.part.readers[node]);
        if ones(tried).any(|other| neighbours(other) == neighbours(node)) {
            return true;
        }
        let path = self.path.iter().fold(0, |mask, node| mask | 1 << node);
        let keep_path = |one: &&Automorphism| path & !one.fixed == 0;
        let mut orbit: u32 = 1 << node;
        loop {
            let mut grown = orbit;
            for one in self.automorphisms.iter().filter(keep_path) {
                grown = ones(grown).fold(grown, |mask, node| mask | 1 << one.image[node]);
            }
            if grown & tried != 0 || grown == orbit {
                return grown & tried != 0;
            }
            orbit = grown;
        }
    }
}

/// The nodes of the first colour that more than one node has.
fn first_tie(colours: &[u8]) -> Option<u32> {
    let mut with = [0_u32; 32];
    for (node, &colour) in colours.iter().enumerate() {
        with[usize::from(colour)] |= 1 << node;
    }
    with.into_iter().find(|nodes| nodes.count_ones() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_automorphisms_that_keep_the_path_tell() {
        let part = Part {
            reads: vec![0, 0, 0b01, 0b10],
            readers: vec![0b0100, 0b1000, 0, 0],
        };
        let both_exchanged = Automorphism {
            image: vec![1, 0, 3, 2],
            fixed: 0,
        };
        let mut search = Search {
            part: &part,
            path: Vec::new(),
            leaves: BTreeMap::new(),
            automorphisms: Vec::new(),
            steps_left: 0,
        };
        assert!(!search.looks_like(3, 1 << 2));
        search.automorphisms.push(both_exchanged);
        assert!(search.looks_like(3, 1 << 2));
        search.path.push(0);
        assert!(!search.looks_like(3, 1 << 2));
    }
}
