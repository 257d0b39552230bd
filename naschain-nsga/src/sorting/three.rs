use super::lexicographic;

/// Ranks with three objectives: in lexicographic order, a point is dominated by a front exactly when
/// it lies on or above the staircase that the front's points so far form in the other two numbers.
pub(super) fn ranks(keys: &[u64]) -> Vec<u32> {
    let mut ranks = vec![0; keys.len() / 3];
    let mut fronts: Vec<Staircase> = Vec::new();
    let (mut before, mut rank) = (None, 0);
    for (first, place) in lexicographic(keys, 3) {
        let place = place as usize;
        let point = [first, keys[3 * place + 1], keys[3 * place + 2]];
        if before != Some(point) {
            let [_, y, z] = point;
            // The first front that does not cover the point, and the point's place in it.
            let (mut low, mut at) = (0, 0);
            rank = fronts.len();
            while low < rank {
                let middle = (low + rank) / 2;
                match fronts[middle].place(y, z) {
                    None => low = middle + 1,
                    Some(place) => (rank, at) = (middle, place),
                }
            }
            if rank == fronts.len() {
                fronts.push(Staircase::default());
            }
            fronts[rank].lower(at, y, z);
            before = Some(point);
        }
        ranks[place] = rank as u32;
    }
    ranks
}

/// The lower left border of a set of points: y grows and z falls from step to step.
#[derive(Default)]
struct Staircase(Vec<(u64, u64)>);

impl Staircase {
    /// How many steps come before (y, z), unless a point of the set is nowhere larger than it.
    fn place(&self, y: u64, z: u64) -> Option<usize> {
        let at = self.0.partition_point(|step| step.0 <= y);
        (at == 0 || self.0[at - 1].1 > z).then_some(at)
    }

    /// Adds a point that is not covered at its place.
    fn lower(&mut self, mut at: usize, y: u64, z: u64) {
        // A step of the same y is beaten too.
        at -= usize::from(at > 0 && self.0[at - 1].0 == y);
        let beaten = self.0[at..].iter().take_while(|step| step.1 >= z).count();
        match beaten {
            0 => self.0.insert(at, (y, z)),
            _ => {
                self.0[at] = (y, z);
                self.0.drain(at + 1..at + beaten);
            }
        }
    }
}
