//! The search over the ties that refinement leaves.

use std::collections::BTreeMap;

use super::{Part, ones};

/// Maximum number of automorphisms that are stored, which bounds the work of a step. No search is
/// known to find more than a dozen.
const MAX_AUTOMORPHISMS: usize = 64;

/// The depth-first search of one component's tree.
///
/// A position in the tree is a path: the nodes that were put before all nodes of their colour, one
/// after the other. At a leaf no tie is left, and the order of the nodes gives a code. Two leaves with
/// the same code give an automorphism, a renumbering of the nodes that preserves all connections. It
/// fixes the common prefix of both paths, so the two branches after it contain the same codes, and the
/// second one can be pruned. The same holds for branches that are exchanged by known automorphisms
/// that fix the path (McKay and Piperno 2014). Pruned branches contain no new code, so the result is
/// the least code of the whole tree.
pub(super) struct CanonicalSearch<'a> {
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
    /// A mask of the nodes that are mapped to themselves.
    fixed: u32,
}

/// The search exceeded its number of steps.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OutOfSteps;

/// Searches `part` with at most `steps` refinements for its least code: the `reads` masks in the order
/// of nodes for which they are least, among all orders that refinement leaves possible.
pub(super) fn least_code(part: &Part, steps: usize) -> Result<Vec<u32>, OutOfSteps> {
    let mut search = CanonicalSearch {
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

impl CanonicalSearch<'_> {
    /// Searches the subtree of the current path. Returns the length of the path at which to continue,
    /// which is shorter than the current one if the rest of this subtree can be pruned.
    fn walk(&mut self, colours: Vec<u8>) -> Result<usize, OutOfSteps> {
        self.steps_left = self.steps_left.checked_sub(1).ok_or(OutOfSteps)?;
        let Some(tied) = first_tie(&colours) else {
            return Ok(self.leaf(colours));
        };
        let depth = self.path.len();
        let mut tried = 0;
        for node in ones(tied) {
            if self.is_equivalent(node, tried) {
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
        if self.automorphisms.len() < MAX_AUTOMORPHISMS {
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

    /// Whether an automorphism that fixes the path maps `node` to a node that was tried.
    fn is_equivalent(&self, node: usize, tried: u32) -> bool {
        // Nodes with the same neighbours can always be exchanged.
        let neighbours = |node: usize| (self.part.reads[node], self.part.readers[node]);
        if ones(tried).any(|other| neighbours(other) == neighbours(node)) {
            return true;
        }
        let path = self.path.iter().fold(0, |mask, node| mask | 1 << node);
        let fixes_path = |one: &&Automorphism| path & !one.fixed == 0;
        let mut orbit: u32 = 1 << node;
        loop {
            let mut grown = orbit;
            for one in self.automorphisms.iter().filter(fixes_path) {
                grown = ones(grown).fold(grown, |mask, node| mask | 1 << one.image[node]);
            }
            if grown & tried != 0 || grown == orbit {
                return grown & tried != 0;
            }
            orbit = grown;
        }
    }
}

/// A mask of the nodes of the first colour that several nodes share.
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
    fn only_automorphisms_that_fix_the_path_are_used() {
        let part = Part {
            reads: vec![0, 0, 0b01, 0b10],
            readers: vec![0b0100, 0b1000, 0, 0],
        };
        let both_exchanged = Automorphism {
            image: vec![1, 0, 3, 2],
            fixed: 0,
        };
        let mut search = CanonicalSearch {
            part: &part,
            path: Vec::new(),
            leaves: BTreeMap::new(),
            automorphisms: Vec::new(),
            steps_left: 0,
        };
        assert!(!search.is_equivalent(3, 1 << 2));
        search.automorphisms.push(both_exchanged);
        assert!(search.is_equivalent(3, 1 << 2));
        search.path.push(0);
        assert!(!search.is_equivalent(3, 1 << 2));
    }
}
