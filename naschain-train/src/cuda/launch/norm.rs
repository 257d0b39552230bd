#![allow(unsafe_code)] // as in the parent module

use cubecl::cuda::CudaRuntime;
use cubecl::prelude::*;

use super::{dim, grid, plane_sums};
use crate::cuda::gpu::{Gpu, View};
use crate::cuda::kernels::norm;
use crate::kernels::BLOCK;

/// A batch norm and its map.
#[derive(Clone, Copy)]
pub(in crate::cuda) struct Norm<'a> {
    pub(in crate::cuda) images: usize,
    pub(in crate::cuda) channels: usize,
    pub(in crate::cuda) pixels: usize,
    pub(in crate::cuda) z: View<'a>,
    /// Its statistics, and the number of elements per part.
    pub(in crate::cuda) statistics: View<'a>,
    pub(in crate::cuda) part: usize,
    pub(in crate::cuda) parameters: View<'a>,
    pub(in crate::cuda) weight_at: usize,
    pub(in crate::cuda) bias_at: usize,
}

impl Norm<'_> {
    fn planes(&self) -> usize {
        self.images * self.channels
    }

    fn numbers(&self) -> usize {
        self.planes() * self.pixels
    }

    fn z(&self) -> ArrayArg<CudaRuntime> {
        self.z.arg(self.numbers())
    }

    fn statistics(&self) -> ArrayArg<CudaRuntime> {
        let parts = norm::PARTS - 1;
        self.statistics.arg(parts * self.part + self.channels)
    }

    fn parameters(&self) -> ArrayArg<CudaRuntime> {
        self.parameters
            .arg(self.weight_at.max(self.bias_at) + self.channels)
    }

    fn sizes(&self) -> norm::NormLaunch<CudaRuntime> {
        norm::NormLaunch::new(
            self.images,
            self.channels,
            self.pixels,
            self.statistics.at,
            self.part,
            self.weight_at,
            self.bias_at,
            self.z.at,
        )
    }

    /// Computes the statistics of the batch; the buffers are for the stripes.
    pub(in crate::cuda) fn update_statistics(&self, gpu: &Gpu, sums: View, squares: View) {
        let (planes, pixels) = (self.planes(), self.pixels);
        plane_sums(gpu, self.z, sums, planes, pixels);
        // SAFETY: as above.
        unsafe {
            norm::squares::launch_unchecked::<CudaRuntime>(
                &gpu.client,
                grid(4 * planes),
                dim(),
                self.z(),
                sums.arg(4 * planes),
                squares.arg(4 * planes),
                planes,
                pixels,
                self.z.at,
            );
            norm::update_statistics::launch_unchecked::<CudaRuntime>(
                &gpu.client,
                grid(self.channels),
                dim(),
                sums.arg(4 * planes),
                squares.arg(4 * planes),
                self.parameters(),
                self.statistics(),
                self.sizes(),
                BLOCK,
            );
        }
    }

    /// Uses the running statistics instead of the batch's.
    pub(in crate::cuda) fn load_running_statistics(&self, gpu: &Gpu) {
        // SAFETY: as above.
        unsafe {
            norm::load_running_statistics::launch_unchecked::<CudaRuntime>(
                &gpu.client,
                grid(self.channels),
                dim(),
                self.parameters(),
                self.statistics(),
                self.channels,
                self.statistics.at,
                self.part,
                self.weight_at,
            );
        }
    }

    pub(in crate::cuda) fn normalise(&self, gpu: &Gpu, y: View) {
        // SAFETY: as above.
        unsafe {
            norm::normalise::launch_unchecked::<CudaRuntime>(
                &gpu.client,
                grid(self.numbers()),
                dim(),
                self.z(),
                self.statistics(),
                self.parameters(),
                y.arg(self.numbers()),
                self.sizes(),
                y.at,
            );
        }
    }

    /// From the gradient `dy` computes those with respect to weight, bias and input, with buffers
    /// for the stripes.
    pub(in crate::cuda) fn backward(
        &self,
        gpu: &Gpu,
        dy: View,
        stripes: [View; 2],
        gradients: View,
        dz: View,
    ) {
        let planes = self.planes();
        let [sums, products] = stripes;
        assert_eq!(dz.at, 0);
        // SAFETY: as above.
        unsafe {
            norm::backward_sums::launch_unchecked::<CudaRuntime>(
                &gpu.client,
                grid(4 * planes),
                dim(),
                self.z(),
                dy.arg(self.numbers()),
                self.statistics(),
                self.parameters(),
                sums.arg(4 * planes),
                products.arg(4 * planes),
                self.sizes(),
                dy.at,
            );
            norm::backward_statistics::launch_unchecked::<CudaRuntime>(
                &gpu.client,
                grid(self.channels),
                dim(),
                sums.arg(4 * planes),
                products.arg(4 * planes),
                self.statistics(),
                gradients.arg(self.weight_at.max(self.bias_at) + self.channels),
                self.sizes(),
                BLOCK,
            );
            norm::backward_input::launch_unchecked::<CudaRuntime>(
                &gpu.client,
                grid(self.numbers()),
                dim(),
                self.z(),
                dy.arg(self.numbers()),
                self.statistics(),
                self.parameters(),
                dz.arg(self.numbers()),
                self.sizes(),
                dy.at,
            );
        }
    }
}
