use naschain_core::Genome;
use serde::{Deserialize, Serialize};

use crate::{Genes, OperationGraph};

/// A search space: which genomes are equivalent, which objectives are known without evaluation, and
/// what the surrogate can learn from.
///
/// The defaults are for spaces in which all genomes differ and nothing is known. All methods must be
/// pure functions: the same genome always gives the same result.
pub trait Space {
    /// The kind of genome.
    type Genome: Genes;

    /// What the space says about its genes. By default that is nothing; a space of
    /// [`Design`](crate::Design)s has to return its [`Variables`](crate::Variables).
    fn domain(&self) -> &<Self::Genome as Genes>::Domain {
        Self::Genome::DEFAULT_DOMAIN
    }

    /// Returns the canonical form of a genome, which must be equal for all equivalent genomes. No two
    /// candidates of a search have the same canonical form.
    fn canonical(&self, genome: &Self::Genome) -> Self::Genome {
        genome.clone()
    }

    /// Returns the genome if it may be a candidate, and otherwise one near it that may: a repair
    /// operator, which keeps a search within limits that are known without an evaluation. The search
    /// passes every genome that it makes, and every one that it is given, through it. It must return
    /// the same kind of genome, and return those that it has returned unchanged. By default all
    /// genomes may be candidates.
    fn repaired(&self, genome: Self::Genome) -> Self::Genome {
        genome
    }

    /// Returns one entry per objective, in the objective's own direction: its value if it is known
    /// without an evaluation, such as a network's parameters. An empty vector means that none is known.
    fn known_objectives(&self, _genome: &Self::Genome) -> Vec<Option<f64>> {
        Vec::new()
    }

    /// Returns what the surrogate should know of a genome beyond its genes, for example how many paths
    /// or layers its graph has: as many numbers for each genome. Numbers that are not finite count
    /// as 0. By default there are none, and the surrogate learns from the genes alone.
    fn features(&self, _genome: &Self::Genome) -> Vec<f64> {
        Vec::new()
    }

    /// Returns the graphs that the genome stands for, such as one for each cell of a network; as many, with
    /// as many kinds of operations, for each genome. The surrogate derives features of them. By default
    /// there are none.
    fn graphs(&self, _genome: &Self::Genome) -> Vec<OperationGraph> {
        Vec::new()
    }
}

/// The space of all bitstrings of a length, in which all genomes differ and nothing is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bits;

impl Space for Bits {
    type Genome = Genome;
}
