/// A ridge regression on standardised features with its penalty chosen by generalised cross-validation
/// (Golub, Heath and Wahba 1979). Of many features only those that correlate most with the targets are
/// used (Fan and Lv 2008), so that its cost is linear in the number of features.
pub(crate) struct Ridge {
    columns: Vec<Column>,
    weights: Vec<f64>,
    intercept: f64,
    /// The Cholesky factor of the normal equations with the penalty.
    factor: Vec<f64>,
    /// The standard deviation of the residuals.
    noise: f64,
}

/// A feature that is used.
struct Column {
    /// Its index among all features.
    at: usize,
    mean: f64,
    /// 1 / its standard deviation.
    inverse_deviation: f64,
}

impl Column {
    fn standardised(&self, features: &[f64]) -> f64 {
        (features[self.at] - self.mean) * self.inverse_deviation
    }
}

/// Maximum number of features that are used.
const MAX_FEATURES: usize = 128;

impl Ridge {
    /// Fits a model to `features`, one row per target, and `targets`, of which there is at least one.
    pub(crate) fn fit(features: &[&[f64]], targets: &[f64]) -> Self {
        let count = features.len() as f64;
        let intercept = targets.iter().sum::<f64>() / count;
        let centred: Vec<f64> = targets.iter().map(|target| target - intercept).collect();
        let columns = columns(features, &centred);
        let rows: Vec<Vec<f64>> = features
            .iter()
            .map(|row| columns.iter().map(|one| one.standardised(row)).collect())
            .collect();
        let products = Products::new(&rows, &centred, columns.len());
        let solutions = PENALTIES
            .iter()
            .filter_map(|share| products.solve(share * count));
        let best = solutions.reduce(|a, b| if b.error < a.error { b } else { a });
        let Solution {
            weights,
            factor,
            noise,
            ..
        } = best.unwrap_or_default();
        Ridge {
            columns,
            weights,
            intercept,
            factor,
            noise,
        }
    }

    /// Returns the expected target and the standard deviation of that expectation.
    pub(crate) fn predict(&self, features: &[f64]) -> (f64, f64) {
        let cells = self.columns.iter().map(|one| one.standardised(features));
        let row: Vec<f64> = cells.collect();
        let products = row.iter().zip(&self.weights).map(|(x, weight)| x * weight);
        let expected = self.intercept + products.sum::<f64>();
        let whitened = forward(&self.factor, row.len(), &row);
        let leverage: f64 = whitened.iter().map(|x| x * x).sum();
        (expected, self.noise * leverage.sqrt())
    }
}

/// The features that vary, in their order. Of more than [`MAX_FEATURES`], those that correlate most with
/// the centred targets.
fn columns(features: &[&[f64]], targets: &[f64]) -> Vec<Column> {
    let width = features.first().map_or(0, |row| row.len());
    let mut columns: Vec<Column> = (0..width).filter_map(|at| column(features, at)).collect();
    if columns.len() > MAX_FEATURES {
        let correlation = |column: &Column| {
            let rows = features.iter().zip(targets);
            let products = rows.map(|(row, target)| column.standardised(row) * target);
            products.sum::<f64>().abs()
        };
        let mut order: Vec<(f64, Column)> = columns
            .into_iter()
            .map(|column| (correlation(&column), column))
            .collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0));
        columns = order
            .into_iter()
            .take(MAX_FEATURES)
            .map(|(_, one)| one)
            .collect();
        columns.sort_by_key(|column| column.at);
    }
    columns
}

/// The solution for one penalty.
#[derive(Default)]
struct Solution {
    weights: Vec<f64>,
    factor: Vec<f64>,
    noise: f64,
    /// The generalised cross-validation error.
    error: f64,
}

/// The penalties to choose from, per row.
const PENALTIES: [f64; 6] = [1e-4, 1e-3, 1e-2, 0.1, 0.3, 1.0];

