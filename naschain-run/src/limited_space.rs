//! The space that a run searches.

use std::collections::VecDeque;

use naschain_core::{GeneSpace, Genome, SearchSpace};
use naschain_nsga::{OperationGraph, Space};
use serde::{Deserialize, Serialize};

use crate::latency::LatencyTable;
use crate::limits::CostLimits;

/// A space without the networks that cost more than a run allows: what a run searches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitedSpace {
    space: SearchSpace,
    limits: CostLimits,
    /// What latency is predicted from, if it takes the place of FLOPs among the objectives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    latency: Option<LatencyTable>,
}

impl LimitedSpace {
    /// The networks of `space` within these limits.
    pub fn new(space: impl Into<SearchSpace>, limits: CostLimits) -> LimitedSpace {
        LimitedSpace {
            space: space.into(),
            limits,
            latency: None,
        }
    }

    /// The same with predicted latency instead of FLOPs as the third objective, if there is a table.
    pub fn with_latency(self, latency: Option<LatencyTable>) -> LimitedSpace {
        LimitedSpace { latency, ..self }
    }

    /// Replaces genes by those of the smallest network, one after the other.
    fn with_smaller_genes(
        &self,
        space: &dyn GeneSpace,
        genome: Genome,
        mut drawn: impl FnMut() -> usize,
    ) -> Genome {
        let Ok(mut genes) = space.genes_of(&genome) else {
            return genome;
        };
        let smallest = space.smallest_genes();
        let allows = |genes: &[u8]| {
            let costs = space.network(genes).and_then(|network| network.costs());
            costs.is_ok_and(|costs| self.limits.allow(costs))
        };
        while !allows(&genes) {
            let others = (0..genes.len()).filter(|at| genes[*at] != smallest[*at]);
            let others: Vec<usize> = others.collect();
            // The smallest network: a valid run allows it.
            if others.is_empty() {
                break;
            }
            let at = others[drawn() % others.len()];
            genes[at] = smallest[at];
        }
        space.genome_of(&genes).unwrap_or(genome)
    }

    fn allows(&self, genome: &Genome) -> bool {
        let costs = self
            .space
            .decode(genome)
            .and_then(|network| network.costs());
        costs.is_ok_and(|costs| self.limits.allow(costs))
    }
}

impl Space for LimitedSpace {
    type Genome = Genome;

    fn canonical(&self, genome: &Genome) -> Genome {
        Space::canonical(&self.space, genome)
    }

    /// Makes a genome whose network costs too much more like that of the smallest network, gene by gene, in
    /// an order that its own bits determine, until it is within the limits. In the macro space the genes
    /// are bits, which are cleared: without connections a network is smaller.
    fn repaired(&self, genome: Genome) -> Genome {
        let genome = self.space.repaired(genome);
        if self.limits.are_none() || self.allows(&genome) {
            return genome;
        }
        let order = blake3::hash(genome.to_string().as_bytes());
        let mut order: VecDeque<u8> = order.as_bytes().iter().copied().collect();
        let mut drawn = || {
            let drawn = usize::from(order[0]) * 256 + usize::from(order[1]);
            order.rotate_left(1);
            drawn
        };
        match self.space.gene_space() {
            Some(space) => self.with_smaller_genes(space, genome, drawn),
            None => {
                let mut genome = genome;
                while !self.allows(&genome) {
                    let set: Vec<usize> = (0..genome.len()).filter(|b| genome.get(*b)).collect();
                    // The network without connections: a valid run allows it.
                    if set.is_empty() {
                        break;
                    }
                    genome.flip(set[drawn() % set.len()]);
                }
                genome
            }
        }
    }

    fn known_objectives(&self, genome: &Genome) -> Vec<Option<f64>> {
        let mut known = self.space.known_objectives(genome);
        if let (Some(table), Some(third)) = (&self.latency, known.get_mut(2)) {
            let network = self.space.decode(genome);
            let latency = network
                .ok()
                .and_then(|network| table.latency_us(&network).ok());
            *third = latency.map(|latency| latency as f64);
        }
        known
    }

