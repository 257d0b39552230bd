//! The operations of burn's GPU backends, by this crate's GPU kernels on burn's tensors and streams.
//! On a GPU a block of a map has one channel.

mod convolution;
mod head;
mod join;
mod norm;
mod tensors;
mod update;

use burn::backend::Autodiff;
use burn_backend::DeviceOps;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{BoolElement, CubeBackend, CubeRuntime, IntElement};
use cubecl::cuda::CudaRuntime;

use super::ops::{
    Conv1Shape, Conv3Shape, CrossEntropyOutput, ExactOps, Factors, MapShape, NormParameters,
    Normed, SavedNorm, SgdStep,
};

/// burn's CUDA backend, without fusion.
pub type Cuda = CubeBackend<CudaRuntime, f32, i32, u8>;

/// burn's autodiff on its CUDA backend.
pub type CudaAutodiff = Autodiff<Cuda>;

impl<R, I, T> ExactOps for CubeBackend<R, f32, I, T>
where
    R: CubeRuntime,
    R::Device: DeviceOps,
    I: IntElement,
    T: BoolElement,
{
    fn exact_map(shape: MapShape) -> [usize; 5] {
        tensors::map(shape)
    }

    fn exact_conv3(x: CubeTensor<R>, weight: CubeTensor<R>, shape: Conv3Shape) -> CubeTensor<R> {
        convolution::conv3(x, weight, shape)
    }

    fn exact_conv3_input(
        dz: CubeTensor<R>,
        weight: CubeTensor<R>,
        shape: Conv3Shape,
        sum: Option<CubeTensor<R>>,
    ) -> CubeTensor<R> {
        convolution::input(dz, weight, shape, sum)
    }

    fn exact_conv3_weight(x: CubeTensor<R>, dz: CubeTensor<R>, shape: Conv3Shape) -> CubeTensor<R> {
        convolution::weight(x, dz, shape)
    }

    fn exact_conv1(
        maps: Vec<CubeTensor<R>>,
        factors: &[Factors],
        weight: CubeTensor<R>,
        shape: Conv1Shape,
    ) -> CubeTensor<R> {
        join::conv1(maps, factors, weight, shape)
    }

    fn exact_conv1_input(
        dz: CubeTensor<R>,
        weight: CubeTensor<R>,
        map: usize,
        factors: &Factors,
        shape: Conv1Shape,
        sum: Option<CubeTensor<R>>,
    ) -> CubeTensor<R> {
        join::input(dz, weight, map, factors, shape, sum)
    }

    fn exact_conv1_weight(
        maps: Vec<CubeTensor<R>>,
        factors: &[Factors],
        dz: CubeTensor<R>,
        shape: Conv1Shape,
    ) -> CubeTensor<R> {
        join::weight(maps, factors, dz, shape)
    }

    fn exact_norm_relu(
        z: CubeTensor<R>,
        parameters: NormParameters<CubeTensor<R>>,
        shape: MapShape,
    ) -> Normed<CubeTensor<R>> {
        norm::forward(z, parameters, shape)
    }

    fn exact_norm_relu_backward(
        dy: CubeTensor<R>,
        z: CubeTensor<R>,
        bias: CubeTensor<R>,
        saved: SavedNorm<CubeTensor<R>>,
        shape: MapShape,
    ) -> [CubeTensor<R>; 3] {
        norm::backward(dy, z, bias, saved, shape)
    }

    fn exact_norm_relu_running(
        z: CubeTensor<R>,
        parameters: NormParameters<CubeTensor<R>>,
        shape: MapShape,
    ) -> CubeTensor<R> {
        norm::running(z, parameters, shape)
    }

    fn exact_max_pool2(y: CubeTensor<R>, shape: MapShape) -> CubeTensor<R> {
        head::max_pool2(y, shape)
    }

    fn exact_max_pool2_input(
        dout: CubeTensor<R>,
        y: CubeTensor<R>,
        shape: MapShape,
    ) -> CubeTensor<R> {
        head::max_pool2_input(dout, y, shape)
    }

    fn exact_average(y: CubeTensor<R>, shape: MapShape) -> CubeTensor<R> {
        head::average(y, shape)
    }

    fn exact_average_input(dmeans: CubeTensor<R>, shape: MapShape) -> CubeTensor<R> {
        head::average_input(dmeans, shape)
    }

    fn exact_linear(
        x: CubeTensor<R>,
        weight: CubeTensor<R>,
        bias: CubeTensor<R>,
        shape: Conv1Shape,
    ) -> CubeTensor<R> {
        head::linear(x, weight, bias, shape)
    }

    fn exact_linear_backward(
        dlogits: CubeTensor<R>,
        x: CubeTensor<R>,
        weight: CubeTensor<R>,
        shape: Conv1Shape,
    ) -> [CubeTensor<R>; 3] {
        head::linear_backward(dlogits, x, weight, shape)
    }

    fn exact_cross_entropy(
        logits: CubeTensor<R>,
        labels: &[u16],
        smoothing: f64,
    ) -> CrossEntropyOutput<CubeTensor<R>> {
        head::cross_entropy(logits, labels, smoothing)
    }

    fn exact_sums_of_squares(gradients: Vec<CubeTensor<R>>) -> CubeTensor<R> {
        update::sums_of_squares(gradients)
    }

    fn exact_sgd(
        parameter: CubeTensor<R>,
        velocity: Option<CubeTensor<R>>,
        gradient: CubeTensor<R>,
        squares: CubeTensor<R>,
        step: SgdStep,
    ) -> [CubeTensor<R>; 2] {
        update::sgd(parameter, velocity, gradient, squares, step)
    }
}
