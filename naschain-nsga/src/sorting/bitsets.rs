use super::levels;

/// Ranks with any number of objectives by bit sets.
///
/// The distinct points are ordered by the sum of their levels in the objectives, so that dominators come
/// first. For each objective a few sets contain the points with the smallest levels. The intersection
/// of one set per objective contains all dominators of a point and few other points. The point's rank
/// is one more than the largest rank among its dominators, so blocks with smaller ranks are skipped.
pub(super) fn ranks(keys: &[u64], objectives: usize) -> Vec<u32> {
    let points = Points::new(keys, objectives);
    let smallest = SmallestSets::new(&points);
    let mut found = Found::new(points.len);
    for place in 0..points.len {
        let starts = smallest.starts(place);
        let mut dominated = 0;
        for block in (0..=place / BLOCK_BITS).rev() {
            if found.blocks[block] > dominated {
                let common = smallest.common(starts, block);
                dominated = found.largest(&points, place, block, &common, dominated);
            }
        }
        found.set(place, dominated + 1);
    }
    points
        .place_of
        .iter()
        .map(|&place| found.ranks[place as usize] - 1)
        .collect()
}

/// Words per block; sets are skipped and intersected block by block.
const BLOCK: usize = 8;
const BLOCK_BITS: usize = BLOCK * 64;

/// Maximum number of sets per objective. More take more memory; with fewer, the intersections contain
/// more points that are not dominators.
const MAX_SETS: usize = 256;

/// The distinct points in an order in which dominators come first.
struct Points {
    len: usize,
    objectives: usize,
    /// The level of each point in each objective, one row per point.
    rows: Vec<u32>,
    /// The place of each input point; equal points share one.
    place_of: Vec<u32>,
}

impl Points {
    fn new(keys: &[u64], objectives: usize) -> Self {
        let count = keys.len() / objectives;
        let mut given = vec![0; keys.len()];
        for objective in 0..objectives {
            let column = keys.iter().skip(objective).step_by(objectives).copied();
            for (index, level) in levels(column).into_iter().enumerate() {
                given[index * objectives + objective] = level;
            }
        }
        let row = |index: usize| &given[index * objectives..(index + 1) * objectives];
        let sum = |index: usize| row(index).iter().map(|&level| u64::from(level)).sum();
        let mut order = super::sorted_places((0..count).map(sum));
        for tied in order.chunk_by_mut(|a, b| a.0 == b.0) {
            tied.sort_unstable_by(|a, b| row(a.1 as usize).cmp(row(b.1 as usize)));
        }
        let mut rows: Vec<u32> = Vec::with_capacity(keys.len());
        let mut place_of = vec![0; count];
        for (_, index) in order {
            let index = index as usize;
            if rows.len() < objectives || rows[rows.len() - objectives..] != *row(index) {
                rows.extend(row(index));
            }
            place_of[index] = (rows.len() / objectives - 1) as u32;
        }
        let len = rows.len() / objectives;
        Points {
            len,
            objectives,
            rows,
            place_of,
        }
    }

    fn row(&self, place: usize) -> &[u32] {
        &self.rows[place * self.objectives..(place + 1) * self.objectives]
    }
}

/// For each objective, nested sets of the points with the smallest levels.
struct SmallestSets {
    objectives: usize,
    /// Complete blocks of bits, one set after the other.
    words: Vec<u64>,
    /// For each point and objective, the index in `words` of the smallest set that contains the point.
    starts: Vec<usize>,
}

impl SmallestSets {
    fn new(points: &Points) -> Self {
        let (len, objectives) = (points.len, points.objectives);
        let sets = len.div_ceil(64).min(MAX_SETS);
        let set_len = len.div_ceil(BLOCK_BITS) * BLOCK;
        let mut words = vec![0u64; objectives * sets * set_len];
        let mut starts = vec![0; len * objectives];
        for objective in 0..objectives {
            let column = || points.rows.iter().skip(objective).step_by(objectives);
            let mut up_to = vec![0usize; column().max().map_or(0, |&most| most as usize + 1)];
            column().for_each(|&level| up_to[level as usize] += 1);
            for level in 1..up_to.len() {
                up_to[level] += up_to[level - 1];
            }
            let first = objective * sets * set_len;
            for (place, &level) in column().enumerate() {
                let start = first + (up_to[level as usize] - 1) * sets / len * set_len;
                starts[place * objectives + objective] = start;
                words[start + place / 64] |= 1 << (place % 64);
            }
            for word in first + set_len..first + sets * set_len {
                words[word] |= words[word - set_len];
            }
        }
        SmallestSets {
            objectives,
            words,
            starts,
        }
    }

    fn starts(&self, place: usize) -> &[usize] {
        &self.starts[place * self.objectives..(place + 1) * self.objectives]
    }

    /// One block of the intersection of the sets that start at `starts`.
    fn common(&self, starts: &[usize], block: usize) -> [u64; BLOCK] {
        let mut common = [u64::MAX; BLOCK];
        for start in starts {
            let words = &self.words[start + block * BLOCK..][..BLOCK];
            for (word, other) in common.iter_mut().zip(words) {
                *word &= other;
            }
        }
        common
    }
}

/// The ranks found so far, each plus 1; 0 means not found yet.
struct Found {
    ranks: Vec<u32>,
    /// The largest rank of each block.
    blocks: Vec<u32>,
}

impl Found {
    fn new(len: usize) -> Self {
        Found {
            ranks: vec![0; len],
            blocks: vec![0; len.div_ceil(BLOCK_BITS)],
        }
    }

    fn set(&mut self, place: usize, rank: u32) {
        self.ranks[place] = rank;
        let block = &mut self.blocks[place / BLOCK_BITS];
        *block = rank.max(*block);
    }

    /// The maximum of `least` and the ranks of the dominators of the point at `place` whose bits are set
    /// in `common`.
    fn largest(
        &self,
        points: &Points,
        place: usize,
        block: usize,
        common: &[u64; BLOCK],
        least: u32,
    ) -> u32 {
        let row = points.row(place);
        let mut largest = least;
        for (word, &bits) in common.iter().enumerate().rev() {
            let mut bits = bits;
            while bits != 0 {
                let bit = 63 - bits.leading_zeros() as usize;
                bits ^= 1 << bit;
                let other = block * BLOCK_BITS + word * 64 + bit;
                // The point's own bit is set, too, but its rank is still 0.
                if self.ranks[other] > largest
                    && points.row(other).iter().zip(row).all(|(a, b)| a <= b)
                {
                    largest = self.ranks[other];
                }
            }
        }
        largest
    }
}
