use crate::log_scale::piecewise_log2;
use crate::{Genes, OperationGraph, Search, Space, Surrogate};

/// The surrogate's view of a genome.
#[derive(Clone, Debug)]
pub(crate) struct Features {
    /// The inputs of the models: those of the genes, of the known objectives and of the space, the budget,
    /// and those of the graphs.
    pub(crate) values: Vec<f64>,
    /// One entry per objective, to minimise; values that are not finite count as unknown.
    pub(crate) known: Vec<Option<f64>>,
}

/// The logarithm of the size of a known objective; 0 for others.
pub(crate) fn logarithm(known: Option<f64>) -> f64 {
    known.map_or(0.0, |value| piecewise_log2(value.abs()))
}

/// How many features the space and its graphs give. Rows of features may not differ in length.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FeatureCounts {
    of_space: usize,
    /// Those of graphs come last.
    pub(crate) of_graphs: usize,
}

impl<S: Space> Search<S> {
    /// Counts the features of the first candidate, which those of the others must equal in number.
    pub(crate) fn count_features(&mut self) {
        let Some(slot) = self.state.slots.first() else {
            return;
        };
        self.feature_counts = FeatureCounts {
            of_space: self.state.space.features(slot.genome()).len(),
            of_graphs: self.of_graphs(slot.genome()).len(),
        };
    }

    /// The features of a candidate that was evaluated with the budget of a rung.
    pub(crate) fn features_of(&self, index: usize, rung: usize) -> Features {
        let (slots, first) = (&self.state.slots, self.ladder.first(index));
        let canonical = self.dedup.canonical(slots, first);
        self.features(canonical, slots[index].genome(), rung)
    }

    /// The features of a genome at a rung: the canonical genes, the square of their sum, the logarithms
    /// of the known objectives, what the space adds, the logarithm of the budget, so that a model learns
    /// from all rungs, and those of the graphs.
    pub(crate) fn features(
        &self,
        canonical: &S::Genome,
        genome: &S::Genome,
        rung: usize,
    ) -> Features {
        let known = self.known(genome);
        let domain = self.state.space.domain();
        let mut values = canonical.features(domain);
        // Canonical forms may differ in length; rows of features may not.
        if canonical.gene_count() != genome.gene_count() {
            values.resize(genome.features(domain).len(), 0.0);
        }
        let sum: f64 = values.iter().sum();
        values.push(sum * sum);
        values.extend(known.iter().copied().map(logarithm));
        let mut of_space = self.state.space.features(genome);
        of_space.resize(self.feature_counts.of_space, 0.0);
        let finite = of_space
            .into_iter()
            .map(|value| if value.is_finite() { value } else { 0.0 });
        values.extend(finite);
        let budget = self.state.config.rungs.get(rung);
        values.extend(budget.map(|budget| piecewise_log2(f64::from(*budget))));
        let mut of_graphs = self.of_graphs(genome);
        of_graphs.resize(self.feature_counts.of_graphs, 0.0);
        values.extend(of_graphs);
        Features { values, known }
    }

    /// The objectives that the space knows of a genome, to minimise.
    pub(crate) fn known(&self, genome: &S::Genome) -> Vec<Option<f64>> {
        let mut known = self.state.space.known_objectives(genome).into_iter();
        let objectives = self.state.config.objectives.iter();
        let known = objectives.map(|objective| {
            let value = known.next().flatten().filter(|value| value.is_finite());
            value.map(|value| objective.direction.minimised(value))
        });
        known.collect()
    }

    fn of_graphs(&self, genome: &S::Genome) -> Vec<f64> {
        match self.state.config.surrogate {
            Surrogate::Ridge => Vec::new(),
            Surrogate::Ensemble => {
                let graphs = self.state.space.graphs(genome);
                graphs.iter().flat_map(OperationGraph::features).collect()
            }
        }
    }
}
