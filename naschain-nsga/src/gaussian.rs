use crate::cholesky::{Cholesky, dot};
use crate::standardised::{Column, columns, standardised};

/// A Gaussian process on standardised features, with a linear and a rational quadratic kernel (Rasmussen
/// and Williams 2006, chapters 2 and 4). Of a small grid of parameters it takes those with the smallest
/// leave-one-out error (section 5.4.2).
pub(crate) struct Gaussian {
    columns: Vec<Column>,
    kernel: Kernel,
    /// The standardised features of the outcomes, and their squared lengths per feature.
    rows: Vec<Vec<f64>>,
    lengths: Vec<f64>,
    /// The mean and the standard deviation of the targets.
    mean: f64,
    deviation: f64,
    /// Of the covariances of the targets.
    factor: Cholesky,
    /// The inverse of the covariances times the standardised targets.
    weights: Vec<f64>,
    /// The ratio of the leave-one-out errors to the deviations that the process expects of them.
    calibration: f64,
    error: f64,
}

impl Gaussian {
    /// Fits a process to `features`, one row per target. There is none if all targets are equal or no
    /// feature varies.
    pub(crate) fn fit(features: &[&[f64]], targets: &[f64]) -> Option<Self> {
        let count = targets.len();
        let mean = targets.iter().sum::<f64>() / count as f64;
        let centred: Vec<f64> = targets.iter().map(|target| target - mean).collect();
        let squares: f64 = centred.iter().map(|target| target * target).sum();
        let deviation = (squares / count as f64).sqrt();
        let columns = columns(features, &centred);
        if !deviation.is_normal() || columns.is_empty() {
            return None;
        }
        let scaled: Vec<f64> = centred.iter().map(|target| target / deviation).collect();
        let rows = features.iter().map(|row| standardised(&columns, row));
        let rows: Vec<Vec<f64>> = rows.collect();
        let kernel = best_kernel(&rows, &scaled)?;
        let products = ScalarProducts::of(&rows.iter().collect::<Vec<_>>());
        let factor = products.factor(&kernel)?;
        let weights = factor.solve(&scaled);
        let diagonal = factor.inverse_diagonal();
        // The errors are w / d, and their expected squares 1 / d.
        let both = || weights.iter().zip(&diagonal);
        let error: f64 = both().map(|(w, d)| (w / d) * (w / d)).sum();
        let surprise: f64 = both().map(|(w, d)| w * w / d).sum();
        Some(Gaussian {
            columns,
            kernel,
            lengths: (0..count).map(|at| products.get(at, at)).collect(),
            rows,
            mean,
            deviation,
            factor,
            weights,
            calibration: (surprise / count as f64).sqrt(),
            error: deviation * deviation * error / count as f64,
        })
    }

    /// Returns the expected target and the standard deviation of that expectation.
    pub(crate) fn predict(&self, features: &[f64]) -> (f64, f64) {
        let row = standardised(&self.columns, features);
        let width = row.len() as f64;
        let length = dot(&row, &row) / width;
        let others = self.rows.iter().zip(&self.lengths);
        let covariances = others.map(|(other, other_length)| {
            let product = dot(&row, other) / width;
            self.kernel.covariance(product, length, *other_length)
        });
        let covariances: Vec<f64> = covariances.collect();
        let expected = self.mean + self.deviation * dot(&covariances, &self.weights);
        let whitened = self.factor.forward(&covariances);
        let alone = self.kernel.covariance(length, length, length);
        let variance = (alone - dot(&whitened, &whitened)).max(0.0);
        (
            expected,
            self.calibration * self.deviation * variance.sqrt(),
        )
    }

    /// The mean square of the leave-one-out errors of the outcomes that the model was fitted to.
    pub(crate) fn leave_one_out_error(&self) -> f64 {
        self.error
    }
}

