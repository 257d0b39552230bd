//! Gradient clipping and stochastic gradient descent.

use cubecl::prelude::*;

use super::rounding::{divide, square_root};

/// The sum of squares of each row of the gradients. A row is one output channel of one parameter;
/// `rows` holds its offset and length.
#[cube(launch_unchecked)]
pub(crate) fn row_squares(
    gradients: &Array<f32>,
    rows: &Array<u32>,
    out: &mut Array<f32>,
    count: usize,
) {
    if ABSOLUTE_POS >= count {
        terminate!();
    }
    let first = rows[2 * ABSOLUTE_POS] as usize;
    let mut sum = 0.0f32;
    for number in 0..rows[2 * ABSOLUTE_POS + 1] as usize {
        let gradient = gradients[first + number];
        sum = fma(gradient, gradient, sum);
    }
    out[ABSOLUTE_POS] = sum;
}

/// Adds the rows' sums of each parameter. `tensors` holds its first row and number of rows.
#[cube(launch_unchecked)]
pub(crate) fn tensor_squares(
    row_sums: &Array<f32>,
    tensors: &Array<u32>,
    out: &mut Array<f32>,
    count: usize,
) {
    if ABSOLUTE_POS >= count {
        terminate!();
    }
    let first = tensors[2 * ABSOLUTE_POS] as usize;
    let mut sum = 0.0f32;
    for row in 0..tensors[2 * ABSOLUTE_POS + 1] as usize {
        sum += row_sums[first + row];
    }
    out[ABSOLUTE_POS] = sum;
}

/// The sum of squares of each output channel of one parameter's gradient, of `row` elements each. A
/// 3×3 convolution's is in PyTorch's layout, `[out][in][kernel row][kernel column]`, and is added
/// kernel row by kernel row.
#[cfg(feature = "cuda")]
#[cube(launch_unchecked)]
pub(crate) fn channel_squares(
    gradient: &Array<f32>,
    out: &mut Array<f32>,
    channels: usize,
    row: usize,
    #[comptime] is_conv3: bool,
) {
    if ABSOLUTE_POS >= channels {
        terminate!();
    }
    let first = ABSOLUTE_POS * row;
    let mut sum = 0.0f32;
    for number in 0..row {
        let place = if is_conv3 {
            let third = row / 3;
            number % third / 3 * 9 + number / third * 3 + number % 3
        } else {
            number
        };
        let value = gradient[first + place];
        sum = fma(value, value, sum);
    }
    out[ABSOLUTE_POS] = sum;
}

/// Adds the channels' sums of one parameter.
#[cfg(feature = "cuda")]
#[cube(launch_unchecked)]
pub(crate) fn add_channels(
    sums: &Array<f32>,
    out: &mut Array<f32>,
    channels: usize,
    out_at: usize,
) {
    if ABSOLUTE_POS >= 1 {
        terminate!();
    }
    let mut sum = 0.0f32;
    for channel in 0..channels {
        sum += sums[channel];
    }
    out[out_at] = sum;
}

/// The settings of an SGD step.
#[derive(CubeType, CubeLaunch)]
pub(crate) struct SgdSettings {
    pub(crate) parameters: usize,
    pub(crate) tensors: usize,
    /// Maximum global norm of the gradients.
    pub(crate) clip_norm: f32,
    /// The negative learning rate.
    pub(crate) descent: f32,
    pub(crate) momentum: f32,
    pub(crate) weight_decay: f32,
}

/// Clips by the global norm and does one SGD step, one thread per parameter value; each thread
/// computes the norm itself.
#[cube(launch_unchecked)]
pub(crate) fn sgd(
    gradients: &Array<f32>,
    tensor_sums: &Array<f32>,
    parameters: &mut Array<f32>,
    velocities: &mut Array<f32>,
    step: &SgdSettings,
    #[comptime] nesterov: bool,
) {
    if ABSOLUTE_POS >= step.parameters {
        terminate!();
    }
    let mut squares = 0.0f32;
    for tensor in 0..step.tensors {
        squares += tensor_sums[tensor];
    }
    let norm = square_root(squares);
    let mut factor = 1.0f32;
    if norm > step.clip_norm {
        factor = divide(step.clip_norm, norm);
    }
    let old = parameters[ABSOLUTE_POS];
    let decayed = fma(step.weight_decay, old, gradients[ABSOLUTE_POS] * factor);
    let new = fma(step.momentum, velocities[ABSOLUTE_POS], decayed);
    velocities[ABSOLUTE_POS] = new;
    let mut direction = new;
    if nesterov {
        direction = fma(step.momentum, new, decayed);
    }
    parameters[ABSOLUTE_POS] = fma(step.descent, direction, old);
}
