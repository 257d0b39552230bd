//! Randomness with a name: one ChaCha8 stream for each (seed, purpose, epoch, index).
//!
//! Nothing in NASChain draws a number from anywhere else. A stream's numbers depend on its four
//! keys alone, so it does not matter who draws first, on which thread, or after which restart.
//! Sampling is written out here, because the distributions of the rand crates may change between
//! versions; the golden tests below hold it still.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a stream's numbers are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// Drawing training, validation and test parts from a data set.
    Split,
    /// Initial weights; index is the tensor's place in declaration order.
    Weights,
    /// The order of training images; epoch is the training epoch.
    Shuffle,
    /// Crop, flip and cutout; epoch is the training epoch, index the image.
    Augmentation,
    /// Which paths of a network are dropped; epoch is the training epoch, index the image.
    DropPath,
    /// The first population; index is the candidate.
    Initialisation,
    /// Parents, crossover and mutation; epoch is the generation, index the mating.
    Variation,
    /// Selection's tie-breaks; epoch is the generation.
    Selection,
    /// Who trains what; index is the batch, epoch the dealing of it.
    Seats,
    /// Simulated worlds in tests and examples.
    Simulation,
}

impl Purpose {
    // Part of the promise that the same seed gives the same bytes: never change one.
    const fn tag(self) -> &'static [u8; 8] {
        match self {
            Purpose::Split => b"split   ",
            Purpose::Weights => b"weights ",
            Purpose::Shuffle => b"shuffle ",
            Purpose::Augmentation => b"augment ",
            Purpose::DropPath => b"droppath",
            Purpose::Initialisation => b"initial ",
            Purpose::Variation => b"variate ",
            Purpose::Selection => b"select  ",
            Purpose::Seats => b"seats   ",
            Purpose::Simulation => b"simulate",
        }
    }
}

/// A stream of random numbers that its four keys determine.
///
/// ```
/// use naschain_core::{Purpose, Stream};
/// let mut a = Stream::new(7, Purpose::Shuffle, 1, 0);
/// let mut b = Stream::new(7, Purpose::Shuffle, 1, 0);
/// assert_eq!(a.permutation(100), b.permutation(100));
/// ```
#[derive(Clone, Debug)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream of this seed for this purpose, epoch and index.
    pub fn new(seed: u64, purpose: Purpose, epoch: u64, index: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(purpose.tag());
        key[16..24].copy_from_slice(&epoch.to_le_bytes());
        key[24..].copy_from_slice(&index.to_le_bytes());
        Stream(ChaCha8Rng::from_seed(key))
    }

    /// The next 64 bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A whole number below `bound`, every one equally likely (Lemire 2019, with rejection).
    ///
    /// # Panics
    /// When `bound` is 0.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "a number below 0");
        loop {
            let product = u128::from(self.next_u64()) * u128::from(bound);
            // Of the 2^64 low halves, the first 2^64 mod bound would favour some results; the
            // remainder is below the bound, and dividing is slow.
            let low = product as u64;
            if low >= bound || low >= bound.wrapping_neg() % bound {
                return (product >> 64) as u64;
            }
        }
    }

    /// A place in a slice of `len` items.
    ///
    /// # Panics
    /// When `len` is 0.
    #[inline]
    pub fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// A place in a slice of `len` items, and one in what is left when it is gone, from one random
    /// number.
    ///
    /// # Panics
    /// When `len` is below 2.
    #[inline]
    pub fn two_indices(&mut self, len: usize) -> (usize, usize) {
        let (len, rest) = (len as u64, len as u64 - 1);
        let both = self.below(len * rest);
        ((both / rest) as usize, (both % rest) as usize)
    }

    /// A multiple of 2⁻⁵³ in [0, 1).
    #[inline]
    pub fn unit_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// A multiple of 2⁻²⁴ in [0, 1).
    #[inline]
    pub fn unit_f32(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 * (1.0 / (1u32 << 24) as f32)
    }

    /// `true` with probability `p`; 0 is never and 1 is always.
    #[inline]
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit_f64() < p
    }

    /// Puts the items in random order, every order equally likely (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.index(last + 1);
            items.swap(last, other);
        }
    }

    /// The numbers below `len` in random order.
    pub fn permutation(&mut self, len: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..len).collect();
        self.shuffle(&mut order);
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Golden values: computed by a separate implementation in Python of ChaCha with 8 rounds
    // (zero nonce, 64-bit counter from 0, the key laid out as above) and of the sampling rules.
    #[test]
    fn golden_numbers() {
        let mut stream = Stream::new(1, Purpose::Weights, 2, 3);
        assert_eq!(
            [stream.next_u64(), stream.next_u64()],
            [17_069_876_435_758_212_202, 5_775_805_958_868_504_158]
        );
        assert_eq!([stream.below(10), stream.below(1000)], [6, 429]);
        assert_eq!(stream.unit_f32(), 0.492_876_3);
        assert_eq!(stream.unit_f64(), 0.198_173_915_417_445_45);
        assert_eq!(stream.permutation(6), [1, 5, 3, 0, 2, 4]);
    }

    #[test]
    fn every_key_matters() {
        let first =
            |seed, purpose, epoch, index| Stream::new(seed, purpose, epoch, index).next_u64();
        let base = first(1, Purpose::Split, 1, 1);
        assert_ne!(base, first(2, Purpose::Split, 1, 1));
        assert_ne!(base, first(1, Purpose::Seats, 1, 1));
        assert_ne!(base, first(1, Purpose::Split, 2, 1));
        assert_ne!(base, first(1, Purpose::Split, 1, 2));
    }

    #[test]
    fn numbers_below_a_bound_are_even() {
        let mut counts = [0u32; 7];
        let mut stream = Stream::new(0, Purpose::Simulation, 0, 0);
        for _ in 0..70_000 {
            counts[stream.index(7)] += 1;
        }
        // Binomial with mean 10,000 and deviation 93; the stream is fixed, so is the outcome.
        assert!(
            counts.iter().all(|&n| n.abs_diff(10_000) < 400),
            "{counts:?}"
        );
    }

    #[test]
    fn two_places_are_any_two() {
        let mut counts = [0u32; 20];
        let mut stream = Stream::new(0, Purpose::Simulation, 0, 2);
        for _ in 0..100_000 {
            let (first, second) = stream.two_indices(5);
            assert!(first < 5 && second < 4);
            counts[first * 4 + second] += 1;
        }
        // Binomial with mean 5,000 and deviation 69; the stream is fixed, so is the outcome.
        assert!(
            counts.iter().all(|&n| n.abs_diff(5_000) < 300),
            "{counts:?}"
        );
    }

    #[test]
    fn units_stay_below_one_and_chances_hold_their_ends() {
        let mut stream = Stream::new(0, Purpose::Simulation, 0, 1);
        for _ in 0..10_000 {
            assert!((0.0..1.0).contains(&stream.unit_f32()));
            assert!((0.0..1.0).contains(&stream.unit_f64()));
            assert!(!stream.chance(0.0) && stream.chance(1.0));
        }
    }
}
