use crate::Error;
use crate::error::row_count;
use crate::sorting::ranks_of_rows;

/// Returns the hypervolume: the volume of the region that `points` dominate and that dominates
/// `reference`.
///
/// `points` holds one row of minimised objectives per point; `reference` has one value per objective.
/// A point that is not better than `reference` in every objective contributes nothing, and neither
/// does one with a NaN; -infinity makes the volume infinite. With two or three objectives a sweep takes
/// little more than O(N log N). With more, exclusive volumes (WFG: While, Bradstreet and Barone 2012)
/// take time exponential in the number of objectives in the worst case.
///
/// ```
/// let front = [1.0, 2.0, 2.0, 1.0];
/// assert_eq!(naschain_nsga::hypervolume(&front, &[3.0, 3.0])?, 3.0);
/// # Ok::<(), naschain_nsga::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] if there are no objectives or the last row is incomplete, [`Error::NotFinite`] if
/// the reference point has a NaN or an infinity.
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

/// As [`hypervolume`], for complete rows and a finite reference point.
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
        // As `volume`, without a vector per point.
        let mut pairs: Vec<(f64, f64)> = inside.map(|row| (row[0], row[1])).collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        return staircase_area(pairs.into_iter(), reference);
    }
    volume(inside.map(<[f64]>::to_vec).collect(), reference)
}

/// The volume of points that are all better than `reference` in every objective.
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
            // Starting with the worst last objective keeps the limited sets small.
            points.sort_by(|a, b| b[last].total_cmp(&a[last]));
            exclusive_volumes(&points, reference)
        }
    }
}

/// The area dominated by points that are sorted by their first objective.
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

/// Three objectives: the points are sorted by the third one. The area that the points so far dominate
/// in the first two is multiplied by the distance to the next point.
fn sweep(points: &[Vec<f64>], reference: &[f64]) -> f64 {
    // The non-dominated points so far: x increases, y decreases.
    let mut steps: Vec<(f64, f64)> = Vec::new();
    let (mut area, mut sum) = (0.0, 0.0);
    for (index, point) in points.iter().enumerate() {
        area += lower(&mut steps, (point[0], point[1]), reference);
        let next = points.get(index + 1).map_or(reference[2], |next| next[2]);
        sum += area * (next - point[2]);
    }
    sum
}

/// Adds a point to a staircase and returns the area that it alone dominates.
fn lower(steps: &mut Vec<(f64, f64)>, (x, y): (f64, f64), reference: &[f64]) -> f64 {
    let at = steps.partition_point(|step| step.0 < x);
    let covered_before = at > 0 && steps[at - 1].1 <= y;
    let covered_at = steps.get(at).is_some_and(|step| step.0 == x && step.1 <= y);
    if covered_before || covered_at {
        return 0.0;
    }
    let dominated = steps[at..].partition_point(|step| step.1 >= y);
    let mut height = if at > 0 {
        steps[at - 1].1
    } else {
        reference[1]
    };
    let (mut left, mut area) = (x, 0.0);
    for &(step_x, step_y) in &steps[at..at + dominated] {
        area += (step_x - left) * (height - y);
        (left, height) = (step_x, step_y);
    }
    let right = steps
        .get(at + dominated)
        .map_or(reference[0], |step| step.0);
    area += (right - left) * (height - y);
    steps.splice(at..at + dominated, [(x, y)]);
    area
}

/// Four objectives or more: each point adds the volume that the points after it do not dominate.
fn exclusive_volumes(points: &[Vec<f64>], reference: &[f64]) -> f64 {
    let mut sum = 0.0;
    for (index, point) in points.iter().enumerate() {
        let inclusive: f64 = point
            .iter()
            .zip(reference)
            .map(|(value, limit)| limit - value)
            .product();
        // The overlap of each later point with this one.
        let limited: Vec<f64> = points[index + 1..]
            .iter()
            .flat_map(|other| other.iter().zip(point).map(|(a, b)| a.max(*b)))
            .collect();
        sum += inclusive - volume(first_front(&limited, reference.len()), reference);
    }
    sum
}

/// The distinct non-dominated rows; a weakly dominated row adds no volume.
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
