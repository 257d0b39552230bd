/// A ridge regression on standardised features, its penalty chosen by generalised cross-validation
/// (Golub, Heath and Wahba 1979).
pub(crate) struct Ridge {
    /// Mean of each feature and 1 / its deviation; 0 for a constant feature.
    scales: Vec<(f64, f64)>,
    weights: Vec<f64>,
    intercept: f64,
    /// The Cholesky factor of the normal equations with the penalty.
    factor: Vec<f64>,
    /// The standard deviation of what the model does not explain.
    noise: f64,
}

impl Ridge {
    /// Fits `targets` to `features`, one row a target; there is at least one.
    pub(crate) fn fit(features: &[Vec<f64>], targets: &[f64]) -> Self {
        let count = features.len() as f64;
        let width = features.first().map_or(0, Vec::len);
        let scales: Vec<(f64, f64)> = (0..width).map(|column| scale(features, column)).collect();
        let intercept = targets.iter().sum::<f64>() / count;
        let rows: Vec<Vec<f64>> = features
            .iter()
            .map(|row| {
                row.iter()
                    .zip(&scales)
                    .map(|(x, (mean, per))| (x - mean) * per)
                    .collect()
            })
            .collect();
        let centred: Vec<f64> = targets.iter().map(|target| target - intercept).collect();
        let products = Products::new(&rows, &centred, width);
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
            scales,
            weights,
            intercept,
            factor,
            noise,
        }
    }

    /// The expected target, and the standard deviation of that expectation.
    pub(crate) fn predict(&self, features: &[f64]) -> (f64, f64) {
        let cells = features.iter().zip(&self.scales);
        let row: Vec<f64> = cells.map(|(x, (mean, per))| (x - mean) * per).collect();
        let products = row.iter().zip(&self.weights).map(|(x, weight)| x * weight);
        let expected = self.intercept + products.sum::<f64>();
        let whitened = forward(&self.factor, row.len(), &row);
        let leverage: f64 = whitened.iter().map(|x| x * x).sum();
        (expected, self.noise * leverage.sqrt())
    }
}

/// The weights under one penalty.
#[derive(Default)]
struct Solution {
    weights: Vec<f64>,
    factor: Vec<f64>,
    noise: f64,
    /// The generalised cross-validation error.
    error: f64,
}

/// Penalties tried, as shares of the number of rows.
const PENALTIES: [f64; 6] = [1e-4, 1e-3, 1e-2, 0.1, 0.3, 1.0];

/// The mean of a column and 1 / its deviation, or 0 where all are equal.
fn scale(features: &[Vec<f64>], column: usize) -> (f64, f64) {
    let count = features.len() as f64;
    let mean = features.iter().map(|row| row[column]).sum::<f64>() / count;
    let squares = features
        .iter()
        .map(|row| (row[column] - mean) * (row[column] - mean));
    let deviation = (squares.sum::<f64>() / count).sqrt();
    // Rounding leaves a trace of deviation where there is none.
    let constant = deviation <= 1e-12 * mean.abs();
    (mean, if constant { 0.0 } else { 1.0 / deviation })
}

/// What the normal equations are made of.
struct Products {
    count: f64,
    width: usize,
    /// Lower triangle of XᵀX, row by row in a square.
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
        // Degrees of freedom: width - penalty · trace of the inverse, the squared norm of L⁻¹.
        let mut inverse_trace = 0.0;
        for column in 0..width {
            let mut unit = vec![0.0; width];
            unit[column] = 1.0;
            let solved = forward(&factor, width, &unit);
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

/// The scalar product, summed in four lanes so that it is fast, always the same four.
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

/// Solves L x = values for a lower triangle.
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
        let model = Ridge::fit(&features, &targets);
        for _ in 0..100 {
            let row = row();
            assert!((model.predict(&row).0 - plane(&row)).abs() < 0.01);
        }
    }

    #[test]
    fn noise_is_not_learned() {
        let mut stream = Stream::new(2, Purpose::Simulation, 0, 0);
        let mut numbers = |count: usize| (0..count).map(|_| stream.unit_f64()).collect::<Vec<_>>();
        let features: Vec<Vec<f64>> = (0..60).map(|_| numbers(40)).collect();
        let targets = numbers(60);
        let model = Ridge::fit(&features, &targets);
        let errors = (0..100).map(|_| (model.predict(&numbers(40)).0 - 0.5).abs());
        let mean = errors.sum::<f64>() / 100.0;
        assert!(mean < 0.2, "{mean}");
    }
}
