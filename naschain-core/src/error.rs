//! The crate's error type.

use std::fmt;

/// Errors of this crate: each names the invalid value and, if possible, what would be valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A genome's text has a character that is neither a bit nor the separator `-`.
    #[error(
        "genome has the character {found:?} at position {position}; only 0, 1 and - are allowed"
    )]
    GenomeCharacter {
        /// The invalid character.
        found: char,
        /// Its position, counted from 0 in characters.
        position: usize,
    },
    /// A genome's text has no bits.
    #[error("genome is empty; it needs at least one bit")]
    GenomeEmpty,
    /// A genome does not have the number of bits that its space requires.
    #[error("genome has {found} bits; {space} needs {expected}")]
    GenomeLength {
        /// Bits of the genome.
        found: usize,
        /// Bits that the space requires.
        expected: usize,
        /// A description of the space.
        space: String,
    },
    /// Genes are not as many as their space requires.
    #[error("the genome has {found} genes; the space needs {expected}")]
    GeneCount {
        /// Number of genes.
        found: usize,
        /// The number that the space requires.
        expected: usize,
    },
    /// A gene has a value that its space does not have.
    #[error("gene {position} is {found}; it must be below {choices}")]
    Gene {
        /// Its position, counted from 0.
        position: usize,
        /// The value found.
        found: u8,
        /// Number of values that it may have, from 0.
        choices: usize,
    },
    /// A value is out of its range.
    #[error("{name} is {found}; it must be {expected}")]
    OutOfRange {
        /// The name of the field or flag.
        name: &'static str,
        /// The value found.
        found: String,
        /// What would be valid.
        expected: String,
    },
    /// The feature maps of a phase would have no pixels.
    #[error(
        "input of {height}x{width} shrinks below 1x1 in phase {phase}; use a larger input or fewer phases"
    )]
    InputTooSmall {
        /// Input height in pixels.
        height: usize,
        /// Input width in pixels.
        width: usize,
        /// The phase, counted from 1 among all phases of the space.
        phase: usize,
    },
    /// A phase is so symmetric that the search for its canonical form exceeded its limit.
    #[error(
        "phase {phase} is too symmetric: no canonical form was found in {steps} steps; change one of its connections"
    )]
    TooSymmetric {
        /// The phase, counted from 1.
        phase: usize,
        /// The maximum number of steps.
        steps: usize,
    },
    /// A count of the architecture does not fit into 64 bits.
    #[error("the number of {what} of this architecture exceeds 64 bits; use fewer channels")]
    CostOverflow {
        /// The count: parameters or FLOPs.
        what: &'static str,
    },
    /// A shape is not written as `CxHxW`.
    #[error("shape {found:?} is not CxHxW with three positive numbers, such as 3x32x32")]
    Shape {
        /// The text found.
        found: String,
    },
    /// An accuracy is not a percentage with at most two decimals.
    #[error("accuracy {found} is not a percentage between 0 and 100 with at most two decimals")]
    Accuracy {
        /// The value found.
        found: String,
    },
    /// A digest is not 64 hexadecimal digits.
    #[error("digest {found:?} is not 64 hexadecimal digits")]
    Digest {
        /// The text found.
        found: String,
    },
}

impl Error {
    /// Checks that each number is within its range, given as name, number, least and most.
    pub(crate) fn check_ranges(ranges: &[(&'static str, usize, usize, usize)]) -> Result<(), Self> {
        for &(name, found, least, most) in ranges {
            if !(least..=most).contains(&found) {
                let expected = format_args!("a whole number from {least} to {most}");
                return Err(Error::out_of_range(name, found, expected));
            }
        }
        Ok(())
    }

    /// Returns an [`Error::OutOfRange`] with the texts of these values.
    pub fn out_of_range(
        name: &'static str,
        found: impl fmt::Display,
        expected: impl fmt::Display,
    ) -> Self {
        Error::OutOfRange {
            name,
            found: found.to_string(),
            expected: expected.to_string(),
        }
    }
}
