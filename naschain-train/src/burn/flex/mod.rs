//! The operations of the flex backend, by this crate's kernels on burn's buffers, without copies.

mod conv_norm;
mod convolution;
mod head;
mod join;
mod norm;
mod tensors;
mod update;

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;

use super::ops::{
    Conv1Shape, Conv3Shape, ConvNormGradients, ConvNormRead, ConvNormed, CrossEntropyOutput,
    ExactOps, Factors, MapShape, NormParameters, Normed, SavedNorm, SgdStep,
};

impl ExactOps for Flex {
    fn exact_conv3(x: FlexTensor, weight: FlexTensor, shape: Conv3Shape) -> FlexTensor {
        convolution::conv3(&x, &weight, shape)
    }

    fn exact_conv3_input(
        dz: FlexTensor,
        weight: FlexTensor,
        shape: Conv3Shape,
        sum: Option<FlexTensor>,
    ) -> FlexTensor {
        convolution::input(&dz, &weight, shape, sum)
    }

    fn exact_conv3_weight(x: FlexTensor, dz: FlexTensor, shape: Conv3Shape) -> FlexTensor {
        convolution::weight(&x, &dz, shape)
    }

    fn exact_conv1(
        maps: Vec<FlexTensor>,
        factors: &[Factors],
        weight: FlexTensor,
        shape: Conv1Shape,
    ) -> FlexTensor {
        join::conv1(&maps, factors, &weight, shape)
    }

    fn exact_conv1_input(
        dz: FlexTensor,
        weight: FlexTensor,
        map: usize,
        factors: &Factors,
        shape: Conv1Shape,
        sum: Option<FlexTensor>,
    ) -> FlexTensor {
        join::input(&dz, &weight, map, factors, shape, sum)
    }

    fn exact_conv1_weight(
        maps: Vec<FlexTensor>,
        factors: &[Factors],
        dz: FlexTensor,
        shape: Conv1Shape,
    ) -> FlexTensor {
        join::weight(&maps, factors, &dz, shape)
    }

    fn exact_norm_relu(
        z: FlexTensor,
        parameters: NormParameters<FlexTensor>,
        shape: MapShape,
    ) -> Normed<FlexTensor> {
        norm::forward(&z, &parameters, shape)
    }

    fn exact_norm_relu_backward(
        dy: FlexTensor,
        z: FlexTensor,
        bias: FlexTensor,
        saved: SavedNorm<FlexTensor>,
        shape: MapShape,
    ) -> [FlexTensor; 3] {
        norm::backward(dy, &z, &bias, &saved, shape)
    }

    fn exact_conv3_norm_relu(
        x: FlexTensor,
        weight: FlexTensor,
        parameters: NormParameters<FlexTensor>,
        shape: Conv3Shape,
    ) -> ConvNormed<FlexTensor> {
        conv_norm::forward(&x, &weight, &parameters, shape)
    }

    fn exact_conv3_norm_relu_backward(
        dy: FlexTensor,
        read: ConvNormRead<FlexTensor>,
        shape: Conv3Shape,
        input: bool,
        sum: Option<FlexTensor>,
    ) -> ConvNormGradients<FlexTensor> {
        conv_norm::backward(&dy, &read, shape, (input, sum))
    }

    fn exact_norm_relu_running(
        z: FlexTensor,
        parameters: NormParameters<FlexTensor>,
        shape: MapShape,
    ) -> FlexTensor {
        norm::running(&z, &parameters, shape)
    }

    fn exact_max_pool2(y: FlexTensor, shape: MapShape) -> FlexTensor {
        head::max_pool2(&y, shape)
    }

    fn exact_max_pool2_input(dout: FlexTensor, y: FlexTensor, shape: MapShape) -> FlexTensor {
        head::max_pool2_input(&dout, &y, shape)
    }

    fn exact_average(y: FlexTensor, shape: MapShape) -> FlexTensor {
        head::average(&y, shape)
    }

    fn exact_average_input(dmeans: FlexTensor, shape: MapShape) -> FlexTensor {
        head::average_input(&dmeans, shape)
    }

    fn exact_linear(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        shape: Conv1Shape,
    ) -> FlexTensor {
        head::linear(&x, &weight, &bias, shape)
    }

    fn exact_linear_backward(
        dlogits: FlexTensor,
        x: FlexTensor,
        weight: FlexTensor,
        shape: Conv1Shape,
    ) -> [FlexTensor; 3] {
        head::linear_backward(&dlogits, &x, &weight, shape)
    }

    fn exact_cross_entropy(
        logits: FlexTensor,
        labels: &[u16],
        smoothing: f64,
    ) -> CrossEntropyOutput<FlexTensor> {
        head::cross_entropy(&logits, labels, smoothing)
    }

    fn exact_sums_of_squares(gradients: Vec<FlexTensor>) -> FlexTensor {
        update::sums_of_squares(&gradients)
    }

    fn exact_sgd(
        parameter: FlexTensor,
        velocity: Option<FlexTensor>,
        gradient: FlexTensor,
        squares: FlexTensor,
        step: SgdStep,
    ) -> [FlexTensor; 2] {
        update::sgd(parameter, velocity, &gradient, &squares, step)
    }
}
