use std::f64::consts::{LN_2, SQRT_2};

/// A closed interval of real numbers on a linear or logarithmic scale, mapped to 0 to 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interval {
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) log: bool,
}

impl Interval {
    /// The place of a value of the interval on its scale, between 0 and 1.
    pub(crate) fn to_unit(self, value: f64) -> f64 {
        let (from, to, at) = if self.log {
            (ln(self.low), ln(self.high), ln(value))
        } else {
            (self.low, self.high, value)
        };
        if to > from {
            ((at - from) / (to - from)).clamp(0.0, 1.0) + 0.0
        } else {
            0.0
        }
    }

    /// The value at a place between 0 and 1.
    pub(crate) fn value_at(self, unit: f64) -> f64 {
        let value = if self.log {
            let (from, to) = (ln(self.low), ln(self.high));
            exp(from + unit * (to - from))
        } else {
            self.low + unit * (self.high - self.low)
        };
        value.clamp(self.low, self.high) + 0.0
    }
}

// Logarithm and exponential are computed by +, -, × and ÷ alone, which give the same bits on every
// machine. Their errors are a few units in the last place.

/// The natural logarithm of a positive, finite number.
fn ln(value: f64) -> f64 {
    // A subnormal number is made normal first.
    const SHIFT: f64 = (1u64 << 54) as f64;
    let (value, shift) = if value < f64::MIN_POSITIVE {
        (value * SHIFT, 54)
    } else {
        (value, 0)
    };
    let bits = value.to_bits();
    let mut exponent = (bits >> 52) as i64 - 1023 - shift;
    let mut mantissa = f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52));
    if mantissa > SQRT_2 {
        mantissa *= 0.5;
        exponent += 1;
    }
    // ln m = 2 artanh((m - 1) / (m + 1)), as a power series; its terms fall by a factor of 34.
    let ratio = (mantissa - 1.0) / (mantissa + 1.0);
    let square = ratio * ratio;
    let series = (0..12).rev().fold(0.0, |sum, term| {
        sum * square + 1.0 / f64::from(2 * term + 1)
    });
    exponent as f64 * LN_2 + 2.0 * ratio * series
}

/// The exponential of a number between -740 and 709.7.
fn exp(value: f64) -> f64 {
    let power = (value / LN_2).round().clamp(-1070.0, 1024.0);
    let rest = value - power * LN_2;
    // The rest is at most ln 2 / 2 in size, so 16 terms of the power series suffice.
    let series = (1..17)
        .rev()
        .fold(1.0, |sum, term| 1.0 + sum * rest / f64::from(term));
    // In two steps, since 2¹⁰²⁴ and the powers of subnormal numbers are no normal numbers.
    let half = (power / 2.0).floor();
    series * power_of_two(half) * power_of_two(power - half)
}

/// 2 to a whole power between -1022 and 1023.
fn power_of_two(power: f64) -> f64 {
    f64::from_bits(((power as i64 + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn logarithm_and_exponential_are_accurate(power in -700.0..700.0f64) {
            let value = power.exp();
            prop_assert!((ln(value) - power).abs() <= 1e-13 * power.abs().max(1.0));
            prop_assert!((exp(power) / value - 1.0).abs() <= 1e-12);
        }

        #[test]
        fn places_and_values_are_inverse(low in 1e-9..1e9f64, factor in 1.001..1e9f64, unit in 0.0..=1.0f64, log: bool) {
            let interval = Interval { low, high: low * factor, log };
            let value = interval.value_at(unit);
            prop_assert!((low..=low * factor).contains(&value));
            prop_assert!((interval.to_unit(value) - unit).abs() < 1e-9);
        }
    }

    #[test]
    fn extreme_numbers_have_logarithms() {
        for value in [5e-324, 1e-310, f64::MIN_POSITIVE, 1.0, f64::MAX] {
            assert!(
                (ln(value) - value.ln()).abs() <= 1e-13 * value.ln().abs(),
                "{value}"
            );
            let interval = Interval {
                low: value,
                high: f64::MAX,
                log: true,
            };
            let ends = [0.0, 1.0].map(|unit| interval.value_at(unit));
            assert!(value <= ends[0] && ends[0] <= ends[1], "{ends:?}");
        }
    }
}
