use std::hash::{Hash, Hasher};

/// A set of numbered things found by their hashes: an open hash table with linear probing.
///
/// It holds no things, but asks its caller whether a number is the thing looked for. Only membership
/// is asked of it, so that nothing depends on how it is laid out.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Hash and number plus 1, or 0 for free. A power of 2, at most half of them taken.
    table: Vec<(u32, u32)>,
    len: usize,
}

impl Seen {
    pub(crate) fn new() -> Self {
        Seen {
            table: vec![(0, 0); 64],
            len: 0,
        }
    }

    /// Whether a thing with this hash is there for which `is_same` holds.
    pub(crate) fn contains(&self, hash: u32, is_same: impl Fn(usize) -> bool) -> bool {
        self.table[self.place(hash, is_same)].1 != 0
    }

    /// Adds the next thing, whose number is how many there are; `false` if it is there already.
    pub(crate) fn insert(&mut self, hash: u32, is_same: impl Fn(usize) -> bool) -> bool {
        let place = self.place(hash, is_same);
        if self.table[place].1 != 0 {
            return false;
        }
        self.len += 1;
        self.table[place] = (hash, self.len as u32);
        if self.len * 2 > self.table.len() {
            self.rebuild(self.table.len() * 2);
        }
        true
    }

    /// Keeps the first `len` things.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = len.min(self.len);
        self.rebuild(self.table.len());
    }

    fn rebuild(&mut self, size: usize) {
        let before = std::mem::replace(&mut self.table, vec![(0, 0); size]);
        for (hash, number) in before {
            if number != 0 && number as usize <= self.len {
                let place = self.place(hash, |_| false);
                self.table[place] = (hash, number);
            }
        }
    }

    /// Where the thing stands in the table, or the free place where it belongs.
    fn place(&self, hash: u32, is_same: impl Fn(usize) -> bool) -> usize {
        let mask = self.table.len() - 1;
        let mut place = hash as usize & mask;
        loop {
            let (other, number) = self.table[place];
            if number == 0 || other == hash && is_same(number as usize - 1) {
                return place;
            }
            place = (place + 1) & mask;
        }
    }
}

/// A hash without ambient randomness, the same on every machine.
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
            mask in prop::sample::select(vec![0, 0xf, u32::MAX]),
        ) {
            // With a mask many different things have one hash.
            let hash = |number: &u16| hash(number) & mask;
            let (mut seen, mut order): (Seen, Vec<u16>) = (Seen::new(), Vec::new());
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
