#![allow(unsafe_code)] // as in the parent module

use cubecl::prelude::*;

use super::{dim, grid};
use crate::gpu::kernels::update;
use crate::gpu::{Gpu, View};

/// One SGD step of all parameters.
pub(crate) struct Update<'a> {
    pub(crate) parameters: View<'a>,
    pub(crate) velocities: View<'a>,
    pub(crate) gradients: View<'a>,
    pub(crate) numbers: usize,
    /// Offset and length of each row.
    pub(crate) rows: View<'a>,
    pub(crate) row_count: usize,
    /// First row and number of rows of each parameter.
    pub(crate) tensors: View<'a>,
    pub(crate) tensor_count: usize,
    pub(crate) clip_norm: f32,
    pub(crate) rate: f32,
    pub(crate) momentum: f32,
    pub(crate) weight_decay: f32,
    pub(crate) nesterov: bool,
}

impl Update<'_> {
    /// Clips and updates; `sums` are the buffers for the sums of squares of rows and of parameters.
    pub(crate) fn run<R: Runtime>(&self, gpu: &Gpu<R>, [row_sums, tensor_sums]: [View; 2]) {
        // SAFETY: as above.
        unsafe {
            update::row_squares::launch_unchecked::<R>(
                &gpu.client,
                grid(self.row_count),
                dim(),
                self.gradients.arg(self.numbers),
                self.rows.arg(2 * self.row_count),
                row_sums.arg(self.row_count),
                self.row_count,
            );
            update::tensor_squares::launch_unchecked::<R>(
                &gpu.client,
                grid(self.tensor_count),
                dim(),
                row_sums.arg(self.row_count),
                self.tensors.arg(2 * self.tensor_count),
                tensor_sums.arg(self.tensor_count),
                self.tensor_count,
            );
        }
        Sgd {
            parameters: self.parameters,
            velocities: self.velocities,
            gradients: self.gradients,
            numbers: self.numbers,
            squares: tensor_sums,
            tensor_count: self.tensor_count,
            clip_norm: self.clip_norm,
            rate: self.rate,
            momentum: self.momentum,
            weight_decay: self.weight_decay,
            nesterov: self.nesterov,
        }
        .run(gpu);
    }
}

/// One SGD step of parameters in one buffer.
pub(crate) struct Sgd<'a> {
    pub(crate) parameters: View<'a>,
    pub(crate) velocities: View<'a>,
    pub(crate) gradients: View<'a>,
    pub(crate) numbers: usize,
    /// The sum of squares of each parameter's gradient, and the number of parameters.
    pub(crate) squares: View<'a>,
    pub(crate) tensor_count: usize,
    pub(crate) clip_norm: f32,
    pub(crate) rate: f32,
    pub(crate) momentum: f32,
    pub(crate) weight_decay: f32,
    pub(crate) nesterov: bool,
}

impl Sgd<'_> {
    pub(crate) fn run<R: Runtime>(&self, gpu: &Gpu<R>) {
        let views = [
            self.parameters,
            self.velocities,
            self.gradients,
            self.squares,
        ];
        assert!(views.iter().all(|view| view.at == 0));
        // SAFETY: as above.
        unsafe {
            update::sgd::launch_unchecked::<R>(
                &gpu.client,
                grid(self.numbers),
                dim(),
                self.gradients.arg(self.numbers),
                self.squares.arg(self.tensor_count),
                self.parameters.arg(self.numbers),
                self.velocities.arg(self.numbers),
                update::StepLaunch::new(
                    self.numbers,
                    self.tensor_count,
                    self.clip_norm,
                    -self.rate,
                    self.momentum,
                    self.weight_decay,
                ),
                self.nesterov,
            );
        }
    }
}

/// The sum of squares of the gradient of one parameter, in PyTorch's layout.
#[cfg(feature = "burn-cuda")]
pub(crate) struct Squares<'a> {
    pub(crate) gradient: View<'a>,
    pub(crate) outputs: usize,
    pub(crate) numbers: usize,
    /// Whether it is that of a 3×3 convolution's weight.
    pub(crate) is_conv3: bool,
}

#[cfg(feature = "burn-cuda")]
impl Squares<'_> {
    /// `rows` is the buffer for the sums of the output channels.
    pub(crate) fn sum<R: Runtime>(&self, gpu: &Gpu<R>, rows: View, out: View) {
        assert_eq!((self.gradient.at, rows.at), (0, 0));
        // SAFETY: as above.
        unsafe {
            update::channel_squares::launch_unchecked::<R>(
                &gpu.client,
                grid(self.outputs),
                dim(),
                self.gradient.arg(self.numbers),
                rows.arg(self.outputs),
                self.outputs,
                self.numbers / self.outputs.max(1),
                self.is_conv3,
            );
            update::add_channels::launch_unchecked::<R>(
                &gpu.client,
                grid(1),
                dim(),
                rows.arg(self.outputs),
                out.arg(1),
                self.outputs,
                out.at,
            );
        }
    }
}
