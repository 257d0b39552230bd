//! exp, ln and the learning rate's cosine, computed with +, −, ×, ÷ and fused multiply-add only,
//! because the system's libm differs between machines.

/// ln 2 rounded down to a double whose last 21 bits are 0, and the remainder (fdlibm's split).
const LN2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
const LN2_LOW: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);

/// eˣ for x in [-700, 700] (clamped to it), within 2 units in the last place.
pub(crate) fn exp(x: f64) -> f64 {
    let x = x.clamp(-700.0, 700.0);
    let k = (x * std::f64::consts::LOG2_E).round();
    let r = (-k).mul_add(LN2_LOW, (-k).mul_add(LN2_HIGH, x));
    // Taylor's series to degree 13: |r| <= 0.35 leaves less than 1e-17.
    let mut sum = 1.0 / 6_227_020_800.0;
    for factorial in [
        479_001_600.0,
        39_916_800.0,
        3_628_800.0,
        362_880.0,
        40_320.0,
        5_040.0,
        720.0,
        120.0,
        24.0,
        6.0,
        2.0,
        1.0,
        1.0,
    ] {
        sum = r.mul_add(sum, 1.0 / factorial);
    }
    sum * power_of_two(k as i64)
}

/// The natural logarithm of a positive, normal number, within 4 units in the last place of the
/// larger of it and 1.
pub(crate) fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut exponent = (bits >> 52) as i64 - 1023;
    let mut mantissa = f64::from_bits(bits & ((1 << 52) - 1) | 1023 << 52);
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa *= 0.5;
        exponent += 1;
    }
    // ln m = 2 artanh((m - 1) / (m + 1)); |z| <= 0.172 and 11 terms leave less than 1e-18.
    let z = (mantissa - 1.0) / (mantissa + 1.0);
    let square = z * z;
    let mut sum = 0.0;
    for odd in (1..=21).rev().step_by(2) {
        sum = square.mul_add(sum, 1.0 / f64::from(odd));
    }
    let k = exponent as f64;
    k.mul_add(LN2_HIGH, (2.0 * z).mul_add(sum, k * LN2_LOW))
}

/// cos(π x) for x in [0, 1], within 2⁻⁵².
pub(crate) fn cos_pi(x: f64) -> f64 {
    // cos(πx) = sin(π(½ - x)): the sine's argument lies within ±π/2.
    let y = std::f64::consts::PI * (0.5 - x);
    let square = y * y;
    let mut sum = 0.0;
    for n in (1..=12).rev() {
        let ratio = -square / f64::from(2 * n * (2 * n + 1));
        sum = ratio.mul_add(sum, ratio);
    }
    y.mul_add(sum, y)
}

fn power_of_two(exponent: i64) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn exact_points() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(ln(1.0), 0.0);
        assert_eq!((cos_pi(0.5), cos_pi(1.0) + cos_pi(0.0)), (0.0, 0.0));
        assert!((cos_pi(0.0) - 1.0).abs() < 3e-16);
    }

    /// Distance of two positive numbers in units in the last place.
    fn units_between(a: f64, b: f64) -> u64 {
        a.to_bits().abs_diff(b.to_bits())
    }

    // Must be equal on every machine. mpmath with 200 bits, rounded to double, gives the same
    // values except for exp(-20.5), where ours is one unit in the last place larger.
    #[test]
    fn golden_bits() {
        assert_eq!(exp(1.0).to_bits(), 0x4005_bf0a_8b14_5769);
        assert_eq!(exp(-20.5).to_bits(), 0x3e15_7a3a_feed_00ac);
        assert_eq!(ln(10.0).to_bits(), 0x4002_6bb1_bbb5_5516);
        assert_eq!(cos_pi(0.3).to_bits(), 0x3fe2_cf23_0475_5a5e);
    }

    proptest! {
        // The host's libm is accurate to one unit in the last place on all platforms we test.
        #[test]
        fn close_to_libm(x in -690.0..690.0f64, exponent in -300.0..300.0f64, powers in 0.0..5.0f64, z in 0.0..1.0f64) {
            prop_assert!(units_between(exp(x), x.exp()) <= 2 + 1);
            // The second covers the loss's logarithms: the largest power is 1, and there are at
            // most some thousand classes.
            for y in [10f64.powf(exponent), 10f64.powf(powers)] {
                prop_assert!((ln(y) - y.ln()).abs() <= 4e-16 * y.ln().abs().max(1.0));
            }
            prop_assert!((cos_pi(z) - (std::f64::consts::PI * z).cos()).abs() < 5e-16);
        }
    }
}
