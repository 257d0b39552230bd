//! Division and square root, rounded correctly on GPUs whose own are not: Vulkan and Metal allow
//! errors of a few units in the last place (ulps), CUDA none.
//!
//! Newton's method comes within one ulp, since residuals are exact with a fused multiply-add
//! (Markstein, "Computation of elementary functions on the IBM RISC System/6000 processor", 1990); the
//! residuals of the result and of its neighbours then tell which of them is right (Tuckerman's test
//! for the root). A result that was correct stays as it is.

use cubecl::prelude::*;

/// `a / b`, for `b` from 1e-12 to 1e12.
#[cube]
pub(super) fn divide(a: f32, b: f32) -> f32 {
    let mut quotient = a / b;
    let size = quotient.abs();
    // Zeros keep their sign; below, results are subnormal numbers.
    if size > 1e-37f32 && size < 1e37f32 {
        // 2^64 and 2^-64, so that no residual is a subnormal number, which GPUs may flush to zero.
        let mut up = 1.0f32;
        let mut down = 1.0f32;
        if a.abs() < 1e-18f32 {
            up = 18446744073709551616.0f32;
            down = 5.421_011e-20_f32;
        }
        let dividend = a * up;
        quotient *= up;
        let mut inverse = 1.0f32 / b;
        inverse = fma(fma(-b, inverse, 1.0f32), inverse, inverse);
        quotient = fma(fma(-b, quotient, dividend), inverse, quotient);
        quotient = fma(fma(-b, quotient, dividend), inverse, quotient);
        quotient = nearest(quotient, dividend, b) * down;
    }
    quotient
}

/// The one of `quotient` and its two neighbours that is nearest to `dividend / b`.
#[cube]
fn nearest(quotient: f32, dividend: f32, b: f32) -> f32 {
    let below = f32::reinterpret(u32::reinterpret(quotient) - 1);
    let above = f32::reinterpret(u32::reinterpret(quotient) + 1);
    let mut best = quotient;
    let mut residual = fma(-b, quotient, dividend).abs();
    let other = fma(-b, below, dividend).abs();
    if other < residual {
        best = below;
        residual = other;
    }
    if fma(-b, above, dividend).abs() < residual {
        best = above;
    }
    best
}

/// The square root of `value`, which is at most 1e30; below 1e-30, as the GPU rounds it.
#[cube]
pub(super) fn square_root(value: f32) -> f32 {
    let mut root = value.sqrt();
    if root > 1e-15f32 && root < 1e15f32 {
        let half = 0.5f32 / root;
        root = fma(fma(-root, root, value), half, root);
        root = fma(fma(-root, root, value), half, root);
        let below = f32::reinterpret(u32::reinterpret(root) - 1);
        let above = f32::reinterpret(u32::reinterpret(root) + 1);
        if fma(root, below, -value) >= 0.0f32 {
            root = below;
        } else if fma(root, above, -value) < 0.0f32 {
            root = above;
        }
    }
    root
}

/// Computes the operations whose rounding a device may choose, of three numbers each: `a * b + c`,
/// `a / b` and the square root of `a`.
#[cube(launch_unchecked)]
pub(crate) fn probe(numbers: &Array<f32>, out: &mut Array<f32>, count: usize) {
    if ABSOLUTE_POS < count {
        let at = 3 * ABSOLUTE_POS;
        out[at] = fma(numbers[at], numbers[at + 1], numbers[at + 2]);
        out[at + 1] = divide(numbers[at], numbers[at + 1]);
        out[at + 2] = square_root(numbers[at]);
    }
}
