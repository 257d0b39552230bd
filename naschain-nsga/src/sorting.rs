mod bitsets;
mod pairwise;
mod three;
mod two;

pub(crate) use two::FrontsOfPairs;

use crate::Error;
use crate::error::row_count;

/// Sorts points into non-dominated fronts (Deb et al. 2002). Returns the number of each point's front, 0
/// for the points that no other point dominates.
///
/// `points` holds one row of `objectives` values per point, all minimised. A point dominates another if
/// it is larger in no objective and smaller in at least one, so equal points share a front. ±infinity
/// is an ordinary value. A point with a NaN is dominated by every point without one; all such points
/// share the last front.
///
/// For N points in F fronts, one or two objectives take O(N log N) (Jensen 2003). Three take
/// O(N log F log N) comparisons, and an insertion moves at most 255 points (and, once per 128 points,
/// the list of such chunks). More take O(N²) operations on single bits. Memory is O(N).
///
/// ```
/// // (1, 2) and (2, 1) are the front; (2, 2) is dominated by both.
/// let ranks = naschain_nsga::non_dominated_sort(&[1.0, 2.0, 2.0, 2.0, 2.0, 1.0], 2)?;
/// assert_eq!(ranks, [0, 1, 0]);
/// # Ok::<(), naschain_nsga::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] if there are no objectives or the last row is incomplete.
pub fn non_dominated_sort(points: &[f64], objectives: usize) -> Result<Vec<u32>, Error> {
    row_count("points", points, objectives)?;
    Ok(ranks_of_rows(points, objectives))
}

/// As [`non_dominated_sort`], for complete rows.
pub(crate) fn ranks_of_rows(points: &[f64], objectives: usize) -> Vec<u32> {
    if !points.iter().any(|value| value.is_nan()) {
        return ranks_without_nan(points, objectives);
    }
    let rows = points.chunks_exact(objectives);
    let whole: Vec<bool> = rows
        .clone()
        .map(|row| !row.iter().any(|value| value.is_nan()))
        .collect();
    let numbers: Vec<f64> = rows
        .zip(&whole)
        .filter(|(_, whole)| **whole)
        .flat_map(|(row, _)| row.iter().copied())
        .collect();
    let mut ranks = ranks_without_nan(&numbers, objectives).into_iter();
    let last = ranks.clone().max().map_or(0, |rank| rank + 1);
    let rank = |whole: bool| {
        if whole {
            ranks.next().unwrap_or(last)
        } else {
            last
        }
    };
    whole.into_iter().map(rank).collect()
}

fn ranks_without_nan(points: &[f64], objectives: usize) -> Vec<u32> {
    let keys: Vec<u64> = points.iter().copied().map(monotone_key).collect();
    let of_few_points = match objectives {
        3 => pairwise::ranks::<3>(points, &keys),
        4 => pairwise::ranks::<4>(points, &keys),
        5 => pairwise::ranks::<5>(points, &keys),
        _ => None,
    };
    of_few_points.unwrap_or_else(|| match objectives {
        1 => levels(keys.iter().copied()),
        2 => two::ranks(&keys),
        3 => three::ranks(&keys),
        _ => bitsets::ranks(&keys, objectives),
    })
}

