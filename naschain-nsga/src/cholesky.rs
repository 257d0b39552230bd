//! The Cholesky factor of a symmetric positive definite matrix.

/// A lower triangle L with L Lᵀ = A.
#[derive(Default)]
pub(crate) struct Cholesky {
    width: usize,
    /// A square matrix, row by row; what is above the diagonal is not used.
    factor: Vec<f64>,
}

impl Cholesky {
    /// Factors a square matrix of which the lower triangle is given, or returns `None` if it is not
    /// positive definite.
    pub(crate) fn of(matrix: Vec<f64>, width: usize) -> Option<Self> {
        let mut factor = matrix;
        for i in 0..width {
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
        Some(Cholesky { width, factor })
    }

    /// Solves L x = values.
    pub(crate) fn forward(&self, values: &[f64]) -> Vec<f64> {
        let mut solved: Vec<f64> = Vec::with_capacity(values.len());
        for (i, value) in values.iter().enumerate() {
            let line = &self.factor[i * self.width..=i * self.width + i];
            solved.push((value - dot(&line[..i], &solved)) / line[i]);
        }
        solved
    }

    /// Solves A x = values.
    pub(crate) fn solve(&self, values: &[f64]) -> Vec<f64> {
        let mut solved = self.forward(values);
        for i in (0..self.width).rev() {
            for j in i + 1..self.width {
                solved[i] -= self.factor[j * self.width + i] * solved[j];
            }
            solved[i] /= self.factor[i * self.width + i];
        }
        solved
    }

    /// The diagonal of A⁻¹.
    pub(crate) fn inverse_diagonal(&self) -> Vec<f64> {
        // A⁻¹ = L⁻ᵀ L⁻¹: its diagonal has the squared lengths of the columns of L⁻¹.
        let of_column = |column: usize| {
            // The column has zeros above its diagonal.
            let mut solved = vec![0.0; column];
            solved.push(1.0 / self.factor[column * self.width + column]);
            let start = column / 4 * 4;
            for i in column + 1..self.width {
                let line = &self.factor[i * self.width..=i * self.width + i];
                let rest = dot(&line[start..i], &solved[start..]);
                solved.push((0.0 - rest) / line[i]);
            }
            solved.iter().map(|x| x * x).sum()
        };
        (0..self.width).map(of_column).collect()
    }
}

/// The scalar product. Summing in four fixed lanes is fast and gives the same bits on every machine.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_solved() {
        // L = [2 0 0; 1 3 0; 4 5 6].
        let matrix = vec![4.0, 0.0, 0.0, 2.0, 10.0, 0.0, 8.0, 19.0, 77.0];
        let factor = Cholesky::of(matrix, 3).unwrap();
        assert_eq!(factor.factor[6..9], [4.0, 5.0, 6.0]);
        // A (1, 2, 3).
        let solved = factor.solve(&[32.0, 79.0, 277.0]);
        for (found, expected) in solved.iter().zip([1.0, 2.0, 3.0]) {
            assert!((found - expected).abs() < 1e-12, "{solved:?}");
        }
        let diagonal = factor.inverse_diagonal();
        for (column, found) in diagonal.iter().enumerate() {
            let mut unit = [0.0; 3];
            unit[column] = 1.0;
            assert!((factor.solve(&unit)[column] - found).abs() < 1e-12);
        }
        assert!(Cholesky::of(vec![1.0, 0.0, 2.0, 4.0], 2).is_none());
    }
}
