use crate::CandidateId;

/// Errors of this crate: each names the invalid value and what would be valid.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A field of the configuration is out of its range.
    #[error("{field} is {found}; it must be {expected}")]
    Config {
        /// The field's name.
        field: &'static str,
        /// The value found.
        found: String,
        /// What would be valid.
        expected: &'static str,
    },
    /// An outcome was told for a candidate that was never asked.
    #[error("candidate {id} was never asked; {asked} candidates were asked, numbered from 0")]
    UnknownCandidate {
        /// The candidate.
        id: CandidateId,
        /// Number of candidates that were asked.
        asked: usize,
    },
    /// A second outcome was told for a candidate.
    #[error("candidate {id} already has an outcome; each candidate can be told only once")]
    ToldTwice {
        /// The candidate.
        id: CandidateId,
    },
    /// An outcome does not have one value per objective of the search.
    #[error("the outcome of candidate {id} has {found} objectives; the search has {expected}")]
    ObjectiveCount {
        /// The candidate.
        id: CandidateId,
        /// Number of values of the outcome.
        found: usize,
        /// Number of objectives of the search.
        expected: usize,
    },
    /// A constraint violation is not a positive finite number.
    #[error(
        "the outcome of candidate {id} has a violation of {found}; it must be finite and above 0"
    )]
    Violation {
        /// The candidate.
        id: CandidateId,
        /// The violation.
        found: f64,
    },
    /// An outcome does not have as many constraints as the ones before.
    #[error("the outcome of candidate {id} has {found} constraints; earlier ones have {expected}")]
    ConstraintCount {
        /// The candidate.
        id: CandidateId,
        /// Number of constraints of the outcome.
        found: usize,
        /// Number of constraints of earlier outcomes.
        expected: usize,
    },
    /// A genome does not have the number of genes that the search requires.
    #[error("genome has {found} genes; the search requires {expected}")]
    GenomeLength {
        /// Number of genes of the genome.
        found: usize,
        /// Number of genes that the search requires.
        expected: usize,
    },
    /// A real variable is out of its range.
    #[error("variable {index} is {found}; it must be between 0 and 1")]
    Variable {
        /// The index of the variable, from 0.
        index: usize,
        /// The value found.
        found: f64,
    },
    /// A variable of a mixed space, or one of its values, is invalid.
    #[error("variable {variable:?}: {found}; it must be {expected}")]
    Domain {
        /// The variable's name.
        variable: String,
        /// What was found.
        found: String,
        /// What would be valid.
        expected: String,
    },
    /// A matrix of points does not have the required shape.
    #[error("{what} has {len} values; with {objectives} objectives it must have {expected}")]
    Shape {
        /// The argument.
        what: &'static str,
        /// The number of its values.
        len: usize,
        /// The number of objectives given.
        objectives: usize,
        /// What would be valid.
        expected: &'static str,
    },
    /// An index of a point is out of range.
    #[error("point {index} does not exist; there are {len} points, numbered from 0")]
    PointIndex {
        /// The index.
        index: usize,
        /// The number of points.
        len: usize,
    },
    /// A value that must be finite is NaN or infinite.
    #[error("{what} has the value {found}; it must be finite")]
    NotFinite {
        /// The argument.
        what: &'static str,
        /// The value.
        found: f64,
    },
    /// A search cannot be extended.
    #[error("the search cannot be extended to {generations} generations: {reason}")]
    Extension {
        /// Number of generations that were asked for.
        generations: usize,
        /// Why not, and what to do instead.
        reason: String,
    },
    /// A saved search is inconsistent.
    #[error("saved search is damaged: {what}")]
    Damaged {
        /// The inconsistency.
        what: String,
    },
}

/// Returns the number of points in `points`, each a row of `objectives` values.
pub(crate) fn row_count(
    what: &'static str,
    points: &[f64],
    objectives: usize,
) -> Result<usize, Error> {
    if objectives == 0 || !points.len().is_multiple_of(objectives) {
        return Err(Error::Shape {
            what,
            len: points.len(),
            objectives,
            expected: "complete rows of at least one objective",
        });
    }
    Ok(points.len() / objectives)
}