/// Covariances of standardised targets, computed with +, -, × and ÷ alone, so that they have the same bits
/// on every machine.
#[derive(Clone, Copy, Debug)]
struct Kernel {
    /// The share of the linear kernel; the rest is a rational quadratic one with exponent 1.
    linear: f64,
    /// 1 / (2 · its length²), with distances per feature.
    inverse_length: f64,
    /// The variance of what features do not explain.
    noise: f64,
}

impl Kernel {
    /// Of two rows with this scalar product and these squared lengths, all per feature.
    fn covariance(&self, product: f64, length: f64, other_length: f64) -> f64 {
        let distance = (length + other_length - 2.0 * product).max(0.0);
        let near = 1.0 / (1.0 + distance * self.inverse_length);
        self.linear * product + (1.0 - self.linear) * near
    }
}

/// The kernel with the smallest leave-one-out error on a sample of the outcomes, evenly spaced in their
/// order.
fn best_kernel(rows: &[Vec<f64>], targets: &[f64]) -> Option<Kernel> {
    let sample = SAMPLE.min(rows.len());
    let place = |at: usize| at * (rows.len() - 1) / (sample - 1).max(1);
    let some: Vec<&Vec<f64>> = (0..sample).map(|at| &rows[place(at)]).collect();
    let targets: Vec<f64> = (0..sample).map(|at| targets[place(at)]).collect();
    let products = ScalarProducts::of(&some);
    let mut best: Option<(f64, Kernel)> = None;
    for linear in LINEAR_SHARES {
        for inverse_length in INVERSE_LENGTHS {
            for noise in NOISES {
                let kernel = Kernel {
                    linear,
                    inverse_length,
                    noise,
                };
                let Some(factor) = products.factor(&kernel) else {
                    continue;
                };
                let (weights, diagonal) = (factor.solve(&targets), factor.inverse_diagonal());
                let errors = weights.iter().zip(&diagonal).map(|(w, d)| w / d);
                let error: f64 = errors.map(|error| error * error).sum();
                if best.is_none_or(|(least, _)| error < least) {
                    best = Some((error, kernel));
                }
            }
        }
    }
    best.map(|(_, kernel)| kernel)
}

/// The scalar products of all pairs of rows, per feature.
struct ScalarProducts {
    count: usize,
    /// The lower triangle of a square matrix, row by row.
    values: Vec<f64>,
}

impl ScalarProducts {
    fn of(rows: &[&Vec<f64>]) -> Self {
        let count = rows.len();
        let mut values = vec![0.0; count * count];
        for i in 0..count {
            for j in 0..=i {
                values[i * count + j] = dot(rows[i], rows[j]) / rows[i].len() as f64;
            }
        }
        ScalarProducts { count, values }
    }

    fn get(&self, i: usize, j: usize) -> f64 {
        self.values[i * self.count + j]
    }

    fn factor(&self, kernel: &Kernel) -> Option<Cholesky> {
        let mut matrix = vec![0.0; self.count * self.count];
        for i in 0..self.count {
            for j in 0..=i {
                let (length, other_length) = (self.get(i, i), self.get(j, j));
                matrix[i * self.count + j] =
                    kernel.covariance(self.get(i, j), length, other_length);
            }
            matrix[i * self.count + i] += kernel.noise;
        }
        Cholesky::of(matrix, self.count)
    }
}

/// Number of outcomes by which the kernel is chosen.
const SAMPLE: usize = 64;

