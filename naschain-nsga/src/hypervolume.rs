use crate::Error;
use crate::error::row_count;
use crate::sorting::ranks_of_rows;

/// The hypervolume: the measure of what `points` dominate within the box below `reference`.
///
/// `points` holds one row of numbers a point, as many as `reference` has, all minimised. A point
/// that is not better than `reference` in every objective adds nothing, and neither does one with a
/// NaN; -infinity makes the volume infinite. Any number of objectives: two and three by a sweep,
/// O(N log N) and little more; more by exclusive volumes (WFG: While, Bradstreet and Barone
/// 2012), exponential in the objectives at worst.
///
/// ```
/// let front = [1.0, 2.0, 2.0, 1.0];
/// assert_eq!(naschain_nsga::hypervolume(&front, &[3.0, 3.0])?, 3.0);
/// # Ok::<(), naschain_nsga::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] when there are no objectives or the last row is not whole,
/// [`Error::NotFinite`] when the reference point is NaN or infinite.
pub fn hypervolume(points: &[f64], reference: &[f64]) -> Result<f64, Error> {
    row_count("points", points, reference.len())?;
    if let Some(&found) = reference.iter().find(|value| !value.is_finite()) {
        return Err(Error::NotFinite {
            what: "the reference point",
            found,
        });
    }
    Ok(volume_of_rows(points, reference))
}

/// The hypervolume of whole rows from a finite reference point.
pub(crate) fn volume_of_rows(points: &[f64], reference: &[f64]) -> f64 {
    let rows = points.chunks_exact(reference.len());
    let inside = rows.filter(|row| {
        row.iter()
            .zip(reference)
            .all(|(value, limit)| value < limit)
    });
    if inside.clone().flatten().any(|value| value.is_infinite()) {
        return f64::INFINITY;
    }
    if reference.len() == 2 {
        // The same as `volume`, without a vector a point.
        let mut pairs: Vec<(f64, f64)> = inside.map(|row| (row[0], row[1])).collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        return staircase_area(pairs.into_iter(), reference);
    }
    volume(inside.map(<[f64]>::to_vec).collect(), reference)
}

/// The volume of points that all lie inside the box below `reference`.
fn volume(mut points: Vec<Vec<f64>>, reference: &[f64]) -> f64 {
    let last = reference.len() - 1;
    match reference.len() {
        1 => points
            .iter()
            .map(|point| reference[0] - point[0])
            .fold(0.0, f64::max),
        2 => {
            points.sort_by(|a, b| a[0].total_cmp(&b[0]));
            staircase_area(points.iter().map(|point| (point[0], point[1])), reference)
        }
        3 => {
            points.sort_by(|a, b| a[2].total_cmp(&b[2]));
            sweep(&points, reference)
        }
        _ => {
            // Worst last objective first, so that the sets limited below stay small.
            points.sort_by(|a, b| b[last].total_cmp(&a[last]));
            exclusive_volumes(&points, reference)
        }
    }
}

/// The area of a staircase whose points come by growing first number.
fn staircase_area(points: impl Iterator<Item = (f64, f64)>, reference: &[f64]) -> f64 {
    let (mut area, mut height) = (0.0, reference[1]);
    for (x, y) in points {
        if y < height {
            area += (reference[0] - x) * (height - y);
            height = y;
        }
    }
    area
}

/// Three objectives: the points come by growing third number, and the area that those so far
/// dominate in the first two is multiplied by the way to the next.
fn sweep(points: &[Vec<f64>], reference: &[f64]) -> f64 {
    // The staircase of those so far: x grows, y falls.
    let mut steps: Vec<(f64, f64)> = Vec::new();
    let (mut area, mut sum) = (0.0, 0.0);
    for (index, point) in points.iter().enumerate() {
        area += lower(&mut steps, (point[0], point[1]), reference);
        let next = points.get(index + 1).map_or(reference[2], |next| next[2]);
        sum += area * (next - point[2]);
    }
    sum
}

/// Adds a point to a staircase, and gives the area that only it dominates.
fn lower(steps: &mut Vec<(f64, f64)>, (x, y): (f64, f64), reference: &[f64]) -> f64 {
    let at = steps.partition_point(|step| step.0 < x);
    let covered_before = at > 0 && steps[at - 1].1 <= y;
    let covered_at = steps.get(at).is_some_and(|step| step.0 == x && step.1 <= y);
    if covered_before || covered_at {
        return 0.0;
    }
    let beaten = steps[at..].partition_point(|step| step.1 >= y);
    let mut height = if at > 0 {
        steps[at - 1].1
    } else {
        reference[1]
    };
    let (mut left, mut area) = (x, 0.0);
    for &(step_x, step_y) in &steps[at..at + beaten] {
        area += (step_x - left) * (height - y);
        (left, height) = (step_x, step_y);
    }
    let right = steps.get(at + beaten).map_or(reference[0], |step| step.0);
    area += (right - left) * (height - y);
    steps.splice(at..at + beaten, [(x, y)]);
    area
}

/// Four objectives or more: each point adds what the points after it do not dominate.
fn exclusive_volumes(points: &[Vec<f64>], reference: &[f64]) -> f64 {
    let mut sum = 0.0;
    for (index, point) in points.iter().enumerate() {
        let inclusive: f64 = point
            .iter()
            .zip(reference)
            .map(|(value, limit)| limit - value)
            .product();
        // Each later point moved up to where it overlaps with this one.
        let limited: Vec<f64> = points[index + 1..]
            .iter()
            .flat_map(|other| other.iter().zip(point).map(|(a, b)| a.max(*b)))
            .collect();
        sum += inclusive - volume(first_front(&limited, reference.len()), reference);
    }
    sum
}

/// The distinct non-dominated rows; rows that share a number add nothing to those that beat them.
fn first_front(points: &[f64], objectives: usize) -> Vec<Vec<f64>> {
    let ranks = ranks_of_rows(points, objectives);
    let mut front: Vec<Vec<f64>> = points
        .chunks_exact(objectives)
        .zip(ranks)
        .filter(|(_, rank)| *rank == 0)
        .map(|(row, _)| row.to_vec())
        .collect();
    front.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    front.dedup();
    front
}
