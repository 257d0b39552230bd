use crate::Error;
use crate::error::row_count;

/// Sorts points into non-dominated fronts (Deb et al. 2002): for each point the number of its
/// front, 0 for the points that nobody dominates.
///
/// `points` holds one row of `objectives` numbers a point, all minimised. A point dominates another
/// when it is nowhere larger and somewhere smaller, so equal points share a front. ±infinity is
/// an ordinary value. A point with a NaN is dominated by every point without one: all such points
/// share the last front.
///
/// ```
/// // (1, 2) and (2, 1) are the front; (2, 2) is dominated by both.
/// let ranks = naschain_nsga::non_dominated_sort(&[1.0, 2.0, 2.0, 2.0, 2.0, 1.0], 2)?;
/// assert_eq!(ranks, [0, 1, 0]);
/// # Ok::<(), naschain_nsga::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] when there are no objectives or the last row is not whole.
pub fn non_dominated_sort(points: &[f64], objectives: usize) -> Result<Vec<u32>, Error> {
    row_count("points", points, objectives)?;
    let rows: Vec<&[f64]> = points.chunks_exact(objectives).collect();
    let mut order: Vec<usize> = (0..rows.len())
        .filter(|&index| !rows[index].iter().any(|value| value.is_nan()))
        .collect();
    // Whoever dominates a point comes before it in this order.
    order.sort_by(|&a, &b| compare_rows(rows[a], rows[b]));
    let mut fronts: Vec<Vec<usize>> = Vec::new();
    let mut ranks = vec![u32::MAX; rows.len()];
    for &index in &order {
        // If no member of a front dominates the point, no member of a later front does.
        let rank = fronts.partition_point(|front| {
            front
                .iter()
                .rev()
                .any(|&member| dominates(rows[member], rows[index]))
        });
        if rank == fronts.len() {
            fronts.push(Vec::new());
        }
        fronts[rank].push(index);
        ranks[index] = rank as u32;
    }
    for rank in ranks.iter_mut().filter(|rank| **rank == u32::MAX) {
        *rank = fronts.len() as u32;
    }
    Ok(ranks)
}

/// Whether `a` is nowhere larger than `b` and somewhere smaller.
pub(crate) fn dominates(a: &[f64], b: &[f64]) -> bool {
    let mut smaller = false;
    for (x, y) in a.iter().zip(b) {
        if x > y || x.is_nan() || y.is_nan() {
            return false;
        }
        smaller |= x < y;
    }
    smaller
}

/// Lexicographic order with -0 equal to 0; NaN does not occur.
fn compare_rows(a: &[f64], b: &[f64]) -> std::cmp::Ordering {
    a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal)
}
