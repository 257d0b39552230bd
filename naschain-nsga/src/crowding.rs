use crate::Error;
use crate::error::row_count;
use crate::sorting::{monotone_key, value_of_key};

/// Returns the crowding distance of each point of `front` (Deb et al. 2002), in the order of `front`.
///
/// `points` holds one row of `objectives` values per point; `front` holds indices of points. For each
/// objective the front is sorted, with ties in the order of `front`. The two extreme points get
/// infinity, and each other point the gap between its neighbours divided by the objective's range,
/// summed over the objectives (not averaged). An objective in which all points are equal adds nothing;
/// one with an infinite range adds nothing to the inner points. In a front of one or two points all
/// are extreme. A point with a NaN gets 0.
///
/// # Errors
/// [`Error::Shape`] if there are no objectives or the last row is incomplete, [`Error::PointIndex`] if
/// an index in `front` is out of range.
pub fn crowding_distance(
    points: &[f64],
    objectives: usize,
    front: &[usize],
) -> Result<Vec<f64>, Error> {
    let len = row_count("points", points, objectives)?;
    if let Some(&index) = front.iter().find(|&&index| index >= len) {
        return Err(Error::PointIndex { index, len });
    }
    Ok(distances(points, objectives, front))
}

/// As [`crowding_distance`], without the checks.
pub(crate) fn distances(points: &[f64], objectives: usize, front: &[usize]) -> Vec<f64> {
    let row = |index: usize| &points[index * objectives..(index + 1) * objectives];
    let places: Vec<u32> = (0..)
        .zip(front)
        .filter(|&(_, &index)| !row(index).iter().any(|value| value.is_nan()))
        .map(|(place, _)| place)
        .collect();
    let mut distances = vec![0.0; front.len()];
    if places.len() <= 2 {
        for place in places {
            distances[place as usize] = f64::INFINITY;
        }
        return distances;
    }
    let mut order: Vec<(u64, u32)> = places.into_iter().map(|place| (0, place)).collect();
    for objective in 0..objectives {
        // With two objectives, a front sorted by the first one is sorted by the second one in reverse.
        order.reverse();
        for (key, place) in &mut order {
            *key = monotone_key(points[front[*place as usize] * objectives + objective]);
        }
        order.sort_unstable_by_key(|(key, _)| *key);
        for tied in order.chunk_by_mut(|a, b| a.0 == b.0) {
            if tied.len() > 1 {
                tied.sort_unstable_by_key(|(_, place)| *place);
            }
        }
        let values = order.iter().map(|&(key, place)| (value_of_key(key), place));
        add_gaps(&values.collect::<Vec<_>>(), &mut distances);
    }
    distances
}

/// Computes the distances of several fronts, reusing its memory.
#[derive(Default)]
pub(crate) struct Crowding {
    distances: Vec<f64>,
    /// Values with their indices in the front.
    order: Vec<(f64, u32)>,
    from_end: Vec<(f64, u32)>,
}

impl Crowding {
    /// Returns `count` distances of 0.
    pub(crate) fn zeros(&mut self, count: usize) -> &[f64] {
        self.distances.clear();
        self.distances.resize(count, 0.0);
        &self.distances
    }

    /// As [`distances`], for points without NaN and a complete front in lexicographic order.
    pub(crate) fn of_front(
        &mut self,
        points: &[f64],
        objectives: usize,
        front: &[usize],
    ) -> &[f64] {
        if objectives != 2 || front.len() <= 2 {
            self.distances = distances(points, objectives, front);
            return &self.distances;
        }
        self.zeros(front.len());
        let points = points.as_chunks::<2>().0;
        let firsts = front.iter().map(|&index| points[index][0]);
        self.order.clear();
        self.order.extend(firsts.zip(0..));
        add_gaps(&self.order, &mut self.distances);
        // By the second objective the front is sorted in reverse, except for equal points.
        self.from_end.clear();
        for equal in self.order.chunk_by(|a, b| a.0 == b.0).rev() {
            let second = |place: u32| points[front[place as usize]][1];
            let values = equal.iter().map(|&(_, place)| (second(place), place));
            self.from_end.extend(values);
        }
        add_gaps(&self.from_end, &mut self.distances);
        &self.distances
    }
}

/// Adds the contribution of one objective; `order` holds its sorted values with their indices in the
/// front.
fn add_gaps(order: &[(f64, u32)], distances: &mut [f64]) {
    let (first, last) = (order[0], order[order.len() - 1]);
    if first.0 == last.0 {
        return;
    }
    distances[first.1 as usize] = f64::INFINITY;
    distances[last.1 as usize] = f64::INFINITY;
    // The range of finite values may overflow; that of their halves does not.
    let scale = if (last.0 - first.0).is_finite() {
        1.0
    } else {
        0.5
    };
    let range = last.0 * scale - first.0 * scale;
    if !range.is_finite() {
        return;
    }
    for triple in order.windows(3) {
        // A division, since the reciprocal of a subnormal range is infinite.
        distances[triple[1].1 as usize] += (triple[2].0 * scale - triple[0].0 * scale) / range;
    }
}
