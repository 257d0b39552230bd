use std::hash::{Hash, Hasher};

/// A set of numbered things found by their hashes: an open hash table with linear probing.
///
/// It holds no things, but asks its caller whether a number is the thing looked for. Only membership
/// is asked of it, so that nothing depends on how it is laid out.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Per place 0 for free, or a few bits of a thing's hash: so little memory that it mostly lies in
    /// fast caches. A power of 2, at most half taken.
    tags: Vec<u8>,
    /// The number of the thing at each place.
    numbers: Vec<u32>,
    /// The things' hashes, in the order of their numbers.
    hashes: Vec<u32>,
}

impl Seen {
    /// Of no things, with room for so many.
    pub(crate) fn with_capacity(count: usize) -> Self {
        let size = (2 * count).next_power_of_two();
        Seen {
            tags: vec![0; size],
            numbers: vec![0; size],
            hashes: Vec::with_capacity(count),
        }
    }

    /// Whether a thing with this hash is there for which `is_same` holds.
    pub(crate) fn contains(&self, hash: u32, is_same: impl Fn(usize) -> bool) -> bool {
        self.tags[self.place(hash, is_same)] != 0
    }

    /// Adds the next thing, whose number is how many there are; `false` if it is there already.
    #[inline]
    pub(crate) fn insert(&mut self, hash: u32, is_same: impl Fn(usize) -> bool) -> bool {
        let place = self.place(hash, is_same);
        if self.tags[place] != 0 {
            return false;
        }
        self.tags[place] = tag(hash);
        self.numbers[place] = self.hashes.len() as u32;
        self.hashes.push(hash);
        if self.hashes.len() * 2 > self.tags.len() {
            self.rebuild(self.tags.len() * 2);
        }
        true
    }

    /// Keeps the first `len` things.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.hashes.truncate(len);
        self.rebuild(self.tags.len());
    }

    fn rebuild(&mut self, size: usize) {
        self.tags.clear();
        self.tags.resize(size, 0);
        self.numbers.resize(size, 0);
        for (hash, number) in self.hashes.iter().zip(0..) {
            let place = self.place(*hash, |_| false);
            self.tags[place] = tag(*hash);
            self.numbers[place] = number;
        }
    }

    /// Where the thing stands in the table, or the free place where it belongs.
    #[inline]
    fn place(&self, hash: u32, is_same: impl Fn(usize) -> bool) -> usize {
        let mask = self.tags.len() - 1;
        let mut place = hash as usize & mask;
        loop {
            let found = self.tags[place];
            if found == 0 || found == tag(hash) && is_same(self.numbers[place] as usize) {
                return place;
            }
            place = (place + 1) & mask;
        }
    }
}

/// The high bits of a hash, the low ones of which say where it belongs; not 0.
#[inline]
fn tag(hash: u32) -> u8 {
    ((hash >> 24) as u8).max(1)
}

/// A hash without ambient randomness, the same on every machine.
#[inline]
pub(crate) fn hash(thing: &impl Hash) -> u32 {
    let mut mixer = Mixer(0);
    thing.hash(&mut mixer);
    mixer.write_u64(0);
    mixer.finish() as u32
}

/// Multiplies each word in, and folds the product's halves together.
struct Mixer(u64);

impl Hasher for Mixer {
    #[inline]
    fn write_u64(&mut self, word: u64) {
        // The golden ratio's and the square root of 2's bits: odd, and without a pattern.
        let factor = u128::from(self.0 ^ word ^ 0x9e37_79b9_7f4a_7c15);
        let product = factor * 0x6a09_e667_f3bc_c909;
        self.0 = product as u64 ^ (product >> 64) as u64;
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes
            .iter()
            .for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hashes_are_spread() {
        let mut taken = [false; 1 << 16];
        (0u64..1 << 16).for_each(|number| taken[hash(&(number << 44)) as usize >> 16] = true);
        // 1 - 1 / e of the places, as for random numbers.
        let share = taken.iter().filter(|taken| **taken).count() as f64 / 65536.0;
        assert!((share - 0.632).abs() < 0.02, "{share}");
    }

    proptest! {
        #[test]
        fn it_is_a_set(
            numbers in prop::collection::vec(0u16..400, 0..600),
            kept in 0usize..200,
            room in 0usize..100,
            mask in prop::sample::select(vec![0, 0xf, u32::MAX]),
        ) {
            // With a mask many different things have one hash.
            let hash = |number: &u16| hash(number) & mask;
            let (mut seen, mut order): (Seen, Vec<u16>) = (Seen::with_capacity(room), Vec::new());
            for number in numbers {
                let new = !order.contains(&number);
                prop_assert_eq!(seen.insert(hash(&number), |at| order[at] == number), new);
                if new {
                    order.push(number);
                }
            }
            for step in 0..2 {
                for number in 0..400 {
                    let found = seen.contains(hash(&number), |at| order[at] == number);
                    prop_assert_eq!(found, order.contains(&number), "{} {}", step, number);
                }
                seen.truncate(kept);
                order.truncate(kept);
            }
        }
    }
}
