//! Operations on each value of maps by itself, and on whole channels of images.

use cubecl::prelude::*;

use super::rounding::divide;
use crate::kernels::elementwise::Function;

/// `x + 3` from 0 to 6.
#[cube]
fn clamped(x: f32) -> f32 {
    let t = x + 3.0f32;
    let t = select(t > 0.0f32, t, 0.0f32);
    select(6.0f32 > t, t, 6.0f32)
}

/// `out = function(x)`.
#[cube(launch_unchecked)]
pub(crate) fn apply(
    x: &Array<f32>,
    out: &mut Array<f32>,
    numbers: usize,
    #[comptime] function: Function,
) {
    if ABSOLUTE_POS < numbers {
        let x = x[ABSOLUTE_POS];
        if comptime!(function == Function::Relu) {
            out[ABSOLUTE_POS] = select(x > 0.0f32, x, 0.0f32);
        } else if comptime!(function == Function::HardSigmoid) {
            out[ABSOLUTE_POS] = divide(clamped(x), 6.0f32);
        } else {
            out[ABSOLUTE_POS] = divide(x * clamped(x), 6.0f32);
        }
    }
}

/// The gradient of [`apply`] with respect to its input, or this added to `dx`.
#[cube(launch_unchecked)]
pub(crate) fn apply_back(
    x: &Array<f32>,
    dout: &Array<f32>,
    dx: &mut Array<f32>,
    numbers: usize,
    #[comptime] function: Function,
    #[comptime] add: bool,
) {
    if ABSOLUTE_POS >= numbers {
        terminate!();
    }
    let x = x[ABSOLUTE_POS];
    let gradient = dout[ABSOLUTE_POS];
    // That of ReLU.
    let mut part = select(x > 0.0f32, gradient, 0.0f32);
    if comptime!(function == Function::HardSigmoid) {
        let below = select(3.0f32 > x, divide(gradient, 6.0f32), 0.0f32);
        part = select(x > -3.0f32, below, 0.0f32);
    }
    if comptime!(function == Function::HardSwish) {
        let between = gradient * (divide(x, 3.0f32) + 0.5f32);
        let below = select(3.0f32 > x, between, gradient);
        part = select(x > -3.0f32, below, 0.0f32);
    }
    if add {
        part += dx[ABSOLUTE_POS];
    }
    dx[ABSOLUTE_POS] = part;
}

/// The sum of two maps, each multiplied by a factor for each image, which is 1 without `drops`.
#[cube(launch_unchecked)]
pub(crate) fn add(
    a: &Array<f32>,
    b: &Array<f32>,
    factors: &Array<f32>,
    out: &mut Array<f32>,
    numbers: usize,
    image: usize,
    a_at: usize,
    b_at: usize,
    #[comptime] drops_a: bool,
    #[comptime] drops_b: bool,
) {
    if ABSOLUTE_POS >= numbers {
        terminate!();
    }
    let mut first = a[ABSOLUTE_POS];
    let mut factor = 1.0f32;
    if drops_a {
        first *= factors[a_at + ABSOLUTE_POS / image];
    }
    if drops_b {
        factor = factors[b_at + ABSOLUTE_POS / image];
    }
    out[ABSOLUTE_POS] = fma(factor, b[ABSOLUTE_POS], first);
}

/// `to = factor · from`, or `to = fma(factor, from, to)`, with a factor for each image.
#[cube(launch_unchecked)]
pub(crate) fn scale_images(
    from: &Array<f32>,
    factors: &Array<f32>,
    to: &mut Array<f32>,
    numbers: usize,
    image: usize,
    factors_at: usize,
    #[comptime] add: bool,
) {
    if ABSOLUTE_POS >= numbers {
        terminate!();
    }
    let factor = factors[factors_at + ABSOLUTE_POS / image];
    if add {
        to[ABSOLUTE_POS] = fma(factor, from[ABSOLUTE_POS], to[ABSOLUTE_POS]);
    } else {
        to[ABSOLUTE_POS] = factor * from[ABSOLUTE_POS];
    }
}

/// Each plane times its number.
#[cube(launch_unchecked)]
pub(crate) fn scale_planes(
    x: &Array<f32>,
    factors: &Array<f32>,
    out: &mut Array<f32>,
    numbers: usize,
    pixels: usize,
) {
    if ABSOLUTE_POS < numbers {
        out[ABSOLUTE_POS] = x[ABSOLUTE_POS] * factors[ABSOLUTE_POS / pixels];
    }
}

/// The gradient of [`scale_planes`] with respect to the numbers, in four stripes, one thread per plane.
#[cube(launch_unchecked)]
pub(crate) fn scale_sums(
    x: &Array<f32>,
    dout: &Array<f32>,
    sums: &mut Array<f32>,
    planes: usize,
    pixels: usize,
) {
    if ABSOLUTE_POS >= planes {
        terminate!();
    }
    let first = ABSOLUTE_POS * pixels;
    let mut stripes = Array::<f32>::new(4usize);
    #[unroll]
    for stripe in 0..4usize {
        let mut sum = 0.0f32;
        for step in 0..(pixels + 3 - stripe) / 4 {
            let place = first + 4 * step + stripe;
            sum = fma(dout[place], x[place], sum);
        }
        stripes[stripe] = sum;
    }
    sums[ABSOLUTE_POS] = (stripes[0] + stripes[1]) + (stripes[2] + stripes[3]);
}
