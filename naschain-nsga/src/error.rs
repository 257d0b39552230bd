use crate::CandidateId;

/// What can be wrong with a value handed to this crate.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A field of the configuration lies outside its range.
    #[error("{field} is {found}; it must be {expected}")]
    Config {
        /// The field's name.
        field: &'static str,
        /// The value found.
        found: String,
        /// What would be right.
        expected: &'static str,
    },
    /// A result came for a candidate that was never asked.
    #[error("candidate {id} was never asked; {asked} candidates were asked, numbered from 0")]
    UnknownCandidate {
        /// The candidate told.
        id: CandidateId,
        /// How many candidates have been asked.
        asked: usize,
    },
    /// A result came twice.
    #[error("candidate {id} was already told; each candidate is told once")]
    ToldTwice {
        /// The candidate told.
        id: CandidateId,
    },
    /// A result has another number of objectives than the search.
    #[error("candidate {id} was told {found} objectives; the search has {expected}")]
    ObjectiveCount {
        /// The candidate told.
        id: CandidateId,
        /// Objectives told.
        found: usize,
        /// Objectives the search has.
        expected: usize,
    },
    /// A constraint violation that is no positive finite number.
    #[error("candidate {id} was told a violation of {found}; it must be finite and above 0")]
    Violation {
        /// The candidate told.
        id: CandidateId,
        /// The violation told.
        found: f64,
    },
    /// A genome does not have the length of the search's genomes.
    #[error("genome has length {found}; the search's genomes have {expected}")]
    GenomeLength {
        /// The length found.
        found: usize,
        /// The length the search needs.
        expected: usize,
    },
    /// A real variable lies outside its range.
    #[error("variable {index} is {found}; it must be between 0 and 1")]
    Variable {
        /// The variable's place, from 0.
        index: usize,
        /// The value found.
        found: f64,
    },
    /// A matrix of points has the wrong shape.
    #[error("{what} has {len} numbers; with {objectives} objectives it needs {expected}")]
    Shape {
        /// Which argument.
        what: &'static str,
        /// The numbers it has.
        len: usize,
        /// The number of objectives given.
        objectives: usize,
        /// What would be right.
        expected: &'static str,
    },
    /// An index lies beyond the points.
    #[error("point {index} does not exist; there are {len} points, numbered from 0")]
    PointIndex {
        /// The index found.
        index: usize,
        /// The number of points.
        len: usize,
    },
    /// A number that must be ordinary is NaN or infinite.
    #[error("{what} holds {found}; it must be finite")]
    NotFinite {
        /// Which argument.
        what: &'static str,
        /// The number found.
        found: f64,
    },
    /// A saved search contradicts itself.
    #[error("saved search is damaged: {what}")]
    Damaged {
        /// What does not fit.
        what: String,
    },
}

/// The number of points in `points`, each a row of `objectives` numbers.
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
            expected: "whole rows of at least one objective",
        });
    }
    Ok(points.len() / objectives)
}
