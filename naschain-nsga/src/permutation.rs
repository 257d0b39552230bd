//! Variation of permutations of the numbers from 0.

use naschain_core::Stream;

/// Order crossover (Davis 1985): each child keeps a random slice of one parent in place and takes the
/// other items, beginning after the slice, in the order of the other parent.
pub(crate) fn order_crossover(one: &mut Vec<u32>, other: &mut Vec<u32>, stream: &mut Stream) {
    if one.len() < 2 {
        return;
    }
    let (first, second) = stream.two_indices(one.len());
    let second = second + usize::from(second >= first);
    let (from, to) = (first.min(second), first.max(second));
    let child = ordered_child(one, other, from, to);
    *other = ordered_child(other, one, from, to);
    *one = child;
}

/// Keeps `kept[from..=to]` in place.
fn ordered_child(kept: &[u32], order: &[u32], from: usize, to: usize) -> Vec<u32> {
    let len = kept.len();
    let mut is_kept = vec![false; len];
    kept[from..=to]
        .iter()
        .for_each(|&item| is_kept[item as usize] = true);
    let mut child = kept.to_vec();
    let mut at = (to + 1) % len;
    for step in 0..len {
        let item = order[(to + 1 + step) % len];
        if !is_kept[item as usize] {
            child[at] = item;
            at = (at + 1) % len;
        }
    }
    child
}

/// Swaps two items, or reverses the slice between them, with equal probability.
pub(crate) fn swap_or_invert(items: &mut [u32], stream: &mut Stream) {
    if items.len() < 2 {
        return;
    }
    let (first, second) = stream.two_indices(items.len());
    let second = second + usize::from(second >= first);
    if stream.chance(0.5) {
        items.swap(first, second);
    } else {
        items[first.min(second)..=first.max(second)].reverse();
    }
}

/// The number of permutations, if it fits.
pub(crate) fn count(len: usize) -> Option<u64> {
    (1..=len as u64).try_fold(1u64, |product, factor| product.checked_mul(factor))
}

/// Permutation number `index` in lexicographic order; `index` is below their number.
pub(crate) fn nth(len: usize, mut index: u64) -> Vec<u32> {
    let mut left: Vec<u32> = (0..len as u32).collect();
    let mut items = Vec::with_capacity(len);
    while !left.is_empty() {
        let following = count(left.len() - 1).unwrap_or(u64::MAX);
        let at = (index / following) as usize;
        index %= following;
        items.push(left.remove(at.min(left.len() - 1)));
    }
    items
}

/// Whether each number below `items.len()` occurs once.
pub(crate) fn is_permutation(items: &[u32]) -> bool {
    let mut seen = vec![false; items.len()];
    items.iter().all(|&item| {
        let place = seen.get_mut(item as usize);
        place.is_some_and(|seen| !std::mem::replace(seen, true))
    })
}

/// Inputs of a linear model: the position of each item between 0 and 1 and, of short permutations,
/// whether one item directly precedes another, for each pair.
pub(crate) fn features(items: &[u32], values: &mut Vec<f64>) {
    let len = items.len();
    let start = values.len();
    values.resize(start + len, 0.0);
    let last = (len - 1).max(1) as f64;
    for (position, &item) in items.iter().enumerate() {
        values[start + item as usize] = position as f64 / last;
    }
    if len <= MAX_PAIRED {
        let start = values.len();
        values.resize(start + len * len, 0.0);
        for pair in items.windows(2) {
            values[start + pair[0] as usize * len + pair[1] as usize] = 1.0;
        }
    }
}

/// Maximum number of items of a permutation whose pairs are inputs of a model.
const MAX_PAIRED: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use naschain_core::Purpose;
    use proptest::prelude::*;

    #[test]
    fn order_crossover_as_published() {
        // Davis's scheme with the slice of places 3 to 5.
        let one = [0, 1, 2, 3, 4, 5, 6, 7];
        let other = [1, 3, 5, 7, 6, 4, 2, 0];
        assert_eq!(ordered_child(&one, &other, 3, 5), [1, 7, 6, 3, 4, 5, 2, 0]);
    }

    proptest! {
        #[test]
        fn variation_gives_permutations(len in 1usize..30, seed: u64) {
            let mut stream = Stream::new(seed, Purpose::Simulation, 0, 0);
            let random = |stream: &mut Stream| -> Vec<u32> {
                stream.permutation(len).into_iter().map(|item| item as u32).collect()
            };
            let (mut one, mut other) = (random(&mut stream), random(&mut stream));
            order_crossover(&mut one, &mut other, &mut stream);
            prop_assert!(is_permutation(&one) && is_permutation(&other));
            let before = one.clone();
            swap_or_invert(&mut one, &mut stream);
            prop_assert!(is_permutation(&one));
            prop_assert_eq!(one == before, len == 1);
        }
    }

    #[test]
    fn permutations_are_enumerated_in_order() {
        let all: Vec<Vec<u32>> = (0..120).map(|index| nth(5, index)).collect();
        assert!(all.is_sorted_by(|a, b| a < b) && all.iter().all(|one| is_permutation(one)));
        assert_eq!(
            (count(5), count(20).is_some(), count(21)),
            (Some(120), true, None)
        );
    }

    #[test]
    fn repeated_and_missing_items_are_no_permutation() {
        assert!(is_permutation(&[2, 0, 1]));
        assert!(!is_permutation(&[0, 0, 1]) && !is_permutation(&[0, 3, 1]));
    }
}
