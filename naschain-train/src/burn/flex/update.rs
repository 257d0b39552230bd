//! Gradient clipping and stochastic gradient descent of one parameter. The instruction set changes
//! no bit, so the fastest is used.

use burn::backend::flex::FlexTensor;

use super::super::ops::SgdStep;
use super::tensors::{owned, tensor, values};
use crate::Isa;
use crate::kernels::update::{Sgd, SumOfRows};

/// Elements of the shortest vectors, which every instruction set has.
const LANES: usize = 8;

pub(super) fn sums_of_squares(gradients: &[FlexTensor]) -> FlexTensor {
    let sums: Vec<f32> = gradients.iter().map(sum_of_squares).collect();
    let parameters = sums.len();
    tensor(sums, [parameters])
}

fn sum_of_squares(gradient: &FlexTensor) -> f32 {
    let shape = gradient.layout().shape().clone();
    let numbers = shape.num_elements();
    let outputs = shape.first().copied().unwrap_or(1);
    if numbers == 0 {
        return 0.0;
    }
    let (inputs, side) = match shape[..] {
        [_, inputs, 3, 3] => (inputs, 3),
        _ => (numbers / outputs, 1),
    };
    let mut sum = 0.0;
    SumOfRows {
        inputs,
        side,
        gradient: &values(gradient),
        sum: &mut sum,
    }
    .run_on(Isa::best());
    sum
}

pub(super) fn sgd(
    parameter: FlexTensor,
    velocity: Option<FlexTensor>,
    gradient: &FlexTensor,
    squares: &FlexTensor,
    step: SgdStep,
) -> [FlexTensor; 2] {
    let norm = values(squares).iter().sum::<f32>().sqrt();
    let factor = if norm > step.clip_norm {
        step.clip_norm / norm
    } else {
        1.0
    };
    let mut parameter = owned(parameter);
    let shape = parameter.layout().shape().clone();
    let mut velocity = match velocity {
        Some(velocity) => owned(velocity),
        None => FlexTensor::zeros(shape, parameter.dtype()),
    };
    let gradients = values(gradient);
    let parameters = parameter.storage_mut::<f32>();
    let velocities = velocity.storage_mut::<f32>();
    let whole = parameters.len() / LANES * LANES;
    let (parameters, last_parameters) = parameters.split_at_mut(whole);
    let (velocities, last_velocities) = velocities.split_at_mut(whole);
    let (gradients, last_gradients) = gradients.split_at(whole);
    run(step, factor, parameters, velocities, gradients);
    // The rest in a vector of its own, filled with zeros.
    let rest = last_gradients.len();
    let mut last = [[0.0; LANES]; 3];
    last[0][..rest].copy_from_slice(last_parameters);
    last[1][..rest].copy_from_slice(last_velocities);
    last[2][..rest].copy_from_slice(last_gradients);
    let [parameters, velocities, gradients] = &mut last;
    run(step, factor, parameters, velocities, gradients);
    last_parameters.copy_from_slice(&parameters[..rest]);
    last_velocities.copy_from_slice(&velocities[..rest]);
    [parameter, velocity]
}

fn run(
    step: SgdStep,
    factor: f32,
    parameters: &mut [f32],
    velocities: &mut [f32],
    gradients: &[f32],
) {
    Sgd {
        factor,
        rate: step.rate,
        momentum: step.momentum,
        weight_decay: step.weight_decay,
        nesterov: step.nesterov,
        parameters,
        velocities,
        gradients,
    }
    .run_on(Isa::best());
}
