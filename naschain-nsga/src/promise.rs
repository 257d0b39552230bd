//! Which of many predicted rows promises to enlarge a front's hypervolume most.

use crate::hypervolume::volume_of_rows;

/// How much worse than the best outcome a prediction may be, and what still counts for hypervolume, in
/// ways from the best to the median: what looks bad may be worth it for another objective.
pub(crate) const WORST: f64 = 3.0;

/// The ranges of all outcomes but those far worse than most, beside which all others would look equal;
/// 0 is the best and 1 the worst in each objective.
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
            let usual = WORST * (median - best);
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

/// A front and the rows that may join it, all scaled.
pub(crate) struct Promise {
    width: usize,
    /// The points, row after row.
    front: Vec<f64>,
    rows: Vec<Vec<f64>>,
    /// Of each row by how much all of its objectives would have to fall for no point of the front to
    /// be as good in all of them; below 0 by how much they could rise.
    shortfalls: Vec<f64>,
}

impl Promise {
    pub(crate) fn new(front: Vec<f64>, rows: Vec<Vec<f64>>) -> Self {
        let width = rows.first().map_or(1, Vec::len);
        let of_row = |row: &Vec<f64>| {
            let points = front.chunks_exact(width);
            points
                .map(|point| shortfall(row, point))
                .fold(f64::NEG_INFINITY, f64::max)
        };
        Promise {
            width,
            shortfalls: rows.iter().map(of_row).collect(),
            front,
            rows,
        }
    }

    /// The place of the row that enlarges the hypervolume most, and if none does, of the one that is
    /// nearest to doing so; there is at least one. It joins the front, and the last row takes its place.
    pub(crate) fn take_largest(&mut self) -> usize {
        let place = self.largest();
        let row = self.rows.swap_remove(place);
        self.shortfalls.swap_remove(place);
        for (other, so_far) in self.rows.iter().zip(&mut self.shortfalls) {
            *so_far = so_far.max(shortfall(other, &row));
        }
        self.front.extend(row);
        place
    }

    fn largest(&self) -> usize {
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

    /// The volume before the reference point that only `row` dominates.
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

/// By how much a row would have to fall for this point not to be as good in all objectives.
fn shortfall(row: &[f64], point: &[f64]) -> f64 {
    let ways = row.iter().zip(point).map(|(value, other)| value - other);
    ways.fold(f64::INFINITY, f64::min)
}

/// Genomes for which the gain of hypervolume is computed, those nearest to the front.
const SHORTLIST: usize = 64;

/// Beyond the worst outcome, so that the ends of the front count.
const REFERENCE: f64 = 1.25;
