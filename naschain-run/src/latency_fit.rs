//! Fits a table of the latencies of layers.

use std::collections::BTreeMap;

use naschain_core::Layer;

use crate::error::Error;
use crate::layer_latency::{LayerGroup, LayerLatency, LayerRows, group_of, multipliers};

/// Number of parts of the cross-validation.
const FOLDS: usize = 5;
/// Least number of networks.
const ENOUGH: usize = 20;
/// Sweeps of coordinate descent. Predictions do not change any more long before.
const SWEEPS: usize = 3_000;

/// The latency of every network in picoseconds, that of its layers, and the rank correlation.
pub(crate) fn fit(
    layers: &[Vec<Layer>],
    nanoseconds: &[u64],
) -> Result<(u64, Vec<LayerLatency>, f64), Error> {
    let found = layers.len();
    if found < ENOUGH {
        return Err(Error::TooFewLatencies {
            found,
            least: ENOUGH,
        });
    }
    let mut groups: BTreeMap<LayerGroup, usize> = BTreeMap::new();
    for layer in layers.iter().flatten() {
        let next = groups.len();
        groups.entry(group_of(layer)).or_insert(next);
    }
    let rows: Vec<Vec<f64>> = layers.iter().map(|layers| row(layers, &groups)).collect();
    let latencies: Vec<f64> = nanoseconds.iter().map(|ns| (*ns).max(1) as f64).collect();
    let mut predicted = vec![0.0; found];
    for fold in 0..FOLDS {
        let others: Vec<usize> = (0..found).filter(|at| at % FOLDS != fold).collect();
        let (base, table) = table(&groups, &solve(&rows, &latencies, &others));
        let rows = LayerRows::new(base, &table);
        for at in (fold..found).step_by(FOLDS) {
            // A kind that no other network has cannot be predicted, and counts as 0.
            predicted[at] = rows.predicted_us(&layers[at]).unwrap_or(0) as f64;
        }
    }
    let all: Vec<usize> = (0..found).collect();
    let (base, rows) = table(&groups, &solve(&rows, &latencies, &all));
    Ok((base, rows, rank_correlation(&predicted, &latencies)))
}

/// For the base and for each group what its coefficients are multiplied by.
fn row(layers: &[Layer], groups: &BTreeMap<LayerGroup, usize>) -> Vec<f64> {
    let mut row = vec![0.0; 1 + LayerLatency::COEFFICIENTS * groups.len()];
    row[0] = 1.0;
    for layer in layers {
        let first = 1 + LayerLatency::COEFFICIENTS * groups[&group_of(layer)];
        for (sum, multiplier) in row[first..].iter_mut().zip(multipliers(layer)) {
            *sum += multiplier as f64 / 1000.0;
        }
    }
    row
}

/// The base and the rows of the table with these nanoseconds.
fn table(groups: &BTreeMap<LayerGroup, usize>, solution: &[f64]) -> (u64, Vec<LayerLatency>) {
    let picoseconds = |at: usize| (1000.0 * solution[at]).round() as u64;
    let rows = groups.iter().map(|(group, number)| {
        let at = 1 + LayerLatency::COEFFICIENTS * number;
        LayerLatency::new(group.clone(), [0, 1, 2].map(|next| picoseconds(at + next)))
    });
    (picoseconds(0), rows.collect())
}

/// Non-negative least squares of relative errors over some networks, by coordinate descent.
fn solve(rows: &[Vec<f64>], latencies: &[f64], used: &[usize]) -> Vec<f64> {
    let columns = rows[0].len();
    let mut matrix = vec![vec![0.0; columns]; columns];
    let mut target = vec![0.0; columns];
    for at in used {
        // Divided by the latency: an error of 1 % counts the same for small and large networks.
        let row: Vec<f64> = rows[*at]
            .iter()
            .map(|value| value / latencies[*at])
            .collect();
        for (i, value) in row.iter().enumerate().filter(|(_, value)| **value > 0.0) {
            target[i] += value;
            for (sum, other) in matrix[i].iter_mut().zip(&row) {
                *sum += value * other;
            }
        }
    }
    let mut solution = vec![0.0; columns];
    for _ in 0..SWEEPS {
        for i in 0..columns {
            if matrix[i][i] <= 0.0 {
                continue;
            }
            let product: f64 = matrix[i].iter().zip(&solution).map(|(a, b)| a * b).sum();
            let next: f64 = solution[i] + (target[i] - product) / matrix[i][i];
            solution[i] = next.max(0.0);
        }
    }
    solution
}

/// Spearman's rank correlation; equal values share the mean of their ranks.
pub(crate) fn rank_correlation(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() as f64 - 1.0) / 2.0;
    let product = |x: &[f64], y: &[f64]| -> f64 {
        x.iter().zip(y).map(|(x, y)| (x - mean) * (y - mean)).sum()
    };
    let spread = (product(&a, &a) * product(&b, &b)).sqrt();
    if spread > 0.0 {
        product(&a, &b) / spread
    } else {
        0.0
    }
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let rank = |value: &f64| {
        let below = values.iter().filter(|other| *other < value).count();
        let equal = values.iter().filter(|other| *other == value).count();
        below as f64 + (equal as f64 - 1.0) / 2.0
    };
    values.iter().map(rank).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_of_equal_values_are_shared() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 0.5]), [2.5, 1.0, 2.5, 0.0]);
        let rising = [1.0, 2.0, 3.0, 9.0];
        assert!((rank_correlation(&rising, &[0.1, 0.2, 5.0, 6.0]) - 1.0).abs() < 1e-12);
        assert!((rank_correlation(&rising, &[4.0, 3.0, 2.0, 1.0]) + 1.0).abs() < 1e-12);
        assert_eq!(rank_correlation(&rising, &[1.0; 4]), 0.0);
        // By SciPy 1.17.1: scipy.stats.spearmanr([1, 2, 2, 5, 4], [3, 1, 2, 5, 9]).
        let found = rank_correlation(&[1.0, 2.0, 2.0, 5.0, 4.0], &[3.0, 1.0, 2.0, 5.0, 9.0]);
        assert!((found - 0.564_288_093_646_834_7).abs() < 1e-12, "{found}");
    }

    #[test]
    fn no_layer_takes_a_negative_time() {
        // The second column would be negative in an ordinary fit.
        let rows = vec![vec![1.0, 0.0], vec![1.0, 1.0], vec![1.0, 2.0]];
        let solution = solve(&rows, &[3.0, 2.0, 1.0], &[0, 1, 2]);
        assert_eq!(solution[1], 0.0);
        assert!(solution[0] > 1.0 && solution[0] < 3.0, "{solution:?}");
    }
}
