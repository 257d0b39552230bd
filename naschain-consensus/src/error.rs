//! The crate's error type.

use std::fmt;

/// An invalid argument of this crate's functions. For events that a board refuses see
/// [`Rejected`](crate::Rejected).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A parameter is outside its range.
    #[error("{name} is {found}; it must be {expected}")]
    OutOfRange {
        /// The parameter's name.
        name: &'static str,
        /// The value found.
        found: String,
        /// The valid values.
        expected: &'static str,
    },
    /// A miner's or an owner's name is not valid.
    #[error("name {found:?} must be 1 to 64 characters of A-Z a-z 0-9 . _ -")]
    Name {
        /// The text found.
        found: String,
    },
    /// No agreement rule has this name.
    #[error("unknown agreement rule {found:?}; use tolerance, exact or chained")]
    UnknownRule {
        /// The text found.
        found: String,
    },
    /// No rule of the job board has this name.
    #[error("no rule is named {found:?}; the names are {names}")]
    UnknownSetting {
        /// The name found.
        found: String,
        /// The valid names, separated by commas.
        names: String,
    },
    /// Every weight would be zero, so there is nothing to set on the chain.
    #[error("all {count} scores are zero; nothing to set")]
    AllWeightsZero {
        /// The number of scores.
        count: usize,
    },
    /// Fewer non-zero weights than the chain accepts.
    #[error("only {found} weights are not zero; the chain requires at least {expected}")]
    TooFewWeights {
        /// Number of non-zero weights.
        found: usize,
        /// The chain's minimum.
        expected: usize,
    },
    /// A score is negative or not finite.
    #[error("score {found} at index {index} is not a finite number of at least 0")]
    Score {
        /// The index of the score.
        index: usize,
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
