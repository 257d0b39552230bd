use crate::Error;
use crate::error::row_count;

/// The crowding distance of each point of `front` (Deb et al. 2002), in the order of `front`.
///
/// `points` holds one row of `objectives` numbers a point; `front` names some of them by index.
/// For each objective the front is sorted, ties in the order of `front`; its two ends get
/// infinity and every other point the gap between its neighbours divided by the objective's range,
/// summed over the objectives (not averaged). An objective in which all points are equal adds
/// nothing, and so does, to the points between the ends, one whose range is infinite. A front of
/// one or two points is all ends. A point with a NaN gets 0.
///
/// # Errors
/// [`Error::Shape`] when there are no objectives or the last row is not whole,
/// [`Error::PointIndex`] when `front` names a point that does not exist.
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

/// The distances of points that exist.
pub(crate) fn distances(points: &[f64], objectives: usize, front: &[usize]) -> Vec<f64> {
    let has_nan = |index: usize| {
        let row = &points[index * objectives..(index + 1) * objectives];
        row.iter().any(|value| value.is_nan())
    };
    let mut order: Vec<usize> = (0..front.len())
        .filter(|&place| !has_nan(front[place]))
        .collect();
    let mut distances = vec![0.0; front.len()];
    if order.len() <= 2 {
        for &place in &order {
            distances[place] = f64::INFINITY;
        }
        return distances;
    }
    for objective in 0..objectives {
        let value = |place: usize| points[front[place] * objectives + objective];
        order.sort_unstable_by(|&a, &b| {
            let by_value = value(a).partial_cmp(&value(b));
            by_value
                .unwrap_or(std::cmp::Ordering::Equal)
                .then(a.cmp(&b))
        });
        add_gaps(&order, value, &mut distances);
    }
    distances
}

/// Adds one objective's share; `order` is sorted by `value`.
fn add_gaps(order: &[usize], value: impl Fn(usize) -> f64, distances: &mut [f64]) {
    let (first, last) = (order[0], order[order.len() - 1]);
    let (low, high) = (value(first), value(last));
    if low == high {
        return;
    }
    distances[first] = f64::INFINITY;
    distances[last] = f64::INFINITY;
    // The range of finite values may overflow; their halves' range does not.
    let scale = if (high - low).is_finite() { 1.0 } else { 0.5 };
    let range = high * scale - low * scale;
    if !range.is_finite() {
        return;
    }
    for triple in order.windows(3) {
        // A division, because the reciprocal of a subnormal range is infinite.
        distances[triple[1]] += (value(triple[2]) * scale - value(triple[0]) * scale) / range;
    }
}
