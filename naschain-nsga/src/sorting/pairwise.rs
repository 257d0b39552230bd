use super::lexicographic;

/// Maximum number of points, since all pairs are compared.
const MAX_POINTS: usize = 256;

/// Ranks of a few points with M objectives by comparison of all pairs. `None` for more than
/// [`MAX_POINTS`] points or 64 fronts.
///
/// `points` are the values of `keys`. The points are visited in lexicographic order, so that the first
/// objective need not be compared. Each point's front is one bit of a word, so that the fronts of all
/// dominators are collected without branches.
pub(super) fn ranks<const M: usize>(points: &[f64], keys: &[u64]) -> Option<Vec<u32>> {
    let len = points.len() / M;
    if len > MAX_POINTS {
        return None;
    }
    // The points visited so far, one array per objective; the first one is not used.
    let mut columns = [[0.0; MAX_POINTS]; M];
    let mut fronts = [0u64; MAX_POINTS];
    let mut ranks = vec![0; len];
    let (mut count, mut before, mut rank) = (0, None, 0);
    for (_, place) in lexicographic(keys, M) {
        let row = place as usize * M;
        let point: [f64; M] = points[row..row + M].try_into().ok()?;
        if before != Some(point) {
            let dominators = fronts_of_dominators(&columns, &fronts[..count], &point);
            rank = u64::BITS - dominators.leading_zeros();
            fronts[count] = 1u64.checked_shl(rank)?;
            for (column, value) in columns.iter_mut().zip(point) {
                column[count] = value;
            }
            count += 1;
            before = Some(point);
        }
        ranks[place as usize] = rank;
    }
    Some(ranks)
}

fn fronts_of_dominators<const M: usize>(
    columns: &[[f64; MAX_POINTS]; M],
    fronts: &[u64],
    point: &[f64; M],
) -> u64 {
    let mut found = 0;
    for (index, front) in fronts.iter().enumerate() {
        let mut smaller = true;
        for objective in 1..M {
            smaller &= columns[objective][index] <= point[objective];
        }
        found |= if smaller { *front } else { 0 };
    }
    found
}
