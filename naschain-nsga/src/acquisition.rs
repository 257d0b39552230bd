//! The acquisition function: which predicted row would enlarge the front's hypervolume most.

use crate::hypervolume::volume_of_rows;

/// The worst scaled value that is still distinguished, as a multiple of the distance from the best
/// outcome to the median: a row that is bad in one objective may be worth it for another.
pub(crate) const MAX_SCALED: f64 = 3.0;

/// Scales each objective so that the best value of its range is 0 and the worst is 1.
pub(crate) struct Ranges {
    /// The best value of each objective, and the length of its range.
    sides: Vec<(f64, f64)>,
}

impl Ranges {
    /// The ranges of these rows, up to [`MAX_SCALED`] times the distance from the best to the median of
    /// `usual`: outcomes far worse than most are left out, since the others would look equal next to them.
    /// There is at least one row of each.
    pub(crate) fn around(rows: &[&[f64]], usual: &[&[f64]]) -> Self {
        let side = |at: usize| {
            let (best, worst) = extremes(rows, at);
            let mut sorted: Vec<f64> = usual.iter().map(|row| row[at]).collect();
            sorted.sort_by(f64::total_cmp);
            let median = sorted[sorted.len() / 2];
            let (range, limit) = (worst - best, MAX_SCALED * (median - best));
            (best, if limit > 0.0 { range.min(limit) } else { range })
        };
        let width = rows.first().map_or(0, |row| row.len());
        Ranges {
            sides: (0..width).map(side).collect(),
        }
    }

    /// The ranges of the rows of a front, or these ones of objectives in which it has only one value.
    pub(crate) fn of_front(front: &[&[f64]], otherwise: &Ranges) -> Self {
        let sides = otherwise.sides.iter().enumerate().map(|(at, other)| {
            let (best, worst) = extremes(front, at);
            if worst > best {
                (best, worst - best)
            } else {
                *other
            }
        });
        Ranges {
            sides: sides.collect(),
        }
    }

    pub(crate) fn scaled(&self, row: &[f64]) -> Vec<f64> {
        let cells = row.iter().zip(&self.sides);
        cells
            .map(|(value, (low, range))| {
                if *range > 0.0 {
                    (value - low) / range
                } else {
                    0.0
                }
            })
            .collect()
    }
}

/// The best and the worst value of an objective.
fn extremes(rows: &[&[f64]], at: usize) -> (f64, f64) {
    // By total order, in which the two zeros differ: the result has the same bits on every machine.
    let column = || rows.iter().map(|row| row[at]);
    let best = column().min_by(f64::total_cmp).unwrap_or(f64::INFINITY);
    let worst = column().max_by(f64::total_cmp).unwrap_or(f64::NEG_INFINITY);
    (best, worst)
}

/// A front and the rows to choose from, all scaled.
pub(crate) struct Acquisition {
    width: usize,
    /// The points, one row after the other.
    front: Vec<f64>,
    rows: Vec<Vec<f64>>,
    /// For each row, the amount by which all of its objectives would have to fall for no point of the
    /// front to weakly dominate it; negative if they could rise.
    shortfalls: Vec<f64>,
}

impl Acquisition {
    /// Of a front and rows that are not scaled yet.
    pub(crate) fn new(ranges: &Ranges, front: &[Vec<f64>], rows: &[Vec<f64>]) -> Self {
        let width = rows.first().map_or(1, Vec::len);
        let front: Vec<f64> = front.iter().flat_map(|row| ranges.scaled(row)).collect();
        let rows: Vec<Vec<f64>> = rows.iter().map(|row| ranges.scaled(row)).collect();
        let of_row = |row: &Vec<f64>| {
            let points = front.chunks_exact(width);
            points
                .map(|point| shortfall(row, point))
                .fold(f64::NEG_INFINITY, f64::max)
        };
        Acquisition {
            width,
            shortfalls: rows.iter().map(of_row).collect(),
            front,
            rows,
        }
    }

    /// Moves a row to the front; the last row takes its index.
    pub(crate) fn take(&mut self, place: usize) {
        let row = self.rows.swap_remove(place);
        self.shortfalls.swap_remove(place);
        for (other, so_far) in self.rows.iter().zip(&mut self.shortfalls) {
            *so_far = so_far.max(shortfall(other, &row));
        }
        self.front.extend(row);
    }

