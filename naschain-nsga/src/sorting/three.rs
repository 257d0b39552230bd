use super::lexicographic;

/// Ranks with three objectives. If points are visited in lexicographic order, a front dominates a point
/// exactly if the point lies on or above the staircase of the front's points in the last two
/// objectives.
pub(super) fn ranks(keys: &[u64]) -> Vec<u32> {
    let mut ranks = vec![0; keys.len() / 3];
    let mut fronts: Vec<Staircase> = Vec::new();
    let (mut before, mut rank) = (None, 0);
    for (first, place) in lexicographic(keys, 3) {
        let place = place as usize;
        let point = [first, keys[3 * place + 1], keys[3 * place + 2]];
        if before != Some(point) {
            let step = (point[1], point[2]);
            // Binary search for the first front that does not dominate the point.
            let (mut low, mut at) = (0, (0, 0));
            rank = fronts.len();
            while low < rank {
                let middle = (low + rank) / 2;
                match fronts[middle].position(step) {
                    None => low = middle + 1,
                    Some(position) => (rank, at) = (middle, position),
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

/// The lower left boundary of a set of points: y increases and z decreases from step to step.
///
/// The steps are stored in non-empty chunks, so that an insertion moves few of them. A chunk is split
/// when it is full, so there is at most one chunk per 128 points, plus one.
struct Staircase {
    /// The first chunk; most staircases have no other.
    first: Vec<StairStep>,
    later: Vec<Vec<StairStep>>,
}

/// A point's y and z.
type StairStep = (u64, u64);

/// A position among the steps: the chunk, 0 for the first, and the index within it.
type ChunkPosition = (usize, usize);

impl Staircase {
    fn of(step: StairStep) -> Self {
        Staircase {
            first: vec![step],
            later: Vec::new(),
        }
    }

    /// The position at which to insert (y, z), or `None` if a step weakly dominates it.
    #[inline]
    fn position(&self, (y, z): StairStep) -> Option<ChunkPosition> {
        let (mut chunk, mut steps) = (0, &self.first);
        if !self.later.is_empty() {
            chunk = self.later.partition_point(|steps| steps[0].0 <= y);
            steps = chunk.checked_sub(1).map_or(steps, |at| &self.later[at]);
        }
        let at = steps.partition_point(|step| step.0 <= y);
        // In later chunks there is always a step before the position.
        (at == 0 || steps[at - 1].1 > z).then_some((chunk, at))
    }

    /// Inserts a point that no step dominates, at its position.
    fn lower(&mut self, (chunk, mut at): ChunkPosition, (y, z): StairStep) {
        let steps = match chunk {
            0 => &mut self.first,
            _ => &mut self.later[chunk - 1],
        };
        // A step with the same y is dominated, too.
        at -= usize::from(at > 0 && steps[at - 1].0 == y);
        let dominated = steps[at..].iter().take_while(|step| step.1 >= z).count();
        match dominated {
            0 => steps.insert(at, (y, z)),
            _ => {
                steps[at] = (y, z);
                steps.drain(at + 1..at + dominated);
            }
        }
        let is_last = at + 1 == steps.len();
        let upper = (steps.len() == FULL).then(|| steps.split_off(FULL / 2));
        if is_last && chunk < self.later.len() {
            self.remove_dominated(chunk, z);
        }
        if let Some(upper) = upper {
            self.later.insert(chunk, upper);
        }
    }

    /// Removes the leading steps of the later chunks, from `start` on, that are not below z.
    fn remove_dominated(&mut self, start: usize, z: u64) {
        let later = self.later[start..].iter();
        let whole = later.take_while(|steps| steps[steps.len() - 1].1 >= z);
        let end = start + whole.count();
        self.later.drain(start..end);
        if let Some(steps) = self.later.get_mut(start) {
            let dominated = steps.iter().take_while(|step| step.1 >= z).count();
            steps.drain(..dominated);
        }
    }
}

/// Number of steps at which a chunk is split; small in unit tests, so that small inputs have several
/// chunks.
const FULL: usize = if cfg!(test) { 6 } else { 256 };
