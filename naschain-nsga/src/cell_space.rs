use naschain_core::{Costs, GeneSpace, MicroArchitecture, MicroEdge, MicroOperation, MicroSpace};

use crate::{Design, OperationGraph, Space, Value, Variable, Variables};

/// The cells of a [`MicroSpace`], for three objectives in this order: one that is evaluated (such as the
/// accuracy), the number of parameters, and the FLOPs.
///
/// Each gene is a category, because neither operations nor inputs have an order. Genomes that differ only
/// in the order of the two sides of a block are the same candidate, and parameters and FLOPs are known
/// without evaluation. The surrogate also learns from the graph of each cell.
///
/// Feature `macro-space`, on by default.
///
/// ```
/// use naschain_core::MicroSpace;
/// use naschain_nsga::{CellSpace, Objective, Outcome, Search, SearchConfig};
///
/// let space = CellSpace::new(MicroSpace {
///     blocks: 3,
///     layers: 6,
///     input: "3x32x32".parse()?,
///     init_channels: 16,
///     classes: 10,
/// })?;
/// let objectives = vec![
///     Objective::maximize("accuracy"),
///     Objective::minimize("params"),
///     Objective::minimize("flops"),
/// ];
/// let config = SearchConfig::new(space.genome_len(), objectives);
/// let mut search = Search::in_space(config, space.clone())?;
/// search.run(2, |candidate| match space.decode(&candidate.genome).and_then(|network| network.costs()) {
///     // Stands for a training.
///     Ok(costs) => Outcome::objectives([(costs.params as f64).sqrt(), costs.params as f64, costs.flops as f64]),
///     Err(error) => Outcome::Failed(error.to_string()),
/// })?;
/// assert!(!search.front().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CellSpace {
    space: MicroSpace,
    variables: Variables,
}

impl CellSpace {
    /// The space of the cells of networks such as `space` has.
    ///
    /// # Errors
    /// As [`GeneSpace::validate`].
    pub fn new(space: MicroSpace) -> Result<CellSpace, naschain_core::Error> {
        space.validate()?;
        let mut all = Vec::new();
        for cell in ["normal", "reduction"] {
            for block in 1..=space.blocks {
                let inputs = (0..2).map(|input| format!("input {input}"));
                let inputs = inputs.chain((1..block).map(|earlier| format!("block {earlier}")));
                let inputs: Vec<String> = inputs.collect();
                for side in 1..=2 {
                    let name = format!("{cell} block {block} side {side}");
                    let operations = MicroOperation::ALL.map(MicroOperation::name);
                    all.push(Variable::category(format!("{name} operation"), operations));
                    all.push(Variable::category(format!("{name} input"), inputs.clone()));
                }
            }
        }
        Ok(CellSpace {
            space,
            variables: Variables { all },
        })
    }

    /// Number of genes, the `genome_len` of a search.
    pub fn genome_len(&self) -> usize {
        self.space.genome_len()
    }

    /// The genes of a design, as [`MicroSpace`] has them.
    pub fn genes(&self, design: &Design) -> Vec<u8> {
        let gene = |value: &Value| match value {
            // A category of another space has no gene; 255 is none of any choice.
            Value::Category(index) => u8::try_from(*index).unwrap_or(u8::MAX),
            _ => u8::MAX,
        };
        design.values().iter().map(gene).collect()
    }

    /// The design with these genes.
    ///
    /// # Errors
    /// As [`GeneSpace::check`].
    pub fn design(&self, genes: &[u8]) -> Result<Design, naschain_core::Error> {
        self.space.check(genes)?;
        Ok(Design::of_categories(genes))
    }

    /// The network of a design.
    ///
    /// # Errors
    /// As [`GeneSpace::check`].
    pub fn decode(&self, design: &Design) -> Result<MicroArchitecture, naschain_core::Error> {
        self.space.decode(&self.genes(design))
    }
}

impl Space for CellSpace {
    type Genome = Design;

    fn domain(&self) -> &Variables {
        &self.variables
    }

    fn canonical(&self, design: &Design) -> Design {
        let canonical = self.space.canonical(&self.genes(design));
        canonical.map_or_else(|_| design.clone(), |genes| Design::of_categories(&genes))
    }

    fn known_objectives(&self, design: &Design) -> Vec<Option<f64>> {
        known_costs(self.decode(design).and_then(|network| network.costs()))
    }

    fn graphs(&self, design: &Design) -> Vec<OperationGraph> {
        let Ok(network) = self.decode(design) else {
            return Vec::new();
        };
        cell_graphs(&network)
    }
}

