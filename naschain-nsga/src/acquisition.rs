//! The acquisition function: which predicted row would enlarge the front's hypervolume most.

use crate::hypervolume::volume_of_rows;

/// The worst scaled value that is still distinguished, as a multiple of the distance from the best
/// outcome to the median: a row that is bad in one objective may be worth it for another.
pub(crate) const MAX_SCALED: f64 = 3.0;

/// Scales each objective so that the best outcome is 0 and the worst is 1. Outcomes far worse than
/// most are left out of the range, since the others would look equal next to them.
pub(crate) struct Ranges {
    sides: Vec<(f64, f64)>,
}

impl Ranges {
    pub(crate) fn around(rows: &[&[f64]]) -> Self {
        let width = rows.first().map_or(0, |row| row.len());
        let side = |at: usize| {
            let mut sorted: Vec<f64> = rows.iter().map(|row| row[at]).collect();
            sorted.sort_by(f64::total_cmp);
            let (best, median) = (sorted[0], sorted[sorted.len() / 2]);
            let range = sorted[sorted.len() - 1] - best;
            let usual = MAX_SCALED * (median - best);
            (best, if usual > 0.0 { range.min(usual) } else { range })
        };
        Ranges {
            sides: (0..width).map(side).collect(),
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
    pub(crate) fn new(front: Vec<f64>, rows: Vec<Vec<f64>>) -> Self {
        let width = rows.first().map_or(1, Vec::len);
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

    /// Returns the index of the row that enlarges the hypervolume most or, if none does, of the one
    /// that comes nearest to doing so. The row moves to the front and the last row takes its index.
    /// There must be at least one row.
    pub(crate) fn take_best(&mut self) -> usize {
        let place = self.best();
        let row = self.rows.swap_remove(place);
        self.shortfalls.swap_remove(place);
        for (other, so_far) in self.rows.iter().zip(&mut self.shortfalls) {
            *so_far = so_far.max(shortfall(other, &row));
        }
        self.front.extend(row);
        place
    }

    fn best(&self) -> usize {
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
