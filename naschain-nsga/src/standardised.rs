//! Features with mean 0 and standard deviation 1.

/// A feature that a model uses.
pub(crate) struct Column {
    /// Its index among all features.
    pub(crate) at: usize,
    mean: f64,
    /// 1 / its standard deviation.
    inverse_deviation: f64,
}

impl Column {
    pub(crate) fn standardised(&self, features: &[f64]) -> f64 {
        (features[self.at] - self.mean) * self.inverse_deviation
    }

    /// A feature's mean and standard deviation, or `None` if it is constant.
    fn of(features: &[&[f64]], at: usize) -> Option<Column> {
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
}

/// The used features of a genome.
pub(crate) fn standardised(columns: &[Column], features: &[f64]) -> Vec<f64> {
    let cells = columns.iter().map(|column| column.standardised(features));
    cells.collect()
}

/// Maximum number of features that are used.
pub(crate) const MAX_FEATURES: usize = 128;

/// The features that vary, in their order. Of more than [`MAX_FEATURES`], those that correlate most with
/// the centred targets (Fan and Lv 2008).
pub(crate) fn columns(features: &[&[f64]], targets: &[f64]) -> Vec<Column> {
    let width = features.first().map_or(0, |row| row.len());
    let all = (0..width).filter_map(|at| Column::of(features, at));
    let mut columns: Vec<Column> = all.collect();
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
