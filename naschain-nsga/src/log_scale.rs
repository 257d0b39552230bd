//! Logarithmic scales that need no library's logarithm, so that they have the same bits on every machine.

use crate::acquisition::MAX_SCALED;

/// The logarithm to base 2, linear between powers of 2. Unlike a library's logarithm it gives the same
/// bits on every machine.
pub(crate) fn piecewise_log2(value: f64) -> f64 {
    let bits = value.max(f64::MIN_POSITIVE).to_bits();
    bits as f64 / (1u64 << 52) as f64 - 1023.0
}

/// A logarithmic scale for an objective to minimise, with the finest resolution at its best values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogScale {
    best: f64,
    /// The distance from the best value to the median.
    spread: f64,
}

impl LogScale {
    pub(crate) fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (best, median) = (sorted[0], sorted[sorted.len() / 2]);
        let spread = if median > best { median - best } else { 1.0 };
        LogScale { best, spread }
    }

    pub(crate) fn apply(&self, value: f64) -> f64 {
        piecewise_log2((value - self.best) / self.spread + 1.0)
    }

    /// The inverse of `apply`, limited to the range of the observations, beyond which a linear model
    /// is not to be trusted.
    pub(crate) fn invert(&self, scaled: f64) -> f64 {
        let value = self.best + self.spread * (piecewise_exp2(scaled) - 1.0);
        value.min(self.best + MAX_SCALED * self.spread)
    }
}

/// The inverse of [`piecewise_log2`].
fn piecewise_exp2(value: f64) -> f64 {
    f64::from_bits(((value.clamp(-1000.0, 1000.0) + 1023.0) * (1u64 << 52) as f64) as u64)
}
