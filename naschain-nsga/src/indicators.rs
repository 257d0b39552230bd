use crate::Error;
use crate::error::row_count;

/// Returns the inverted generational distance: the mean, over the points of `reference`, of the
/// Euclidean distance to the nearest point of `front` (Coello and Reyes 2004, not squared).
///
/// Both hold one row of `objectives` values per point. The distance to an empty front is infinite.
///
/// # Errors
/// [`Error::Shape`] if there are no objectives, no reference points, or an incomplete row.
pub fn igd(front: &[f64], reference: &[f64], objectives: usize) -> Result<f64, Error> {
    mean_nearest(front, reference, objectives, |found, wanted| found - wanted)
}

/// Returns IGD+ (Ishibuchi et al. 2015): as [`igd`], but an objective counts only if the front's point is
/// worse (larger) than the reference point in it.
///
/// # Errors
/// As [`igd`].
pub fn igd_plus(front: &[f64], reference: &[f64], objectives: usize) -> Result<f64, Error> {
    mean_nearest(front, reference, objectives, |found, wanted| {
        (found - wanted).max(0.0)
    })
}

fn mean_nearest(
    front: &[f64],
    reference: &[f64],
    objectives: usize,
    difference: impl Fn(f64, f64) -> f64,
) -> Result<f64, Error> {
    row_count("front", front, objectives)?;
    let wanted = row_count("reference", reference, objectives)?;
    if wanted == 0 {
        return Err(Error::Shape {
            what: "reference",
            len: 0,
            objectives,
            expected: "at least one row",
        });
    }
    let distance = |found: &[f64], wanted: &[f64]| {
        let pairs = found.iter().zip(wanted);
        pairs
            .map(|(&found, &wanted)| difference(found, wanted))
            .map(|part| part * part)
            .sum::<f64>()
            .sqrt()
    };
    let nearest = |wanted: &[f64]| {
        let distances = front
            .chunks_exact(objectives)
            .map(|found| distance(found, wanted));
        distances.fold(f64::INFINITY, f64::min)
    };
    let sum: f64 = reference.chunks_exact(objectives).map(nearest).sum();
    Ok(sum / wanted as f64)
}
