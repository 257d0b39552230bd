#![allow(unsafe_code)] // as in the parent module

use cubecl::prelude::*;

use super::{dim, fold_chunks, grid};
use crate::gpu::kernels::taps::{TapSizesLaunch, taps, taps_back, taps_weights};
use crate::gpu::{Gpu, View};
use crate::kernels::chunk;

/// A convolution whose kernel is one row or one column, with the padding that keeps the resolution.
#[derive(Clone, Copy)]
pub(crate) struct TapConvolution {
    pub(crate) images: usize,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Rows and columns of the input and of the output.
    pub(crate) from: [usize; 2],
    pub(crate) to: [usize; 2],
    /// Rows and columns of the kernel and of the stride.
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: [usize; 2],
}

impl TapConvolution {
    fn in_elements(&self) -> usize {
        self.images * self.inputs * self.from[0] * self.from[1]
    }

    fn out_elements(&self) -> usize {
        self.images * self.outputs * self.out_pixels()
    }

    fn out_pixels(&self) -> usize {
        self.to[0] * self.to[1]
    }

    fn weights(&self) -> usize {
        self.outputs * self.inputs * self.kernel[0] * self.kernel[1]
    }

    fn sizes<R: Runtime>(&self, weights_at: usize) -> TapSizesLaunch<R> {
        TapSizesLaunch::new(
            self.images,
            self.inputs,
            self.outputs,
            self.from[0],
            self.from[1],
            self.to[0],
            self.to[1],
            self.kernel[0],
            self.kernel[1],
            self.stride[0],
            self.stride[1],
            weights_at,
        )
    }

    pub(crate) fn run<R: Runtime>(&self, gpu: &Gpu<R>, x: View, weights: View, out: View) {
        assert_eq!((x.at, out.at), (0, 0));
        // SAFETY: the views contain everything that the kernel reads and writes.
        unsafe {
            taps::launch_unchecked::<R>(
                &gpu.client,
                grid(self.out_elements()),
                dim(),
                x.arg(self.in_elements()),
                weights.arg(self.weights()),
                out.arg(self.out_elements()),
                self.sizes(weights.at),
            );
        }
    }

    /// The gradient with respect to the input.
    pub(crate) fn run_back<R: Runtime>(&self, gpu: &Gpu<R>, dz: View, weights: View, dx: View) {
        assert_eq!((dz.at, dx.at), (0, 0));
        // SAFETY: as above.
        unsafe {
            taps_back::launch_unchecked::<R>(
                &gpu.client,
                grid(self.in_elements()),
                dim(),
                dz.arg(self.out_elements()),
                weights.arg(self.weights()),
                dx.arg(self.in_elements()),
                self.sizes(weights.at),
            );
        }
    }

    /// The gradient with respect to the weights; `partial` is the buffer for the chunks' sums.
    pub(crate) fn gradient<R: Runtime>(
        &self,
        gpu: &Gpu<R>,
        x: View,
        dz: View,
        partial: View,
        out: View,
    ) {
        let images = chunk(self.out_pixels());
        let chunks = self.images.div_ceil(images);
        assert_eq!((x.at, dz.at, partial.at), (0, 0, 0));
        // SAFETY: as above.
        unsafe {
            taps_weights::launch_unchecked::<R>(
                &gpu.client,
                grid(self.weights() * chunks),
                dim(),
                x.arg(self.in_elements()),
                dz.arg(self.out_elements()),
                partial.arg(self.weights() * chunks),
                self.sizes(0),
                images,
            );
        }
        let sizes = [self.images, self.out_pixels()];
        fold_chunks(gpu, partial, out, sizes, self.weights());
    }
}
