use std::fmt;

/// What can be wrong with a value handed to this crate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A genome has a character that is neither a bit nor the separator `-`.
    #[error(
        "genome has the character {found:?} at position {position}; only 0, 1 and - are allowed"
    )]
    GenomeCharacter {
        /// The offending character.
        found: char,
        /// Its position, counted from 0 in characters.
        position: usize,
    },
    /// A genome has no bits at all.
    #[error("genome is empty; it needs at least one bit")]
    GenomeEmpty,
    /// A genome does not have the number of bits its space needs.
    #[error("genome has {found} bits; {space} needs {expected}")]
    GenomeLength {
        /// Bits the genome has.
        found: usize,
        /// Bits the space needs.
        expected: usize,
        /// The space in words.
        space: String,
    },
    /// A number lies outside its range.
    #[error("{name} is {found}; it must be {expected}")]
    OutOfRange {
        /// The name of the field or flag.
        name: &'static str,
        /// The value found.
        found: String,
        /// What would be right.
        expected: String,
    },
    /// The feature maps would shrink to nothing.
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
    /// A phase's nodes are so alike that the search for their canonical order was given up.
    #[error(
        "no canonical form of phase {phase} was found in {steps} steps: too many of its nodes look alike; change a connection"
    )]
    TooAlike {
        /// The phase, counted from 1.
        phase: usize,
        /// Steps that were taken.
        steps: usize,
    },
    /// A count of the architecture does not fit 64 bits.
    #[error("{what} of this architecture exceed 64 bits; use fewer channels")]
    CostOverflow {
        /// Which count: parameters or FLOPs.
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
    /// An [`Error::OutOfRange`] with its texts made from the values.
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
