use serde::{Deserialize, Serialize};

use crate::candidate::Evaluated;
use crate::config::SearchConfig;
use crate::{Error, Genes, Space};

/// A candidate before and after its outcome is known.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Slot<G> {
    Untold { genome: G, generation: usize },
    Told(Evaluated<G>),
}

impl<G> Slot<G> {
    pub(crate) fn genome(&self) -> &G {
        match self {
            Slot::Untold { genome, .. } => genome,
            Slot::Told(evaluated) => &evaluated.genome,
        }
    }

    pub(crate) fn generation(&self) -> usize {
        match self {
            Slot::Untold { generation, .. } => *generation,
            Slot::Told(evaluated) => evaluated.generation,
        }
    }
}

/// What is stored of a search; all else follows from it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    bound(
        serialize = "S: Serialize, S::Genome: Serialize",
        deserialize = "S: Deserialize<'de>, S::Genome: Deserialize<'de>"
    )
)]
pub(crate) struct State<S: Space> {
    pub(crate) config: SearchConfig,
    pub(crate) space: S,
    /// Every candidate made, in the order of ids.
    pub(crate) slots: Vec<Slot<S::Genome>>,
    /// How many of them have been asked.
    pub(crate) asked: usize,
    /// The generation of the newest candidates, from 1.
    pub(crate) generation: usize,
    /// The survivors from which the newest candidates were bred, ascending.
    pub(crate) population: Vec<usize>,
    pub(crate) exhausted: bool,
}

impl<S: Space> State<S> {
    /// Whether these parts can belong to one search; outcomes are checked when they are scored.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        self.config.validate()?;
        let damaged = |what: String| Err(Error::Damaged { what });
        if self.asked > self.slots.len() {
            return damaged(format!("{} asked of {}", self.asked, self.slots.len()));
        }
        let mut before = 1;
        for (index, slot) in self.slots.iter().enumerate() {
            let (found, expected) = (slot.genome().gene_count(), self.config.genome_len);
            if found != expected {
                return Err(Error::GenomeLength { found, expected });
            }
            if !(before..=self.generation).contains(&slot.generation()) {
                return damaged(format!("candidate {index} is of another generation"));
            }
            before = slot.generation();
            let told = matches!(slot, Slot::Told(told) if told.id.0 != index as u64);
            if told || (index >= self.asked && matches!(slot, Slot::Told(_))) {
                return damaged(format!("candidate {index} was told as another one"));
            }
        }
        if self.slots.is_empty() || before != self.generation {
            return damaged(format!("generation {} has no candidates", self.generation));
        }
        match self
            .population
            .iter()
            .find(|&&index| index >= self.slots.len())
        {
            Some(index) => damaged(format!("survivor {index} does not exist")),
            None => Ok(()),
        }
    }
}
