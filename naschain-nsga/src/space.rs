use naschain_core::Genome;
use serde::{Deserialize, Serialize};

use crate::Genes;

/// What is searched: which genomes are the same, and what is known of one without evaluating it.
///
/// Both have defaults, for spaces in which every genome is something else and nothing is known.
/// Both must be functions: the same answer for the same genome, always.
pub trait Space {
    /// What the genomes are made of.
    type Genome: Genes;

    /// The form that stands for all genomes that mean the same: no two genomes with one canonical
    /// form are ever asked.
    fn canonical(&self, genome: &Self::Genome) -> Self::Genome {
        genome.clone()
    }

    /// One entry an objective, in its own direction: its value if that is known without an
    /// evaluation (a network's parameters, say); an empty vector if none is.
    fn known_objectives(&self, _genome: &Self::Genome) -> Vec<Option<f64>> {
        Vec::new()
    }
}

/// All bitstrings of a length, each another thing, nothing known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bits;

impl Space for Bits {
    type Genome = Genome;
}
