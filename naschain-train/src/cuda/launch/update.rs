#![allow(unsafe_code)] // as in the parent module

use cubecl::cuda::CudaRuntime;

use super::{dim, grid};
use crate::cuda::gpu::{Gpu, View};
use crate::cuda::kernels::update;

/// One SGD step of all parameters.
pub(in crate::cuda) struct Update<'a> {
    pub(in crate::cuda) parameters: View<'a>,
    pub(in crate::cuda) velocities: View<'a>,
    pub(in crate::cuda) gradients: View<'a>,
    pub(in crate::cuda) numbers: usize,
    /// Offset and length of each row.
    pub(in crate::cuda) rows: View<'a>,
    pub(in crate::cuda) row_count: usize,
    /// First row and number of rows of each parameter.
    pub(in crate::cuda) tensors: View<'a>,
    pub(in crate::cuda) tensor_count: usize,
    pub(in crate::cuda) clip_norm: f32,
    pub(in crate::cuda) rate: f32,
    pub(in crate::cuda) momentum: f32,
    pub(in crate::cuda) weight_decay: f32,
    pub(in crate::cuda) nesterov: bool,
}

impl Update<'_> {
    /// Clips and updates; `sums` are the buffers for the sums of squares of rows and of parameters.
    pub(in crate::cuda) fn run(&self, gpu: &Gpu, [row_sums, tensor_sums]: [View; 2]) {
        // SAFETY: as above.
        unsafe {
            update::row_squares::launch_unchecked::<CudaRuntime>(
                &gpu.client,
                grid(self.row_count),
                dim(),
                self.gradients.arg(self.numbers),
                self.rows.arg(2 * self.row_count),
                row_sums.arg(self.row_count),
                self.row_count,
            );
            update::tensor_squares::launch_unchecked::<CudaRuntime>(
                &gpu.client,
                grid(self.tensor_count),
                dim(),
                row_sums.arg(self.row_count),
                self.tensors.arg(2 * self.tensor_count),
                tensor_sums.arg(self.tensor_count),
                self.tensor_count,
            );
            update::sgd::launch_unchecked::<CudaRuntime>(
                &gpu.client,
                grid(self.numbers),
                dim(),
                self.gradients.arg(self.numbers),
                tensor_sums.arg(self.tensor_count),
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