/// A feature's mean and standard deviation, or `None` if it is constant.
fn column(features: &[&[f64]], at: usize) -> Option<Column> {
    let count = features.len() as f64;
    let mean = features.iter().map(|row| row[at]).sum::<f64>() / count;
    let squares = features
        .iter()
        .map(|row| (row[at] - mean) * (row[at] - mean));
    let deviation = (squares.sum::<f64>() / count).sqrt();
    // Rounding errors give a constant feature a tiny deviation.
    let varies = deviation > 1e-12 * mean.abs();
    varies.then(|| Column {
        at,
        mean,
        inverse_deviation: 1.0 / deviation,
    })
}

/// The terms of the normal equations.
struct Products {
    count: f64,
    width: usize,
    /// The lower triangle of XᵀX in a square matrix, row by row.
    gram: Vec<f64>,
    /// Xᵀy.
    moments: Vec<f64>,
    /// yᵀy.
    total: f64,
}

impl Products {
    fn new(rows: &[Vec<f64>], targets: &[f64], width: usize) -> Self {
        let mut gram = vec![0.0; width * width];
        let mut moments = vec![0.0; width];
        for (row, target) in rows.iter().zip(targets) {
            for (i, x) in row.iter().enumerate() {
                moments[i] += x * target;
                let line = &mut gram[i * width..i * width + i + 1];
                line.iter_mut()
                    .zip(row)
                    .for_each(|(cell, other)| *cell += x * other);
            }
        }
        Products {
            count: rows.len() as f64,
            width,
            gram,
            moments,
            total: targets.iter().map(|target| target * target).sum(),
        }
    }

    fn solve(&self, penalty: f64) -> Option<Solution> {
        let factor = self.factor(penalty)?;
        let width = self.width;
        let half = forward(&factor, width, &self.moments);
        let mut weights = half;
        for i in (0..width).rev() {
            for j in i + 1..width {
                weights[i] -= factor[j * width + i] * weights[j];
            }
            weights[i] /= factor[i * width + i];
        }
        // The model's degrees of freedom are width - penalty · trace((XᵀX + penalty)⁻¹); the trace is
        // the squared norm of L⁻¹.
        let mut inverse_trace = 0.0;
        for column in 0..width {
            // The column of L⁻¹ has zeros above its diagonal.
            let mut solved = vec![0.0; column];
            solved.push(1.0 / factor[column * width + column]);
            let start = column / 4 * 4;
            for i in column + 1..width {
                let line = &factor[i * width..=i * width + i];
                let rest = dot(&line[start..i], &solved[start..]);
                solved.push((0.0 - rest) / line[i]);
            }
            inverse_trace += solved.iter().map(|x| x * x).sum::<f64>();
        }
        let freedom = self.count - 1.0 - (width as f64 - penalty * inverse_trace);
        let fitted: f64 = weights.iter().zip(&self.moments).map(|(w, m)| w * m).sum();
        let length: f64 = weights.iter().map(|w| w * w).sum();
        // |y - Xw|² = yᵀy - wᵀXᵀy - penalty |w|², by the normal equations.
        let residual = (self.total - fitted - penalty * length).max(0.0);
        (freedom > 0.0).then(|| Solution {
            weights,
            factor,
            noise: (residual / freedom).sqrt(),
            error: residual / (freedom * freedom),
        })
    }

    /// The Cholesky factor of XᵀX + penalty.
    fn factor(&self, penalty: f64) -> Option<Vec<f64>> {
        let width = self.width;
        let mut factor = self.gram.clone();
        for i in 0..width {
            factor[i * width + i] += penalty;
            for j in 0..=i {
                let (above, line) = factor.split_at(i * width);
                let line = &line[..=i];
                let other = if j < i {
                    &above[j * width..=j * width + j]
                } else {
                    line
                };
                let rest = line[j] - dot(&line[..j], &other[..j]);
                factor[i * width + j] = if i != j {
                    rest / factor[j * width + j]
                } else if rest > 0.0 {
                    rest.sqrt()
                } else {
                    return None;
                };
            }
        }
        Some(factor)
    }
}

