#![allow(unsafe_code)] // as in the parent module

use cubecl::prelude::*;

use super::{dim, grid};
use crate::gpu::kernels::update;
use crate::gpu::{Gpu, View};

/// Clips the gradients of all parameters and updates them.
pub(crate) struct Update<'a> {
    /// Its `squares` are the buffer for the sums of squares of parameters.
    pub(crate) sgd: Sgd<'a>,
    /// Offset and length of each row.
    pub(crate) rows: View<'a>,
    pub(crate) row_count: usize,
    /// First row and number of rows of each parameter.
    pub(crate) tensors: View<'a>,
}

impl Update<'_> {
    /// `row_sums` is the buffer for the sums of squares of rows.
    pub(crate) fn run<R: Runtime>(&self, gpu: &Gpu<R>, row_sums: View) {
        let Sgd {
            gradients,
            numbers,
            squares,
            tensor_count,
            ..
        } = self.sgd;
        // SAFETY: as above.
        unsafe {
            update::row_squares::launch_unchecked::<R>(
                &gpu.client,
                grid(self.row_count),
                dim(),
                gradients.arg(numbers),
                self.rows.arg(2 * self.row_count),
                row_sums.arg(self.row_count),
                self.row_count,
            );
            update::tensor_squares::launch_unchecked::<R>(
                &gpu.client,
                grid(tensor_count),
                dim(),
                row_sums.arg(self.row_count),
                self.tensors.arg(2 * tensor_count),
                squares.arg(tensor_count),
                tensor_count,
            );
        }
        self.sgd.run(gpu);
    }
}

/// One SGD step of parameters in one buffer.
#[derive(Clone, Copy)]
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
                update::SgdSettingsLaunch::new(
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
#[cfg(feature = "cuda")]
pub(crate) struct Squares<'a> {
    pub(crate) gradient: View<'a>,
    pub(crate) outputs: usize,
    pub(crate) numbers: usize,
    /// Whether it is that of a 3×3 convolution's weight.
    pub(crate) is_conv3: bool,
}

#[cfg(feature = "cuda")]
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
