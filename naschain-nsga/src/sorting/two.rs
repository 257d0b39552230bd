use super::lexicographic;

/// Ranks with two objectives (Jensen 2003): in lexicographic order, a point is dominated by a front
/// exactly when the front's smallest second number so far, that of its last point, is not larger.
pub(super) fn ranks(keys: &[u64]) -> Vec<u32> {
    let mut ranks = vec![0; keys.len() / 2];
    // The second number of each front's last point; it grows from front to front.
    let mut lasts: Vec<u64> = Vec::new();
    let (mut before, mut rank) = (None, 0);
    for (first, place) in lexicographic(keys, 2) {
        let place = place as usize;
        let point = [first, keys[2 * place + 1]];
        if before != Some(point) {
            rank = lasts.partition_point(|&last| last <= point[1]);
            match lasts.get_mut(rank) {
                Some(last) => *last = point[1],
                None => lasts.push(point[1]),
            }
            before = Some(point);
        }
        ranks[place] = rank as u32;
    }
    ranks
}
