//! One genome for each network: relabelled nodes, dead connections and left-out phases removed.

use crate::{Error, Genome, MacroSpace};

impl MacroSpace {
    /// The genome that stands for the same network as `genome` and is the same for all genomes
    /// that do.
    ///
    /// Two genomes stand for the same network when their decoded phases are equal up to the
    /// numbering of nodes. In the canonical one, phases that are left out come last and have no
    /// bit set, and a phase's nodes are numbered by an order that only their connections decide
    /// (colour refinement and search over what it leaves tied, as in McKay and Piperno 2014). Of
    /// the 2²¹ genomes of 3 phases of 4 nodes, 219,661 are distinct networks.
    ///
    /// # Errors
    /// What [`MacroSpace::check`] says.
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
    /// // Node 3 reads node 1, or node 2 does; in the first phase or the second.
    /// assert_eq!(canonical("0100-0001")?, canonical("0000-1000")?);
    /// // The skip bit makes another network.
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
                bits.extend(dag.canonical().bits());
                bits.push(genome.get((phase + 1) * phase_len - 1));
            }
        }
        bits.resize(genome.len(), false);
        Ok(Genome::from_bits(bits))
    }
}

/// The nodes of one phase: bit j of `reads[i]` says that node i reads node j, counted from 0.
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

    /// The same network with its nodes in canonical order; isolated nodes last.
    fn canonical(&self) -> Dag {
        let mut parts: Vec<Vec<u32>> = self
            .components()
            .into_iter()
            .filter(|nodes| nodes.len() > 1)
            .map(|nodes| Part::new(self, &nodes).canonical())
            .collect();
        parts.sort();
        let mut reads = Vec::with_capacity(self.reads.len());
        for part in parts {
            let shift = reads.len();
            reads.extend(part.iter().map(|mask| mask << shift));
        }
        reads.resize(self.reads.len(), 0);
        Dag { reads }
    }

    /// The nodes that hang together, in ascending order.
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

/// One connected part, its nodes renumbered from 0.
struct Part {
    reads: Vec<u32>,
    readers: Vec<u32>,
}

impl Part {
    fn new(dag: &Dag, nodes: &[usize]) -> Part {
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

    /// What each node reads, in canonical order: the least over all orders that refinement
    /// leaves possible.
    fn canonical(&self) -> Vec<u32> {
        let mut best = None;
        self.search(self.refine(self.levels()), &mut best);
        best.expect("a search ends in at least one order")
    }

    /// Longest way from a node that reads nothing; ordering by it keeps readers behind.
    fn levels(&self) -> Vec<usize> {
        let mut levels: Vec<usize> = Vec::with_capacity(self.reads.len());
        for &mask in &self.reads {
            let deepest = ones(mask).map(|read| levels[read] + 1).max();
            levels.push(deepest.unwrap_or(0));
        }
        levels
    }

    /// Splits colours by the colours of what a node reads and is read by, until nothing changes.
    /// Colours are 0, 1, … in an order that does not depend on the numbering of nodes.
    fn refine(&self, mut colours: Vec<usize>) -> Vec<usize> {
        loop {
            let around = |mask: u32| {
                let mut seen: Vec<usize> = ones(mask).map(|node| colours[node]).collect();
                seen.sort_unstable();
                seen
            };
            let keys: Vec<_> = (0..colours.len())
                .map(|node| {
                    (
                        colours[node],
                        around(self.reads[node]),
                        around(self.readers[node]),
                    )
                })
                .collect();
            let mut sorted: Vec<_> = keys.iter().collect();
            sorted.sort();
            sorted.dedup();
            let refined: Vec<usize> = keys
                .iter()
                .map(|key| sorted.partition_point(|other| *other < key))
                .collect();
            if refined == colours {
                return colours;
            }
            colours = refined;
        }
    }

    fn search(&self, colours: Vec<usize>, best: &mut Option<Vec<u32>>) {
        let Some(tied) = self.first_tie(&colours) else {
            let code = self.code(&colours);
            if best.as_ref().is_none_or(|best| code < *best) {
                *best = Some(code);
            }
            return;
        };
        let mut tried: Vec<(u32, u32)> = Vec::new();
        for node in tied {
            // Nodes with the same neighbours can be exchanged: one of them is enough.
            let neighbours = (self.reads[node], self.readers[node]);
            if tried.contains(&neighbours) {
                continue;
            }
            tried.push(neighbours);
            // Doubled colours leave room in front of the others that were tied with this one.
            let mut split: Vec<usize> = colours.iter().map(|colour| 2 * colour + 1).collect();
            split[node] -= 1;
            self.search(self.refine(split), best);
        }
    }

    /// The nodes of the first colour that more than one node has.
    fn first_tie(&self, colours: &[usize]) -> Option<Vec<usize>> {
        let with = |colour| (0..colours.len()).filter(move |&node| colours[node] == colour);
        let tie = (0..colours.len()).find(|&colour| with(colour).count() > 1);
        tie.map(|colour| with(colour).collect())
    }

    /// What each node reads when nodes are numbered by their colours, all different.
    fn code(&self, colours: &[usize]) -> Vec<u32> {
        let mut code = vec![0; colours.len()];
        for (node, &colour) in colours.iter().enumerate() {
            code[colour] = ones(self.reads[node]).fold(0, |mask, read| mask | 1 << colours[read]);
        }
        code
    }
}

fn ones(mask: u32) -> impl Iterator<Item = usize> {
    (0..32).filter(move |bit| mask >> bit & 1 == 1)
}

#[cfg(test)]
mod tests {
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
}
