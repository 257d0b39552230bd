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
            let step = (point[1], point[2]);
            // The first front that does not cover the point, and the point's place in it.
            let (mut low, mut at) = (0, (0, 0));
            rank = fronts.len();
            while low < rank {
                let middle = (low + rank) / 2;
                match fronts[middle].place(step) {
                    None => low = middle + 1,
                    Some(place) => (rank, at) = (middle, place),
                }
            }
            if rank == fronts.len() {
                fronts.push(Staircase::of(step));
            } else {
                fronts[rank].lower(at, step);
            }
            before = Some(point);
        }
        ranks[place] = rank as u32;
    }
    ranks
}

/// The lower left border of a set of points: y grows and z falls from step to step.
///
/// Its steps lie in chunks, none empty, so that a new one moves few others. A chunk is split only when
/// it is full: there are never more than one for each 128 points, and one more.
struct Staircase {
    /// Most staircases are this chunk alone.
    first: Vec<Step>,
    later: Vec<Vec<Step>>,
}

/// A point's y and z.
type Step = (u64, u64);

/// A place among the steps: a chunk, 0 for the first, and how many of its steps come before.
type Place = (usize, usize);

impl Staircase {
    fn of(step: Step) -> Self {
        Staircase {
            first: vec![step],
            later: Vec::new(),
        }
    }

    /// Where (y, z) would stand, unless a point of the set is nowhere larger than it.
    #[inline]
    fn place(&self, (y, z): Step) -> Option<Place> {
        let (mut chunk, mut steps) = (0, &self.first);
        if !self.later.is_empty() {
            chunk = self.later.partition_point(|steps| steps[0].0 <= y);
            steps = chunk.checked_sub(1).map_or(steps, |at| &self.later[at]);
        }
        let at = steps.partition_point(|step| step.0 <= y);
        // Only the first chunk can have no step before the place.
        (at == 0 || steps[at - 1].1 > z).then_some((chunk, at))
    }

    /// Adds a point that is not covered at its place.
    fn lower(&mut self, (chunk, mut at): Place, (y, z): Step) {
        let steps = match chunk {
            0 => &mut self.first,
            _ => &mut self.later[chunk - 1],
        };
        // A step of the same y is beaten too.
        at -= usize::from(at > 0 && steps[at - 1].0 == y);
        let beaten = steps[at..].iter().take_while(|step| step.1 >= z).count();
        match beaten {
            0 => steps.insert(at, (y, z)),
            _ => {
                steps[at] = (y, z);
                steps.drain(at + 1..at + beaten);
            }
        }
        let is_last = at + 1 == steps.len();
        let upper = (steps.len() == FULL).then(|| steps.split_off(FULL / 2));
        if is_last && chunk < self.later.len() {
            self.remove_beaten(chunk, z);
        }
        if let Some(upper) = upper {
            self.later.insert(chunk, upper);
        }
    }

    /// Removes the steps of the later chunks from this one on that are no lower than z.
    fn remove_beaten(&mut self, start: usize, z: u64) {
        let later = self.later[start..].iter();
        let whole = later.take_while(|steps| steps[steps.len() - 1].1 >= z);
        let end = start + whole.count();
        self.later.drain(start..end);
        if let Some(steps) = self.later.get_mut(start) {
            let beaten = steps.iter().take_while(|step| step.1 >= z).count();
            steps.drain(..beaten);
        }
    }
}

/// Steps of a chunk at which it is split; few in unit tests, so that small examples have many chunks.
const FULL: usize = if cfg!(test) { 6 } else { 256 };
