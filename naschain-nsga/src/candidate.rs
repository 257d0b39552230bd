use std::fmt;
use std::ops::Deref;

use naschain_core::Genome;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::SmallVec;

use crate::exact;

/// The number of a candidate in the order of [`Search::ask`](crate::Search::ask), from 0.
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
    /// The id to pass to [`Search::tell`](crate::Search::tell).
    pub id: CandidateId,
    /// The genome.
    pub genome: G,
    /// The budget to evaluate it with, in the units of [`SearchConfig::rungs`](crate::SearchConfig::rungs);
    /// `None` in a search without rungs.
    #[serde(default)]
    pub budget: Option<u32>,
    /// The earlier candidate with the same genome that this one continues from a smaller budget.
    #[serde(default)]
    pub continues: Option<CandidateId>,
}

/// The answer of [`Search::ask`](crate::Search::ask).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask<G = Genome> {
    /// A candidate to evaluate.
    Candidate(Candidate<G>),
    /// The next candidate depends on outcomes that are still to be told. Ask again after the next
    /// [`Search::tell`](crate::Search::tell).
    Wait,
    /// There will be no further candidate. Outcomes of candidates in flight can still be told.
    Done,
}

impl<G> Ask<G> {
    /// The candidate, if there is one now.
    pub fn candidate(self) -> Option<Candidate<G>> {
        match self {
            Ask::Candidate(candidate) => Some(candidate),
            Ask::Wait | Ask::Done => None,
        }
    }
}

/// The result of evaluating a candidate.
///
/// In JSON its numbers are written as strings, because readers of JSON may round numbers differently
/// and JSON has no infinity; plain numbers are accepted on reading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// One value per objective, each in its own direction. ±infinity is an ordinary value; a NaN
    /// turns the outcome into [`Outcome::Failed`].
    Objectives(ObjectiveValues),
    /// Objective values with one value for each constraint, always as many. A constraint holds if its
    /// value is at most 0; otherwise the value is the violation. Constraints may have different
    /// scales: candidates that violate some are compared by the sum of their violations, each as a
    /// share of the largest violation of its constraint so far. Their objectives are not used.
    // Boxed, so that outcomes without constraints are not larger.
    Constrained(Box<ConstrainedValues>),
    /// The total constraint violation, a finite number above 0. Such a candidate is worse than every
    /// feasible one and than those with a smaller violation.
    Infeasible(#[serde(with = "exact")] f64),
    /// There is no result, for this reason. Such a candidate is worse than every other one.
    Failed(String),
}

impl Outcome {
    /// An outcome of these objective values, in the order of the configuration's objectives.
    #[inline]
    pub fn objectives(values: impl IntoIterator<Item = f64>) -> Self {
        Outcome::Objectives(values.into_iter().collect())
    }

    /// An outcome of these objective values and constraints, which hold where they are at most 0.
    pub fn constrained(
        objectives: impl IntoIterator<Item = f64>,
        constraints: impl IntoIterator<Item = f64>,
    ) -> Self {
        Outcome::Constrained(Box::new(ConstrainedValues {
            objectives: objectives.into_iter().collect(),
            constraints: constraints.into_iter().collect(),
        }))
    }

    /// The values of the constraints, if there are several.
    pub(crate) fn constraints(&self) -> Option<&[f64]> {
        match self {
            Outcome::Constrained(values) => Some(&values.constraints),
            _ => None,
        }
    }
}

/// The objective values and the constraints of one candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ConstrainedValues {
    /// The objective values, as in [`Outcome::Objectives`].
    pub objectives: ObjectiveValues,
    /// The values of the constraints. One that is not finite turns the outcome into
    /// [`Outcome::Failed`].
    pub constraints: ObjectiveValues,
}

impl ConstrainedValues {
    /// Whether all constraints hold.
    pub(crate) fn hold(&self) -> bool {
        self.constraints.iter().all(|value| *value <= 0.0)
    }
}

/// The objective values of one candidate; dereferences to a slice.
#[derive(Clone, PartialEq)]
pub struct ObjectiveValues(
    // Up to four values are stored inline: an allocation per outcome would be a measurable part of
    // a search whose evaluations are cheap.
    SmallVec<[f64; 4]>,
);

impl Deref for ObjectiveValues {
    type Target = [f64];

    #[inline]
    fn deref(&self) -> &[f64] {
        &self.0
    }
}

impl FromIterator<f64> for ObjectiveValues {
    #[inline]
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        ObjectiveValues(values.into_iter().collect())
    }
}

impl fmt::Debug for ObjectiveValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for ObjectiveValues {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        exact::list::serialize(self, to)
    }
}

impl<'de> Deserialize<'de> for ObjectiveValues {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        exact::list::deserialize(from)
    }
}

/// A candidate whose outcome is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluated<G = Genome> {
    /// Its id.
    pub id: CandidateId,
    /// The genome as it was asked.
    pub genome: G,
    /// The generation that it belongs to, from 1.
    pub generation: usize,
    /// Its outcome.
    pub outcome: Outcome,
}

impl<G> Evaluated<G> {
    /// The objective values, each in its own direction, unless the candidate failed or is infeasible.
    pub fn objectives(&self) -> Option<&[f64]> {
        match &self.outcome {
            Outcome::Objectives(values) => Some(values),
            Outcome::Constrained(values) => values.hold().then_some(&values.objectives[..]),
            _ => None,
        }
    }
}
