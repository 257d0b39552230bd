use super::lexicographic;

/// Ranks with two objectives.
pub(super) fn ranks(keys: &[u64]) -> Vec<u32> {
    let mut ranks = vec![0; keys.len() / 2];
    let mut fronts = FrontsOfPairs::default();
    for (first, place) in lexicographic(keys, 2) {
        let place = place as usize;
        ranks[place] = fronts.rank([first, keys[2 * place + 1]]);
    }
    ranks
}

/// The fronts of points that are visited in lexicographic order (Jensen 2003). A front then dominates a
/// point exactly if the second objective of the front's last point, which is its smallest, is not
/// larger.
#[derive(Default)]
pub(crate) struct FrontsOfPairs {
    /// The second objective of each front's last point; it increases from front to front.
    lasts: Vec<u64>,
    before: Option<[u64; 2]>,
    rank: usize,
}

impl FrontsOfPairs {
    /// Returns the front of the next point.
    #[inline]
    pub(crate) fn rank(&mut self, point: [u64; 2]) -> u32 {
        if self.before != Some(point) {
            self.rank = self.lasts.partition_point(|&last| last <= point[1]);
            match self.lasts.get_mut(self.rank) {
                Some(last) => *last = point[1],
                None => self.lasts.push(point[1]),
            }
            self.before = Some(point);
        }
        self.rank as u32
    }
}
