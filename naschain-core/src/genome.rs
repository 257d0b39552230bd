use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;

/// A bitstring that stands for a network: packed bits with a length.
///
/// It is written as `0` and `1`; `-` between phases is accepted on reading. Genomes are ordered
/// by their bits from first to last, as their texts are.
///
/// ```
/// let genome: naschain_core::Genome = "101-1".parse()?;
/// assert_eq!(genome.to_string(), "1011");
/// assert!(genome.get(0) && !genome.get(1));
/// # Ok::<(), naschain_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Genome {
    // Bit i is bit 63 - i % 64 of words[i / 64], so that words compare as texts do.
    // Unused bits of the last word are 0.
    words: Vec<u64>,
    len: usize,
}

impl Genome {
    /// A genome of `len` bits, all 0.
    pub fn zeros(len: usize) -> Self {
        Genome {
            words: vec![0; len.div_ceil(64)],
            len,
        }
    }

    /// A genome made of these bits, first bit first.
    pub fn from_bits(bits: impl IntoIterator<Item = bool>) -> Self {
        let mut genome = Genome::zeros(0);
        for bit in bits {
            if genome.len.is_multiple_of(64) {
                genome.words.push(0);
            }
            genome.len += 1;
            if bit {
                genome.flip(genome.len - 1);
            }
        }
        genome
    }

    /// The number of bits.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bit `index`.
    ///
    /// # Panics
    /// When `index` is not below [`Genome::len`].
    pub fn get(&self, index: usize) -> bool {
        let (word, mask) = self.place(index);
        self.words[word] & mask != 0
    }

    /// Makes bit `index` its opposite.
    ///
    /// # Panics
    /// When `index` is not below [`Genome::len`].
    pub fn flip(&mut self, index: usize) {
        let (word, mask) = self.place(index);
        self.words[word] ^= mask;
    }

    /// The bits, first to last.
    pub fn bits(&self) -> impl ExactSizeIterator<Item = bool> + '_ {
        (0..self.len).map(|index| self.get(index))
    }

    /// The text with `-` between groups of `group_len` bits, one group a phase.
    pub fn grouped(&self, group_len: usize) -> String {
        let mut text = String::with_capacity(self.len + self.len / group_len.max(1));
        for (index, bit) in self.bits().enumerate() {
            if index > 0 && index.is_multiple_of(group_len.max(1)) {
                text.push('-');
            }
            text.push(if bit { '1' } else { '0' });
        }
        text
    }

    fn place(&self, index: usize) -> (usize, u64) {
        assert!(
            index < self.len,
            "bit {index} of a genome of {} bits",
            self.len
        );
        (index / 64, 1 << (63 - index % 64))
    }
}

impl Ord for Genome {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (&self.words, self.len).cmp(&(&other.words, other.len))
    }
}

impl PartialOrd for Genome {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Genome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.grouped(usize::MAX))
    }
}

impl fmt::Debug for Genome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Genome({self})")
    }
}

impl FromStr for Genome {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut bits = Vec::with_capacity(text.len());
        for (position, found) in text.chars().enumerate() {
            match found {
                '0' => bits.push(false),
                '1' => bits.push(true),
                '-' => {}
                _ => return Err(Error::GenomeCharacter { found, position }),
            }
        }
        if bits.is_empty() {
            return Err(Error::GenomeEmpty);
        }
        Ok(Genome::from_bits(bits))
    }
}

impl Serialize for Genome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Genome {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn other_characters_are_named_with_their_position() {
        let error = "01x1".parse::<Genome>().unwrap_err();
        assert_eq!(
            error,
            Error::GenomeCharacter {
                found: 'x',
                position: 2
            }
        );
        assert_eq!("--".parse::<Genome>().unwrap_err(), Error::GenomeEmpty);
    }

    #[test]
    fn phases_are_shown_apart() {
        let genome: Genome = "1011010".parse().unwrap();
        assert_eq!(genome.grouped(3), "101-101-0");
        assert_eq!(format!("{genome:>9}"), "  1011010");
    }

    proptest! {
        #[test]
        fn text_and_json_round_trip(bits in prop::collection::vec(any::<bool>(), 1..200)) {
            let genome = Genome::from_bits(bits.iter().copied());
            prop_assert_eq!(genome.bits().collect::<Vec<_>>(), bits);
            prop_assert_eq!(&genome.to_string().parse::<Genome>().unwrap(), &genome);
            prop_assert_eq!(&genome.grouped(7).parse::<Genome>().unwrap(), &genome);
            let json = serde_json::to_string(&genome).unwrap();
            prop_assert_eq!(serde_json::from_str::<Genome>(&json).unwrap(), genome);
        }

        #[test]
        fn order_is_that_of_the_texts(a in "[01]{1,130}", b in "[01]{1,130}") {
            let (x, y): (Genome, Genome) = (a.parse().unwrap(), b.parse().unwrap());
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        }

        #[test]
        fn flipping_changes_one_bit(text in "[01]{1,130}", at in 0usize..130) {
            let genome: Genome = text.parse().unwrap();
            let at = at % genome.len();
            let mut flipped = genome.clone();
            flipped.flip(at);
            for index in 0..genome.len() {
                prop_assert_eq!(genome.get(index) != flipped.get(index), index == at);
            }
        }
    }
}
