use std::fmt;

/// What can be wrong with a value handed to this crate; events that a board refuses are
/// [`Rejected`](crate::Rejected).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A rule of the board or of the scores lies outside its range.
    #[error("{name} is {found}; it must be {expected}")]
    OutOfRange {
        /// The field's name.
        name: &'static str,
        /// The value found.
        found: String,
        /// What would be right.
        expected: &'static str,
    },
    /// A miner's or an owner's name cannot be used.
    #[error("name {found:?} must be 1 to 64 characters of A-Z a-z 0-9 . _ -")]
    Name {
        /// The text found.
        found: String,
    },
    /// No agreement rule has this name.
    #[error("agreement rule {found:?} is none of tolerance, exact, chained")]
    UnknownRule {
        /// The text found.
        found: String,
    },
    /// Every weight would be zero, so there is nothing to set.
    #[error("all {count} scores are zero; nothing to set")]
    AllWeightsZero {
        /// The number of scores.
        count: usize,
    },
    /// Fewer weights than the chain accepts.
    #[error("only {found} weights are not zero; the chain asks for at least {expected}")]
    TooFewWeights {
        /// Weights that are not zero.
        found: usize,
        /// The chain's minimum.
        expected: usize,
    },
    /// A score is negative or not a number.
    #[error("score {found} at place {place} is not a finite number of at least 0")]
    Score {
        /// Which score, counted from 0.
        place: usize,
        /// The value found.
        found: String,
    },
}

impl Error {
    pub(crate) fn out_of_range(
        name: &'static str,
        found: impl fmt::Display,
        expected: &'static str,
    ) -> Self {
        Error::OutOfRange {
            name,
            found: found.to_string(),
            expected,
        }
    }
}