    /// The index of the row that enlarges the hypervolume most or, if none does, of the one that comes
    /// nearest to doing so. There must be at least one row.
    pub(crate) fn best(&self) -> usize {
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        let nearer = |a: usize, b: usize| {
            let shortfalls = self.shortfalls[a].total_cmp(&self.shortfalls[b]);
            shortfalls.then(a.cmp(&b))
        };
        if order.len() > SHORTLIST {
            order.select_nth_unstable_by(SHORTLIST, |a, b| nearer(*a, *b));
            order.truncate(SHORTLIST);
        }
        order.sort_by(|a, b| nearer(*a, *b));
        let mut best = (0.0, order[0]);
        if self.width <= 3 {
            for at in order {
                let gain = self.gain(&self.rows[at]);
                if gain > best.0 {
                    best = (gain, at);
                }
            }
        }
        best.1
    }

    /// The hypervolume that `row` alone would add.
    fn gain(&self, row: &[f64]) -> f64 {
        let ways = row.iter().map(|value| (REFERENCE - value).max(0.0));
        let alone: f64 = ways.product();
        if alone == 0.0 {
            return 0.0;
        }
        let points = self.front.chunks_exact(self.width);
        let limited = points.flat_map(|point| point.iter().zip(row).map(|(a, b)| a.max(*b)));
        let limited: Vec<f64> = limited.collect();
        alone - volume_of_rows(&limited, &vec![REFERENCE; self.width])
    }
}

/// The amount by which all objectives of a row would have to fall for this point not to weakly
/// dominate it.
fn shortfall(row: &[f64], point: &[f64]) -> f64 {
    let ways = row.iter().zip(point).map(|(value, other)| value - other);
    ways.fold(f64::INFINITY, f64::min)
}

/// Number of rows nearest to the front for which the gain of hypervolume is computed.
const SHORTLIST: usize = 64;

/// The reference point in each objective, beyond the worst outcome so that the extreme points of the
/// front count.
const REFERENCE: f64 = 1.25;

#[cfg(test)]
mod tests {
    use super::*;

    const INITIAL: [&[f64]; 3] = [&[0.0, 5.0], &[1.0, 6.0], &[2.0, 7.0]];

    #[test]
    fn outcomes_far_worse_than_the_usual_ones_do_not_widen_a_range() {
        let rows = [&INITIAL[..], &[&[1000.0, 8.0]]].concat();
        let ranges = Ranges::around(&rows, &INITIAL);
        // The first objective ends at three times its median, the second at its worst value.
        assert_eq!(ranges.sides, [(0.0, 3.0), (5.0, 3.0)]);
        assert_eq!(ranges.scaled(&[3.0, 8.0]), [1.0, 1.0]);
        // Nor do they become smaller when candidates gather near the best ones.
        let gathered = [&rows[..], &[&[0.01, 5.01][..]; 50]].concat();
        assert_eq!(Ranges::around(&gathered, &INITIAL).sides, ranges.sides);
    }

    #[test]
    fn a_front_has_ranges_of_its_own_where_it_has_several_values() {
        let of_space = Ranges::around(&INITIAL, &INITIAL);
        let front: [&[f64]; 2] = [&[0.0, 5.5], &[0.5, 5.5]];
        assert_eq!(
            Ranges::of_front(&front, &of_space).sides,
            [(0.0, 0.5), of_space.sides[1]]
        );
    }

    #[test]
    fn a_row_that_was_taken_leaves_nothing_to_gain_from_equal_ones() {
        let ranges = Ranges::around(&INITIAL, &INITIAL);
        let front = [vec![2.0, 5.0], vec![0.0, 7.0]];
        let rows = [
            vec![1.0, 5.5],
            vec![1.0, 5.5],
            vec![1.5, 5.25],
            vec![2.0, 7.0],
        ];
        let mut acquisition = Acquisition::new(&ranges, &front, &rows);
        assert_eq!(acquisition.best(), 0);
        acquisition.take(0);
        // The last row is now the first.
        assert_eq!(acquisition.rows[0], [1.0, 1.0]);
        assert_eq!(acquisition.best(), 2);
    }
}
