use crate::cholesky::Cholesky;
use crate::standardised::{Column, columns, standardised};

/// A ridge regression on standardised features with its penalty chosen by generalised cross-validation
/// (Golub, Heath and Wahba 1979). Of many features only those that correlate most with the targets are
/// used, so that its cost is linear in the number of features.
pub(crate) struct Ridge {
    columns: Vec<Column>,
    weights: Vec<f64>,
    intercept: f64,
    /// Of the normal equations with the penalty.
    factor: Cholesky,
    /// The standard deviation of the residuals.
    noise: f64,
}

impl Ridge {
    /// Fits a model to `features`, one row per target, and `targets`, of which there is at least one.
    pub(crate) fn fit(features: &[&[f64]], targets: &[f64]) -> Self {
        let count = features.len() as f64;
        let intercept = targets.iter().sum::<f64>() / count;
        let centred: Vec<f64> = targets.iter().map(|target| target - intercept).collect();
        let columns = columns(features, &centred);
        let rows = features.iter().map(|row| standardised(&columns, row));
        let rows: Vec<Vec<f64>> = rows.collect();
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
        let row = standardised(&self.columns, features);
        (self.expected(&row), self.noise * self.leverage(&row).sqrt())
    }

    /// The mean square of the leave-one-out errors of the outcomes that the model was fitted to.
    pub(crate) fn leave_one_out_error(&self, features: &[&[f64]], targets: &[f64]) -> f64 {
        let count = targets.len() as f64;
        let errors = features.iter().zip(targets).map(|(features, target)| {
            let row = standardised(&self.columns, features);
            let leverage = 1.0 / count + self.leverage(&row);
            // An outcome that determines its own prediction says nothing about the others.
            let error = (target - self.expected(&row)) / (1.0 - leverage).max(MIN_INDEPENDENCE);
            error * error
        });
        errors.sum::<f64>() / count
    }

    /// The expected target of standardised features.
    fn expected(&self, row: &[f64]) -> f64 {
        let products = row.iter().zip(&self.weights).map(|(x, weight)| x * weight);
        self.intercept + products.sum::<f64>()
    }

    fn leverage(&self, row: &[f64]) -> f64 {
        self.factor.forward(row).iter().map(|x| x * x).sum()
    }
}

/// The solution for one penalty.
#[derive(Default)]
struct Solution {
    weights: Vec<f64>,
    factor: Cholesky,
    noise: f64,
    /// The generalised cross-validation error.
    error: f64,
}

/// The least share of an outcome's prediction that comes from the other outcomes.
const MIN_INDEPENDENCE: f64 = 0.05;

/// The penalties to choose from, per row.
const PENALTIES: [f64; 6] = [1e-4, 1e-3, 1e-2, 0.1, 0.3, 1.0];

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
        let width = self.width;
        let mut matrix = self.gram.clone();
        for i in 0..width {
            matrix[i * width + i] += penalty;
        }
        let factor = Cholesky::of(matrix, width)?;
        let weights = factor.solve(&self.moments);
        // The model's degrees of freedom are width - penalty · trace((XᵀX + penalty)⁻¹).
        let inverse_trace: f64 = factor.inverse_diagonal().iter().sum();
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standardised::MAX_FEATURES;
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