/// The kernels to choose from: shares that are linear, lengths, and variances of noise.
const LINEAR_SHARES: [f64; 3] = [0.0, 0.5, 0.9];
const INVERSE_LENGTHS: [f64; 3] = [0.15, 0.5, 1.5];
const NOISES: [f64; 3] = [0.003, 0.03, 0.2];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ridge::Ridge;
    use naschain_core::{Purpose, Stream};

    fn rows(count: usize, width: usize, seed: u64) -> Vec<Vec<f64>> {
        let mut stream = Stream::new(seed, Purpose::Simulation, 0, 0);
        let mut row = || (0..width).map(|_| stream.unit_f64()).collect();
        (0..count).map(|_| row()).collect()
    }

    fn slices(rows: &[Vec<f64>]) -> Vec<&[f64]> {
        rows.iter().map(|row| &row[..]).collect()
    }

    /// A product of two features, which no linear model has.
    fn curved(row: &[f64]) -> f64 {
        (row[0] - 0.5) * (row[1] - 0.5) * 8.0 + row[2]
    }

    #[test]
    fn interactions_are_learned() {
        let known = rows(120, 4, 1);
        let targets: Vec<f64> = known.iter().map(|row| curved(row)).collect();
        let model = Gaussian::fit(&slices(&known), &targets).unwrap();
        let ridge = Ridge::fit(&slices(&known), &targets);
        let error = |predict: &dyn Fn(&[f64]) -> f64| -> f64 {
            let errors = rows(100, 4, 2).into_iter().map(|row| {
                let error = predict(&row) - curved(&row);
                error * error
            });
            errors.sum()
        };
        let [curved, linear] = [
            error(&|row| model.predict(row).0),
            error(&|row| ridge.predict(row).0),
        ];
        assert!(curved < 0.1 * linear, "{curved} {linear}");
        assert!(model.leave_one_out_error() < ridge.leave_one_out_error(&slices(&known), &targets));
    }

    /// The closed form against a model for each outcome that was left out, with the same kernel.
    #[test]
    fn errors_are_those_of_models_without_the_outcome() {
        let known = rows(20, 3, 3);
        let targets: Vec<f64> = known.iter().map(|row| curved(row)).collect();
        let model = Gaussian::fit(&slices(&known), &targets).unwrap();
        let mut sum = 0.0;
        for left_out in 0..20 {
            let others: Vec<usize> = (0..20).filter(|at| *at != left_out).collect();
            let some: Vec<&Vec<f64>> = others.iter().map(|at| &model.rows[*at]).collect();
            let factor = ScalarProducts::of(&some).factor(&model.kernel).unwrap();
            let scaled = |at: &usize| (targets[*at] - model.mean) / model.deviation;
            let weights = factor.solve(&others.iter().map(scaled).collect::<Vec<_>>());
            let products = ScalarProducts::of(&model.rows.iter().collect::<Vec<_>>());
            let covariance = |at: &usize| {
                let (low, high) = (left_out.min(*at), left_out.max(*at));
                let lengths = [low, high].map(|at| products.get(at, at));
                model
                    .kernel
                    .covariance(products.get(high, low), lengths[0], lengths[1])
            };
            let expected: f64 = others
                .iter()
                .zip(&weights)
                .map(|(at, w)| covariance(at) * w)
                .sum();
            let error = (scaled(&left_out) - expected) * model.deviation;
            sum += error * error / 20.0;
        }
        let found = model.leave_one_out_error();
        assert!((found / sum - 1.0).abs() < 1e-6, "{found} {sum}");
    }

    #[test]
    fn what_is_far_from_all_outcomes_is_uncertain() {
        let known = rows(40, 2, 4);
        let targets: Vec<f64> = known.iter().map(|row| row[0] * row[1]).collect();
        let model = Gaussian::fit(&slices(&known), &targets).unwrap();
        let (_, inside) = model.predict(&[0.5, 0.5]);
        let (_, outside) = model.predict(&[5.0, -5.0]);
        assert!(outside > 3.0 * inside, "{inside} {outside}");
    }

    #[test]
    fn nothing_is_learned_from_equal_outcomes_or_features() {
        let known = rows(10, 2, 5);
        assert!(Gaussian::fit(&slices(&known), &[1.0; 10]).is_none());
        let equal = vec![vec![1.0, 2.0]; 3];
        assert!(Gaussian::fit(&slices(&equal), &[1.0, 2.0, 3.0]).is_none());
    }
}
