//! Genomes: packed bitstrings.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Stream};

/// A bitstring that encodes a network, stored as packed bits with a length.
///
/// Its text consists of `0` and `1`; `-` between phases is accepted when parsing. Genomes are ordered
/// lexicographically, as their texts are.
///
/// ```
/// let genome: naschain_core::Genome = "101-1".parse()?;
/// assert_eq!(genome.to_string(), "1011");
/// assert!(genome.get(0) && !genome.get(1));
/// # Ok::<(), naschain_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Genome {
    // Bit i is bit 63 - i % 64 of word i / 64, so that words compare as the texts do. Bits beyond
    // `len` are 0.
    words: Words,
    len: usize,
}

/// Genomes of up to [`INLINE`] × 64 bits are stored inline: searches copy genomes all the time, and
/// most are short enough to need no allocation.
#[derive(Clone, PartialEq, Eq)]
enum Words {
    Inline([u64; INLINE]),
    Heap(Vec<u64>),
}

const INLINE: usize = 3;

/// The number of 1 bits of each byte: by default, the compiler may not use the processor's instruction
/// for it.
const ONES: [u8; 256] = {
    let (mut ones, mut byte) = ([0; 256], 0);
    while byte < 256 {
        ones[byte] = (byte as u8).count_ones() as u8;
        byte += 1;
    }
    ones
};

impl Words {
    #[inline]
    fn as_slice(&self) -> &[u64] {
        match self {
            Words::Inline(words) => words,
            Words::Heap(words) => words,
        }
    }

    #[inline]
    fn as_mut_slice(&mut self) -> &mut [u64] {
        match self {
            Words::Inline(words) => words,
            Words::Heap(words) => words,
        }
    }
}

impl Genome {
    /// A genome of `len` bits, all 0.
    pub fn zeros(len: usize) -> Self {
        let words = match len.div_ceil(64) {
            0..=INLINE => Words::Inline([0; INLINE]),
            count => Words::Heap(vec![0; count]),
        };
        Genome { words, len }
    }

    /// A genome of these bits, first bit first.
    pub fn from_bits(bits: impl IntoIterator<Item = bool>) -> Self {
        let mut genome = Genome::zeros(0);
        for bit in bits {
            genome.push(bit);
        }
        genome
    }

    /// A random genome of `len` bits, uniformly distributed. It takes one number of the stream per 64
    /// bits, lowest bit first.
    ///
    /// ```
    /// use naschain_core::{Genome, Purpose, Stream};
    /// let mut stream = Stream::new(7, Purpose::Initialisation, 0, 0);
    /// assert_eq!(Genome::random(100, &mut stream).len(), 100);
    /// ```
    pub fn random(len: usize, stream: &mut Stream) -> Self {
        let mut word = 0;
        Genome::from_bits((0..len).map(|index| {
            if index.is_multiple_of(64) {
                word = stream.next_u64();
            }
            word >> (index % 64) & 1 == 1
        }))
    }

    fn push(&mut self, bit: bool) {
        if self.len == INLINE * 64 {
            self.words = Words::Heap(self.words.as_slice().to_vec());
        }
        if let Words::Heap(words) = &mut self.words
            && self.len.is_multiple_of(64)
        {
            words.push(0);
        }
        self.len += 1;
        if bit {
            self.flip(self.len - 1);
        }
    }

    /// The number of bits.
    #[inline]
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
    /// If `index` is not below [`Genome::len`].
    #[inline]
    pub fn get(&self, index: usize) -> bool {
        let (word, mask) = self.place(index);
        self.words.as_slice()[word] & mask != 0
    }

    /// Inverts bit `index`.
    ///
    /// # Panics
    /// If `index` is not below [`Genome::len`].
    #[inline]
    pub fn flip(&mut self, index: usize) {
        let (word, mask) = self.place(index);
        self.words.as_mut_slice()[word] ^= mask;
    }

    /// The number of 1 bits in `range`, counted 64 at a time.
    ///
    /// ```
    /// let genome: naschain_core::Genome = "1011".parse()?;
    /// assert_eq!(genome.count_ones(1..4), 2);
    /// # Ok::<(), naschain_core::Error>(())
    /// ```
    ///
    /// # Panics
    /// If `range` does not lie within the genome.
    #[inline]
    pub fn count_ones(&self, range: Range<usize>) -> usize {
        let words = self.words.as_slice();
        if let Range { start, end } = range
            && start < end
            && start / 64 == (end - 1) / 64
        {
            // The range lies within one word, as most short ranges do.
            self.check(&range);
            let unused = 64 - (end - start);
            let bits = words[start / 64] << (start % 64) >> unused;
            return match u8::try_from(bits) {
                Ok(byte) => usize::from(ONES[usize::from(byte)]),
                Err(_) => bits.count_ones() as usize,
            };
        }
        let ones = self
            .masks(range)
            .map(|(word, mask)| (words[word] & mask).count_ones() as usize);
        ones.sum()
    }

    /// Swaps the bits of `range` with those of `other`, 64 at a time, as a crossover does.
    ///
    /// ```
    /// let (mut one, mut other): (naschain_core::Genome, _) = ("0000".parse()?, "1111".parse()?);
    /// one.swap_range(&mut other, 1..3);
    /// assert_eq!((one.to_string(), other.to_string()), ("0110".into(), "1001".into()));
    /// # Ok::<(), naschain_core::Error>(())
    /// ```
    ///
    /// # Panics
    /// If `range` does not lie within both genomes.
    #[inline]
    pub fn swap_range(&mut self, other: &mut Genome, range: Range<usize>) {
        other.check(&range);
        let masks = self.masks(range);
        let (ours, theirs) = (self.words.as_mut_slice(), other.words.as_mut_slice());
        for (word, mask) in masks {
            let differences = (ours[word] ^ theirs[word]) & mask;
            ours[word] ^= differences;
            theirs[word] ^= differences;
        }
    }

    /// The bits, first to last.
    pub fn bits(&self) -> impl ExactSizeIterator<Item = bool> + '_ {
        (0..self.len).map(|index| self.get(index))
    }

    /// The text with `-` between groups of `group_len` bits, such as the phases.
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

    #[inline]
    fn check(&self, range: &Range<usize>) {
        assert!(
            range.start <= range.end && range.end <= self.len,
            "bits {range:?} of a genome of {} bits",
            self.len
        );
    }

    /// The words that contain bits of `range`, each with a mask of those bits.
    #[inline]
    fn masks(&self, range: Range<usize>) -> impl Iterator<Item = (usize, u64)> + use<> {
        self.check(&range);
        let Range { start, end } = range;
        (start / 64..end.div_ceil(64)).map(move |word| {
            let first = start.saturating_sub(word * 64);
            let unused = (word * 64 + 64).saturating_sub(end);
            (word, u64::MAX >> first & u64::MAX << unused)
        })
    }

    #[inline]
    fn place(&self, index: usize) -> (usize, u64) {
        assert!(
            index < self.len,
            "bit {index} of a genome of {} bits",
            self.len
        );
        (index / 64, 1 << (63 - index % 64))
    }
}

impl Hash for Genome {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Only the used words: searches hash every genome that they make.
        let used = self.len.div_ceil(64);
        let words = &self.words.as_slice()[..used];
        words.iter().for_each(|word| state.write_u64(*word));
        state.write_usize(self.len);
    }
}

impl Ord for Genome {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let words = self.words.as_slice().cmp(other.words.as_slice());
        words.then(self.len.cmp(&other.len))
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
mod tests;
