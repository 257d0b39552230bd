//! Named random streams: one ChaCha8 stream per (seed, purpose, epoch, index).
//!
//! These are the only random numbers that decide results in NASChain. The numbers of a stream depend on
//! its four keys alone, not on the order of draws from other streams, on threads or on restarts.
//! Sampling is implemented here instead of using the rand crates' distributions, whose results may
//! change between versions; the golden tests below fix it.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What the numbers of a stream are used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// Splitting a data set into training, validation and test images.
    Split,
    /// Initial weights; index is the tensor's position in declaration order.
    Weights,
    /// The order of training images; epoch is the training epoch.
    Shuffle,
    /// Crop, flip and cutout; epoch is the training epoch, index the image.
    Augmentation,
    /// Drop-path; epoch is the training epoch, index the image.
    DropPath,
    /// Random genomes; index is the candidate.
    Initialisation,
    /// Crossover and mutation; epoch is the number of candidates made before the batch.
    Variation,
    /// Tie-breaks of selection and tournaments; epoch is the number of candidates made before.
    Selection,
    /// Assignment of seats to miners; index is the job, epoch counts its assignments.
    Seats,
    /// Simulations in tests and examples.
    Simulation,
    /// The random numbers of programs that use this crate: no crate of NASChain draws from it, so they
    /// never coincide with its own. Epoch and index are the caller's.
    User,
}

impl Purpose {
    // Never change a tag: the same seed must give the same bytes in every version.
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
            Purpose::User => b"user    ",
        }
    }
}

/// A stream of random numbers that its four keys determine. Programs that use this crate draw their own
/// random numbers from [`Purpose::User`], with the seed of their search.
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
    /// Returns the stream of these four keys, at its beginning.
    pub fn new(seed: u64, purpose: Purpose, epoch: u64, index: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(purpose.tag());
        key[16..24].copy_from_slice(&epoch.to_le_bytes());
        key[24..].copy_from_slice(&index.to_le_bytes());
        Stream(ChaCha8Rng::from_seed(key))
    }

    /// Returns the next 64 bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Returns a uniformly distributed whole number below `bound` (Lemire 2019, with rejection).
    ///
    /// # Panics
    /// If `bound` is 0.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "the bound of a random number is 0");
        loop {
            let product = u128::from(self.next_u64()) * u128::from(bound);
            // Low halves below 2^64 mod bound are rejected, since they would favour some results.
            // Comparing with the bound first avoids most of the slow divisions.
            let low = product as u64;
            if low >= bound || low >= bound.wrapping_neg() % bound {
                return (product >> 64) as u64;
            }
        }
    }

    /// Returns a random index into a slice of `len` items.
    ///
    /// # Panics
    /// If `len` is 0.
    #[inline]
    pub fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// Returns a random index into a slice of `len` items, and one into the `len` - 1 items that remain
    /// after its removal. Takes one random number.
    ///
    /// # Panics
    /// If `len` is below 2.
    #[inline]
    pub fn two_indices(&mut self, len: usize) -> (usize, usize) {
        let (len, rest) = (len as u64, len as u64 - 1);
        let both = self.below(len * rest);
        ((both / rest) as usize, (both % rest) as usize)
    }

    /// Returns a random multiple of 2⁻⁵³ in [0, 1).
    #[inline]
    pub fn unit_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Returns a random multiple of 2⁻²⁴ in [0, 1).
    #[inline]
    pub fn unit_f32(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 * (1.0 / (1u32 << 24) as f32)
    }

    /// Returns `true` with probability `p`: never if it is 0, always if it is 1.
    #[inline]
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit_f64() < p
    }

    /// Shuffles the items; every order is equally likely (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.index(last + 1);
            items.swap(last, other);
        }
    }

    /// Returns the numbers below `len` in random order.
    pub fn permutation(&mut self, len: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..len).collect();
        self.shuffle(&mut order);
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Golden values from a separate implementation, in Python, of ChaCha with 8 rounds (zero nonce,
    // 64-bit counter from 0, the key laid out as above) and of the sampling rules.
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
    fn each_key_selects_another_stream() {
        let first =
            |seed, purpose, epoch, index| Stream::new(seed, purpose, epoch, index).next_u64();
        let base = first(1, Purpose::Split, 1, 1);
        assert_ne!(base, first(2, Purpose::Split, 1, 1));
        assert_ne!(base, first(1, Purpose::Seats, 1, 1));
        assert_ne!(base, first(1, Purpose::User, 1, 1));
        assert_ne!(base, first(1, Purpose::Split, 2, 1));
        assert_ne!(base, first(1, Purpose::Split, 1, 2));
    }

    #[test]
    fn numbers_below_a_bound_are_uniform() {
        let mut counts = [0u32; 7];
        let mut stream = Stream::new(0, Purpose::Simulation, 0, 0);
        for _ in 0..70_000 {
            counts[stream.index(7)] += 1;
        }
        // Binomial with mean 10,000 and standard deviation 93; the result is fixed, as the stream is.
        assert!(
            counts.iter().all(|&n| n.abs_diff(10_000) < 400),
            "{counts:?}"
        );
    }

    #[test]
    fn pairs_of_indices_are_uniform() {
        let mut counts = [0u32; 20];
        let mut stream = Stream::new(0, Purpose::Simulation, 0, 2);
        for _ in 0..100_000 {
            let (first, second) = stream.two_indices(5);
            assert!(first < 5 && second < 4);
            counts[first * 4 + second] += 1;
        }
        // Binomial with mean 5,000 and standard deviation 69; the result is fixed, as the stream is.
        assert!(
            counts.iter().all(|&n| n.abs_diff(5_000) < 300),
            "{counts:?}"
        );
    }

    #[test]
    fn units_are_below_one_and_extreme_chances_are_certain() {
        let mut stream = Stream::new(0, Purpose::Simulation, 0, 1);
        for _ in 0..10_000 {
            assert!((0.0..1.0).contains(&stream.unit_f32()));
            assert!((0.0..1.0).contains(&stream.unit_f64()));
            assert!(!stream.chance(0.0) && stream.chance(1.0));
        }
    }
}
