//! Gradient clipping and stochastic gradient descent.

use burn_cubecl::CubeRuntime;
use burn_cubecl::ops::numeric::zeros_client;
use burn_cubecl::tensor::CubeTensor;

use burn::tensor::DType;

use super::super::ops::SgdStep;
use super::tensors::{buffer, fresh, gpu, owned, read_only};
use crate::gpu::launch::{Sgd, Squares};

pub(super) fn sums_of_squares<R: CubeRuntime>(gradients: Vec<CubeTensor<R>>) -> CubeTensor<R> {
    let sums = fresh(&gradients[0], [gradients.len()]);
    let to = buffer(&sums);
    for (number, gradient) in gradients.into_iter().enumerate() {
        let shape = gradient.meta.shape().clone();
        let outputs = shape.first().copied().unwrap_or(1);
        let rows = buffer(&fresh(&gradient, [outputs]));
        let gpu = gpu(&gradient);
        let gradient = read_only(gradient);
        let squares = Squares {
            gradient: gradient.all(),
            outputs,
            numbers: shape.num_elements(),
            is_conv3: matches!(shape[..], [_, _, 3, 3]),
        };
        squares.sum(&gpu, rows.all(), to.from(number));
    }
    sums
}

pub(super) fn sgd<R: CubeRuntime>(
    parameter: CubeTensor<R>,
    velocity: Option<CubeTensor<R>>,
    gradient: CubeTensor<R>,
    squares: CubeTensor<R>,
    step: SgdStep,
) -> [CubeTensor<R>; 2] {
    let parameter = owned(parameter);
    let shape = parameter.meta.shape().clone();
    let velocity = match velocity {
        Some(velocity) => owned(velocity),
        None => {
            let (client, device) = (parameter.client.clone(), parameter.device.clone());
            owned(zeros_client(client, device, shape.clone(), DType::F32))
        }
    };
    let gpu = gpu(&parameter);
    let parameters = squares.meta.shape().num_elements();
    let [gradient, squares] = [gradient, squares].map(read_only);
    let [parameter_to, velocity_to] = [&parameter, &velocity].map(buffer);
    Sgd {
        parameters: parameter_to.all(),
        velocities: velocity_to.all(),
        gradients: gradient.all(),
        numbers: shape.num_elements(),
        squares: squares.all(),
        tensor_count: parameters,
        clip_norm: step.clip_norm,
        rate: step.rate,
        momentum: step.momentum,
        weight_decay: step.weight_decay,
        nesterov: step.nesterov,
    }
    .run(&gpu);
    [parameter, velocity]
}
