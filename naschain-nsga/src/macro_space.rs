use naschain_core::{Genome, MacroSpace, Network, SearchSpace};

use crate::cell_space::{cell_graphs, known_costs};
use crate::{OperationGraph, Space};

/// The macro space, for three objectives in this order: one that is evaluated (such as the accuracy),
/// the number of parameters, and the FLOPs.
///
/// Genomes of the same network are the same candidate ([`MacroSpace::canonical`]), and parameters and
/// FLOPs are known without evaluation. The search's `genome_len` must be [`MacroSpace::genome_len`],
/// and the space must be valid. The surrogate also learns from the graph of each phase. A genome without a canonical form counts as one of its own, and the
/// costs of a genome that cannot be decoded count as unknown.
///
/// Feature `macro-space`, on by default.
impl Space for MacroSpace {
    type Genome = Genome;

    fn canonical(&self, genome: &Genome) -> Genome {
        let canonical = MacroSpace::canonical(self, genome);
        canonical.unwrap_or_else(|_| genome.clone())
    }

    fn known_objectives(&self, genome: &Genome) -> Vec<Option<f64>> {
        known_costs(self.decode(genome).and_then(|network| network.costs()))
    }

    fn graphs(&self, genome: &Genome) -> Vec<OperationGraph> {
        let Ok(network) = self.decode(genome) else {
            return Vec::new();
        };
        let of_phase = |number: usize| {
            // The phase's input is node 0, and its output follows the last node. A phase that was left
            // out has no edges.
            let output = self.nodes + 1;
            let mut graph = OperationGraph::new(output + 1, 1);
            let phase = network.phases.iter().find(|phase| phase.number == number);
            for node in phase.iter().flat_map(|phase| &phase.nodes) {
                graph.set_operation(node.number, 0);
                for input in &node.inputs {
                    graph.add_edge(*input, node.number, None);
                }
            }
            for node in phase.iter().flat_map(|phase| &phase.output) {
                graph.add_edge(*node, output, None);
            }
            graph
        };
        (1..=self.phases).map(of_phase).collect()
    }
}

/// The spaces of runs, for three objectives in this order: one that is evaluated (such as the accuracy),
/// the number of parameters, and the FLOPs.
///
/// The search's `genome_len` must be [`SearchSpace::genome_len`], and the space must be valid. The
/// surrogate also learns from the graphs of phases or cells; networks of the mobile space have none.
///
/// Feature `macro-space`, on by default.
impl Space for SearchSpace {
    type Genome = Genome;

    fn canonical(&self, genome: &Genome) -> Genome {
        let canonical = SearchSpace::canonical(self, genome);
        canonical.unwrap_or_else(|_| genome.clone())
    }

    /// Bits that stand for no value of a gene become those of the value that they are read as.
    fn repaired(&self, genome: Genome) -> Genome {
        let Some(space) = self.gene_space() else {
            return genome;
        };
        let bits = space.genes_of(&genome);
        bits.and_then(|genes| space.genome_of(&genes))
            .unwrap_or(genome)
    }

    fn known_objectives(&self, genome: &Genome) -> Vec<Option<f64>> {
        known_costs(self.decode(genome).and_then(|network| network.costs()))
    }

    fn graphs(&self, genome: &Genome) -> Vec<OperationGraph> {
        match (self, self.decode(genome)) {
            (SearchSpace::Macro(space), _) => space.graphs(genome),
            (_, Ok(Network::Micro(network))) => cell_graphs(&network),
            _ => Vec::new(),
        }
    }
}
