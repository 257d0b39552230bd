//! Gradient clipping and stochastic gradient descent.

use cubecl::prelude::*;

/// The sum of squares of each row of the gradients. A row is one output channel of one parameter;
/// `rows` holds its offset and length.
#[cube(launch_unchecked)]
pub(in crate::cuda) fn row_squares(
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
pub(in crate::cuda) fn tensor_squares(
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

/// The settings of an SGD step.
#[derive(CubeType, CubeLaunch)]
pub(in crate::cuda) struct Step {
    pub(in crate::cuda) parameters: usize,
    pub(in crate::cuda) tensors: usize,
    /// Maximum global norm of the gradients.
    pub(in crate::cuda) clip_norm: f32,
    /// The negative learning rate.
    pub(in crate::cuda) descent: f32,
    pub(in crate::cuda) momentum: f32,
    pub(in crate::cuda) weight_decay: f32,
}

/// Clips by the global norm and does one SGD step, one thread per parameter value; each thread
/// computes the norm itself.
#[cube(launch_unchecked)]
pub(in crate::cuda) fn sgd(
    gradients: &Array<f32>,
    tensor_sums: &Array<f32>,
    parameters: &mut Array<f32>,
    velocities: &mut Array<f32>,
    step: &Step,
    #[comptime] nesterov: bool,
) {
    if ABSOLUTE_POS >= step.parameters {
        terminate!();
    }
    let mut squares = 0.0f32;
    for tensor in 0..step.tensors {
        squares += tensor_sums[tensor];
    }
    let norm = squares.sqrt();
    let mut factor = 1.0f32;
    if norm > step.clip_norm {
        factor = step.clip_norm / norm;
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
