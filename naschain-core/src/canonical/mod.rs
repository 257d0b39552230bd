//! One genome per network: independent of the numbering of nodes and of left-out phases.

mod part;
mod search;
#[cfg(test)]
mod tests;

use crate::{Error, Genome, MacroSpace};
use part::Part;
use search::{OutOfSteps, least_code};

/// Maximum number of refinements of the search for one connected component of a phase, a few
/// microseconds each. Random genomes need one to nine. The largest number found for up to 32 nodes is
/// 771, among unions of cycles, block designs, strongly regular graphs, layers of random regular
/// wiring, and variations of these that were optimised to need more. There is no proof that it is the
/// maximum.
const MAX_STEPS: usize = 10_000;

impl MacroSpace {
    /// Returns the canonical form of `genome`: a genome of the same network that is equal for all
    /// genomes of that network.
    ///
    /// Two genomes encode the same network if their decoded phases are equal up to the numbering of
    /// nodes. In the canonical form, left-out phases come last and have no bit set, and the nodes of
    /// a phase are in an order that depends only on their connections (colour refinement, and search
    /// over the remaining ties, as in McKay and Piperno 2014). The 2²¹ genomes of 3 phases of 4 nodes
    /// encode 219,661 distinct networks.
    ///
    /// # Errors
    /// As [`MacroSpace::check`], and [`Error::TooSymmetric`] if a search exceeds 10,000 steps. No
    /// network is known for which that happens: the most symmetric ones of 32 nodes take hundreds of
    /// steps, at most a few milliseconds.
    ///
    /// ```
    /// use naschain_core::{Genome, MacroSpace};
    /// let space = MacroSpace {
    ///     phases: 2,
    ///     nodes: 3,
    ///     input: "1x8x8".parse()?,
    ///     init_channels: 8,
    ///     classes: 10,
    /// };
    /// let canonical = |text: &str| space.canonical(&text.parse()?);
    /// // Node 3 reads node 1 in the first phase, or node 2 reads node 1 in the second one.
    /// assert_eq!(canonical("0100-0001")?, canonical("0000-1000")?);
    /// // The skip bit changes the network.
    /// assert_ne!(canonical("0100-0000")?, canonical("0101-0000")?);
    /// # Ok::<(), naschain_core::Error>(())
    /// ```
    pub fn canonical(&self, genome: &Genome) -> Result<Genome, Error> {
        self.check(genome)?;
        let phase_len = self.phase_len();
        let mut bits = Vec::with_capacity(genome.len());
        for phase in 0..self.phases {
            let dag = Dag::read(genome, phase * phase_len, self.nodes);
            if dag.reads.iter().any(|&reads| reads != 0) {
                let too_symmetric = |OutOfSteps| Error::TooSymmetric {
                    phase: phase + 1,
                    steps: MAX_STEPS,
                };
                bits.extend(dag.canonical(MAX_STEPS).map_err(too_symmetric)?.bits());
                bits.push(genome.get((phase + 1) * phase_len - 1));
            }
        }
        bits.resize(genome.len(), false);
        Ok(Genome::from_bits(bits))
    }
}

/// The nodes of one phase: bit j of `reads[i]` is 1 if node i reads node j, both counted from 0.
struct Dag {
    reads: Vec<u32>,
}

impl Dag {
    fn read(genome: &Genome, mut at: usize, nodes: usize) -> Dag {
        let mut reads = vec![0; nodes];
        for (reader, mask) in reads.iter_mut().enumerate() {
            for read in 0..reader {
                *mask |= u32::from(genome.get(at)) << read;
                at += 1;
            }
        }
        Dag { reads }
    }

    fn bits(&self) -> impl Iterator<Item = bool> + '_ {
        let row = |(reader, mask): (usize, &u32)| {
            let mask = *mask;
            (0..reader).map(move |read| mask >> read & 1 == 1)
        };
        self.reads.iter().enumerate().flat_map(row)
    }

    /// The same graph with its nodes in canonical order; isolated nodes come last.
    fn canonical(&self, steps: usize) -> Result<Dag, OutOfSteps> {
        let mut parts = self
            .components()
            .into_iter()
            .filter(|nodes| nodes.len() > 1)
            .map(|nodes| least_code(&Part::new(self, &nodes), steps))
            .collect::<Result<Vec<_>, _>>()?;
        parts.sort();
        let mut reads = Vec::with_capacity(self.reads.len());
        for part in parts {
            let shift = reads.len();
            reads.extend(part.iter().map(|mask| mask << shift));
        }
        reads.resize(self.reads.len(), 0);
        Ok(Dag { reads })
    }

    /// The connected components, each with its nodes in ascending order.
    fn components(&self) -> Vec<Vec<usize>> {
        let mut label: Vec<usize> = (0..self.reads.len()).collect();
        for (reader, &mask) in self.reads.iter().enumerate() {
            for read in ones(mask) {
                let (old, new) = (label[reader], label[read]);
                for label in label.iter_mut().filter(|label| **label == old) {
                    *label = new;
                }
            }
        }
        let members = |root| (0..label.len()).filter(|&n| label[n] == root).collect();
        let parts = (0..label.len()).map(members);
        parts.filter(|part: &Vec<usize>| !part.is_empty()).collect()
    }
}

/// The indices of the bits that are 1, in ascending order.
fn ones(mut mask: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = mask.trailing_zeros() as usize;
        mask &= mask.checked_sub(1)?;
        Some(place)
    })
}
