use std::fmt;

use naschain_core::Genome;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::exact;

/// The number of a candidate in asking order, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CandidateId(pub u64);

impl fmt::Display for CandidateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A genome to evaluate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate<G = Genome> {
    /// The number by which its result is told.
    pub id: CandidateId,
    /// The genome.
    pub genome: G,
}

/// What came of evaluating a candidate. In JSON its numbers are texts, which every reader gives back to
/// the last bit; numbers are read as well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// One value an objective, in its own direction; ±infinity is an ordinary value, and a NaN
    /// makes the candidate a failed one.
    Objectives(#[serde(with = "exact::list")] SmallVec<[f64; 4]>),
    /// A constraint is violated by this much in all, a finite number above 0. Such a candidate is worse
    /// than every feasible one and than those violating less.
    Infeasible(#[serde(with = "exact")] f64),
    /// There is no result, for this reason. Such a candidate is worse than every other one.
    Failed(String),
}

impl Outcome {
    /// These objectives' values, in the order of the configuration's objectives.
    #[inline]
    pub fn objectives(values: impl IntoIterator<Item = f64>) -> Self {
        Outcome::Objectives(values.into_iter().collect())
    }
}

/// A candidate whose outcome is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluated<G = Genome> {
    /// Its number.
    pub id: CandidateId,
    /// The genome as it was asked.
    pub genome: G,
    /// The generation it was made for, from 1.
    pub generation: usize,
    /// What came of it.
    pub outcome: Outcome,
}

impl<G> Evaluated<G> {
    /// The objectives in the user's directions, when there are any.
    pub fn objectives(&self) -> Option<&[f64]> {
        match &self.outcome {
            Outcome::Objectives(values) => Some(values),
            _ => None,
        }
    }
}