/// The scalar product. Summing in four fixed lanes is fast and gives the same bits on every machine.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a_lanes, a_rest) = a.as_chunks::<4>();
    let (b_lanes, b_rest) = b.as_chunks::<4>();
    let mut sums = [0.0; 4];
    for (x, y) in a_lanes.iter().zip(b_lanes) {
        for lane in 0..4 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

/// Solves L x = values by forward substitution.
fn forward(factor: &[f64], width: usize, values: &[f64]) -> Vec<f64> {
    let mut solved: Vec<f64> = Vec::with_capacity(width);
    for (i, value) in values.iter().enumerate() {
        let line = &factor[i * width..=i * width + i];
        solved.push((value - dot(&line[..i], &solved)) / line[i]);
    }
    solved
}

#[cfg(test)]
mod tests {
    use super::*;
    use naschain_core::{Purpose, Stream};

    #[test]
    fn a_plane_is_found_again() {
        let mut stream = Stream::new(1, Purpose::Simulation, 0, 0);
        let mut row = || vec![stream.unit_f64(), 100.0 * stream.unit_f64(), 7.0];
        let plane = |row: &[f64]| 3.0 + 2.0 * row[0] - 0.5 * row[1];
        let features: Vec<Vec<f64>> = (0..200).map(|_| row()).collect();
        let targets: Vec<f64> = features.iter().map(|row| plane(row)).collect();
        let rows: Vec<&[f64]> = features.iter().map(|row| &row[..]).collect();
        let model = Ridge::fit(&rows, &targets);
        for _ in 0..100 {
            let row = row();
            assert!((model.predict(&row).0 - plane(&row)).abs() < 0.01);
        }
    }

    #[test]
    fn of_many_features_the_relevant_ones_are_used() {
        let mut stream = Stream::new(3, Purpose::Simulation, 0, 0);
        let mut row = || (0..1000).map(|_| stream.unit_f64()).collect::<Vec<f64>>();
        let features: Vec<Vec<f64>> = (0..300).map(|_| row()).collect();
        let rows: Vec<&[f64]> = features.iter().map(|row| &row[..]).collect();
        let target = |row: &[f64]| 5.0 * row[17] - 3.0 * row[500] + 4.0 * row[999];
        let targets: Vec<f64> = rows.iter().map(|row| target(row)).collect();
        let model = Ridge::fit(&rows, &targets);
        let used: Vec<usize> = model.columns.iter().map(|column| column.at).collect();
        assert_eq!(used.len(), MAX_FEATURES);
        assert!(used.is_sorted() && [17, 500, 999].iter().all(|at| used.contains(at)));
        let mean = |errors: Vec<f64>| errors.iter().sum::<f64>() / errors.len() as f64;
        let rows: Vec<Vec<f64>> = (0..100).map(|_| row()).collect();
        let error = |row: &Vec<f64>| (model.predict(row).0 - target(row)).abs();
        let without = |row: &Vec<f64>| (3.0 - target(row)).abs();
        let errors = [
            mean(rows.iter().map(error).collect()),
            mean(rows.iter().map(without).collect()),
        ];
        assert!(errors[0] < 0.4 * errors[1], "{errors:?}");
    }

    #[test]
    fn noise_is_not_learned() {
        let mut stream = Stream::new(2, Purpose::Simulation, 0, 0);
        let mut numbers = |count: usize| (0..count).map(|_| stream.unit_f64()).collect::<Vec<_>>();
        let features: Vec<Vec<f64>> = (0..60).map(|_| numbers(40)).collect();
        let targets = numbers(60);
        let rows: Vec<&[f64]> = features.iter().map(|row| &row[..]).collect();
        let model = Ridge::fit(&rows, &targets);
        let errors = (0..100).map(|_| (model.predict(&numbers(40)).0 - 0.5).abs());
        let mean = errors.sum::<f64>() / 100.0;
        assert!(mean < 0.2, "{mean}");
    }
}