    fn graphs(&self, genome: &Genome) -> Vec<OperationGraph> {
        self.space.graphs(genome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use naschain_core::{MacroSpace, MicroSpace, MobileSpace, Purpose, Stream};

    fn space() -> MacroSpace {
        MacroSpace {
            phases: 2,
            nodes: 4,
            input: "1x8x8".parse().unwrap(),
            init_channels: 8,
            classes: 10,
        }
    }

    #[test]
    fn what_the_space_says_of_a_genome_is_passed_on() {
        let space = space();
        let limited = LimitedSpace::new(space.clone(), CostLimits::default());
        let genome = Genome::zeros(space.genome_len());
        assert_eq!(limited.graphs(&genome).len(), space.phases);
        assert_eq!(limited.graphs(&genome), space.graphs(&genome));
        let known = limited.known_objectives(&genome);
        assert_eq!(known, space.known_objectives(&genome));
    }

    #[test]
    fn genomes_are_repaired_until_they_are_within_the_limits() {
        let space = space();
        let costs = |genome: &Genome| space.decode(genome).unwrap().costs().unwrap();
        let limits = CostLimits {
            max_params: Some(4_000),
            max_flops: Some(90_000),
        };
        let limited = LimitedSpace::new(space.clone(), limits);
        let (mut changed, mut phases) = (0, [0, 0]);
        for index in 0..300 {
            let mut stream = Stream::new(1, Purpose::Simulation, 0, index);
            let genome = space.random_genome(&mut stream).unwrap();
            let repaired = limited.repaired(genome.clone());
            assert!(limits.allow(costs(&repaired)), "{genome}: {repaired}");
            assert_eq!(limited.repaired(repaired.clone()), repaired);
            if limits.allow(costs(&genome)) {
                assert_eq!(repaired, genome);
            } else {
                changed += 1;
                // Bits are only cleared.
                let mut pairs = genome.bits().zip(repaired.bits());
                assert!(pairs.all(|(before, after)| before || !after));
            }
            for phase in &space.decode(&repaired).unwrap().phases {
                phases[phase.number - 1] += 1;
            }
        }
        assert!(changed > 100, "{changed}");
        // No phase is always the one that is cut.
        assert!(phases.iter().all(|count| *count > 20), "{phases:?}");
    }

    #[test]
    fn genes_are_replaced_by_those_of_the_smallest_network() {
        let input = "1x8x8".parse().unwrap();
        let (init_channels, classes) = (4, 10);
        let cells = MicroSpace {
            blocks: 3,
            layers: 4,
            input,
            init_channels,
            classes,
        };
        let stages = MobileSpace {
            stages: 2,
            depth: 3,
            input,
            init_channels,
            classes,
        };
        for space in [SearchSpace::from(cells), stages.into()] {
            let costs = |genome: &Genome| space.decode(genome).unwrap().costs().unwrap();
            let smallest = space.smallest_genome().unwrap();
            let limits = CostLimits {
                max_params: Some(2 * costs(&smallest).params),
                max_flops: None,
            };
            let limited = LimitedSpace::new(space.clone(), limits);
            let mut repaired = std::collections::BTreeSet::new();
            for index in 0..100 {
                let mut stream = Stream::new(1, Purpose::Simulation, 0, index);
                let genome = Genome::random(space.genome_len(), &mut stream);
                let within = limited.repaired(genome);
                assert!(limits.allow(costs(&within)));
                assert_eq!(limited.repaired(within.clone()), within);
                repaired.insert(within.to_string());
            }
            assert!(repaired.len() > 50, "{space}: {}", repaired.len());
        }
    }

    #[test]
    fn without_limits_nothing_changes() {
        let limited = LimitedSpace::new(space(), CostLimits::default());
        let genome: Genome = "11111111111111".parse().unwrap();
        assert_eq!(limited.repaired(genome.clone()), genome);
    }
}