/// Maps a float that is not NaN to a whole number of the same order; -0 and 0 get the same number.
pub(crate) fn monotone_key(value: f64) -> u64 {
    let bits = (value + 0.0).to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

/// The inverse of [`monotone_key`].
pub(crate) fn value_of_key(key: u64) -> f64 {
    f64::from_bits(if key & SIGN == 0 { !key } else { key ^ SIGN })
}

/// The sign bit of a float.
const SIGN: u64 = 1 << 63;

/// Returns, for each value, the number of distinct smaller values.
fn levels(values: impl Iterator<Item = u64>) -> Vec<u32> {
    let order = sorted_places(values);
    let mut levels = vec![0; order.len()];
    let mut level = 0;
    for pair in order.windows(2) {
        level += u32::from(pair[0].0 != pair[1].0);
        levels[pair[1].1 as usize] = level;
    }
    levels
}

/// The values in ascending order, each with its index.
fn sorted_places(values: impl Iterator<Item = u64>) -> Vec<(u64, u32)> {
    let mut places: Vec<(u64, u32)> = values.zip(0..).collect();
    places.sort_unstable_by_key(|(value, _)| *value);
    places
}

/// The indices of the rows of `objectives` keys in lexicographic order, each with the row's first key.
fn lexicographic(keys: &[u64], objectives: usize) -> Vec<(u64, u32)> {
    let mut order = sorted_places(keys.iter().step_by(objectives).copied());
    for tied in order.chunk_by_mut(|a, b| a.0 == b.0) {
        if tied.len() > 1 {
            sort_ties(keys, objectives, 1, tied);
        }
    }
    order
}

/// Sorts rows that are equal in all objectives before `objective` by the remaining ones.
fn sort_ties(keys: &[u64], objectives: usize, objective: usize, tied: &mut [(u64, u32)]) {
    let key = |place: u32| keys[place as usize * objectives + objective];
    tied.sort_unstable_by_key(|&(_, place)| key(place));
    if objective + 1 == objectives {
        return;
    }
    for tied in tied.chunk_by_mut(|a, b| key(a.1) == key(b.1)) {
        if tied.len() > 1 {
            sort_ties(keys, objectives, objective + 1, tied);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Whether `a` is larger than `b` in no objective and smaller in at least one.
    fn dominates(a: &[f64], b: &[f64]) -> bool {
        let mut smaller = false;
        for (x, y) in a.iter().zip(b) {
            if x > y || x.is_nan() || y.is_nan() {
                return false;
            }
            smaller |= x < y;
        }
        smaller
    }

    /// Removes, front by front, the points that no remaining point dominates.
    fn ranks_by_definition(points: &[f64], objectives: usize) -> Vec<u32> {
        let rows: Vec<&[f64]> = points.chunks_exact(objectives).collect();
        let mut ranks = vec![u32::MAX; rows.len()];
        let nan = |index: &usize| rows[*index].iter().any(|value| value.is_nan());
        let (invalid, mut left): (Vec<usize>, Vec<usize>) = (0..rows.len()).partition(nan);
        let mut rank = 0;
        while !left.is_empty() {
            let (dominated, front): (Vec<usize>, Vec<usize>) = left.iter().partition(|&&index| {
                left.iter()
                    .any(|&other| dominates(rows[other], rows[index]))
            });
            front.into_iter().for_each(|index| ranks[index] = rank);
            rank += 1;
            left = dominated;
        }
        invalid.into_iter().for_each(|index| ranks[index] = rank);
        ranks
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            12 => (0..4).prop_map(f64::from),
            6 => (0..40).prop_map(f64::from),
            6 => -1.0..1.0,
            1 => prop::sample::select(vec![
                0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, 5e-324, -5e-324,
                f64::MAX, f64::MIN,
            ]),
        ]
    }

    fn points(most: usize) -> impl Strategy<Value = (usize, Vec<f64>)> {
        (1usize..8).prop_flat_map(move |objectives| {
            let row = prop::collection::vec(value(), objectives);
            let rows = prop::collection::vec(row, 0..most);
            rows.prop_map(move |rows| (objectives, rows.concat()))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn small_clouds_match_the_definition((objectives, points) in points(40)) {
            let ranks = non_dominated_sort(&points, objectives).unwrap();
            prop_assert_eq!(ranks, ranks_by_definition(&points, objectives));
        }

        #[test]
        fn points_with_nan_come_last((objectives, mut points) in points(20), at: prop::sample::Index) {
            if !points.is_empty() {
                let at = at.index(points.len());
                points[at] = f64::NAN;
                points[at / 2] = f64::NAN;
            }
            let ranks = non_dominated_sort(&points, objectives).unwrap();
            prop_assert_eq!(ranks, ranks_by_definition(&points, objectives));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn large_clouds_match_the_definition((objectives, points) in points(900)) {
            let ranks = non_dominated_sort(&points, objectives).unwrap();
            prop_assert_eq!(ranks, ranks_by_definition(&points, objectives));
        }
    }

    /// Points (x, y, -y), which do not dominate each other, and some that are lower in both y and z, so
    /// that they dominate many consecutive steps of a staircase.
    fn long_staircases() -> impl Strategy<Value = Vec<f64>> {
        let row = (0..5000, 0..1000, prop::option::weighted(0.05, 0..300));
        let point = |(x, y, drop): (i32, i32, Option<i32>)| {
            let drop = drop.unwrap_or(0);
            [x, y - drop, -y - drop].map(f64::from)
        };
        let rows = prop::collection::vec(row.prop_map(point), 257..1200);
        rows.prop_map(|rows| rows.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn long_staircases_match_the_definition(points in long_staircases()) {
            let ranks = non_dominated_sort(&points, 3).unwrap();
            prop_assert_eq!(ranks, ranks_by_definition(&points, 3));
        }
    }

    #[test]
    fn a_long_chain_has_a_front_for_each_point() {
        for objectives in 1..7 {
            let points: Vec<f64> = (0..200)
                .flat_map(|point| vec![f64::from(point % 150); objectives])
                .collect();
            let ranks = non_dominated_sort(&points, objectives).unwrap();
            assert!(ranks.into_iter().eq((0..200).map(|point| point % 150)));
        }
    }

    #[test]
    fn keys_are_in_the_order_of_the_floats() {
        let sorted = [
            f64::NEG_INFINITY,
            f64::MIN,
            -1.0,
            -5e-324,
            0.0,
            5e-324,
            1.0,
            f64::MAX,
            f64::INFINITY,
        ];
        assert!(sorted.map(monotone_key).is_sorted_by(|a, b| a < b));
        assert_eq!(monotone_key(-0.0), monotone_key(0.0));
        assert_eq!(
            sorted.map(|value| value_of_key(monotone_key(value))),
            sorted
        );
    }

    #[test]
    fn shapes_are_checked() {
        assert!(non_dominated_sort(&[1.0, 2.0, 3.0], 2).is_err());
        assert!(non_dominated_sort(&[], 0).is_err());
        assert!(non_dominated_sort(&[], 3).unwrap().is_empty());
    }
}