/// What is known of a network without evaluation: its parameters and FLOPs, if they can be counted.
pub(crate) fn known_costs(costs: Result<Costs, naschain_core::Error>) -> Vec<Option<f64>> {
    match costs {
        Ok(costs) => vec![None, Some(costs.params as f64), Some(costs.flops as f64)],
        Err(_) => Vec::new(),
    }
}

/// The graphs of a normal and of a reduction cell: all cells of a kind are alike.
pub(crate) fn cell_graphs(network: &MicroArchitecture) -> Vec<OperationGraph> {
    let of_kind = |kind: &bool| {
        let mut cells = network.cells.iter();
        let cell = cells.find(|cell| cell.is_reduction == *kind);
        cell.map_or_else(
            || OperationGraph::new(2, MicroOperation::ALL.len()),
            |cell| graph(&cell.blocks, &cell.outputs),
        )
    };
    [false, true].iter().map(of_kind).collect()
}

/// The graph of a cell. A node for the whole input comes before the cell's two inputs, and one for the
/// output comes last.
fn graph(blocks: &[[MicroEdge; 2]], outputs: &[usize]) -> OperationGraph {
    let output = blocks.len() + 3;
    let mut graph = OperationGraph::new(output + 1, MicroOperation::ALL.len());
    for input in [1, 2] {
        graph.add_edge(0, input, None);
    }
    for (block, sides) in blocks.iter().enumerate() {
        for side in sides {
            let operation = MicroOperation::ALL
                .iter()
                .position(|one| *one == side.operation);
            graph.add_edge(side.input + 1, block + 3, operation);
        }
    }
    for block in outputs {
        graph.add_edge(block + 1, output, None);
    }
    graph
}

#[cfg(test)]
mod tests {
    use naschain_core::{Purpose, Stream};

    use super::*;
    use crate::{Objective, Outcome, Search, SearchConfig};

    fn space() -> CellSpace {
        let space = MicroSpace {
            blocks: 2,
            layers: 3,
            input: "1x8x8".parse().unwrap(),
            init_channels: 4,
            classes: 10,
        };
        CellSpace::new(space).unwrap()
    }

    #[test]
    fn designs_and_genes_are_the_same() {
        let space = space();
        let choices = space.space.choices();
        assert_eq!(space.variables.len(), choices.len());
        for (variable, choices) in space.variables.iter().zip(choices) {
            assert_eq!(variable.count(), Some(choices as u64), "{variable:?}");
        }
        for seed in 0..20 {
            let mut stream = Stream::new(seed, Purpose::User, 0, 0);
            let genes = space.space.random_genes(&mut stream).unwrap();
            let design = space.design(&genes).unwrap();
            assert_eq!(space.genes(&design), genes);
            Design::new(&space.variables, design.values().to_vec()).unwrap();
            let canonical = space.space.canonical(&genes).unwrap();
            assert_eq!(space.genes(&space.canonical(&design)), canonical);
        }
    }

    #[test]
    fn each_cell_has_a_graph() {
        let space = space();
        // The second block reads the first one twice; in the reduction cell no block reads another.
        let genes = [3, 0, 3, 1, 2, 2, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1];
        let graphs = space.graphs(&space.design(&genes).unwrap());
        let lengths: Vec<_> = graphs.iter().map(OperationGraph::longest_path).collect();
        assert_eq!(lengths, [Some(4), Some(3)]);
    }

    /// Separable convolutions in both cells are best; the costs are known.
    #[test]
    fn a_search_of_cells_finds_the_operations_that_help() {
        let mut bests: Vec<usize> = (1..=5).map(most_that_help).collect();
        bests.sort_unstable();
        // Of 12 sides; among 80 random networks the best has about 5.
        assert!(bests[2] >= 8, "{bests:?}");
    }

    fn most_that_help(seed: u64) -> usize {
        let space = space();
        let objectives = vec![
            Objective::maximize("quality"),
            Objective::minimize("params"),
            Objective::minimize("flops"),
        ];
        let mut config = SearchConfig::new(space.genome_len(), objectives);
        (config.population, config.generations, config.seed) = (20, 4, seed);
        let mut search = Search::in_space(config, space.clone()).unwrap();
        search
            .run(1, |candidate| {
                let network = space.decode(&candidate.genome).unwrap();
                let costs = network.costs().unwrap();
                let sides = network
                    .cells
                    .iter()
                    .flat_map(|cell| cell.blocks.iter().flatten());
                let helps = |edge: &&MicroEdge| edge.operation == MicroOperation::Separable3;
                let quality = sides.filter(helps).count() as f64;
                Outcome::objectives([quality, costs.params as f64, costs.flops as f64])
            })
            .unwrap();
        let front = search.front();
        let qualities = front.iter().filter_map(|one| Some(one.objectives()?[0]));
        qualities.fold(0.0, f64::max) as usize
    }
}
