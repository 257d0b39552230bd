#![allow(unsafe_code)] // as in the parent module

use cubecl::prelude::*;

use super::{dim, fold_chunks, grid};
use crate::gpu::kernels::depthwise::{
    DepthwiseSizesLaunch, depthwise, depthwise_back, depthwise_weights,
};
use crate::gpu::{Gpu, View};
use crate::kernels::chunk;

/// A depthwise convolution with the padding that keeps the resolution.
#[derive(Clone, Copy)]
pub(crate) struct Depthwise {
    pub(crate) images: usize,
    pub(crate) channels: usize,
    /// Rows and columns of the input and of the output.
    pub(crate) from: [usize; 2],
    pub(crate) to: [usize; 2],
    /// Rows of the kernel.
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
}

impl Depthwise {
    fn elements(&self, [height, width]: [usize; 2]) -> usize {
        self.images * self.channels * height * width
    }

    fn weights(&self) -> usize {
        self.channels * self.kernel * self.kernel
    }

    fn out_pixels(&self) -> usize {
        self.to[0] * self.to[1]
    }

    fn sizes<R: Runtime>(&self, weights_at: usize) -> DepthwiseSizesLaunch<R> {
        DepthwiseSizesLaunch::new(
            self.images,
            self.channels,
            self.from[0],
            self.from[1],
            self.to[0],
            self.to[1],
            self.kernel,
            self.stride,
            self.dilation,
            self.dilation * (self.kernel - 1) / 2,
            weights_at,
        )
    }

    pub(crate) fn run<R: Runtime>(&self, gpu: &Gpu<R>, x: View, weights: View, out: View) {
        assert_eq!((x.at, out.at), (0, 0));
        // SAFETY: the views contain everything that the kernel reads and writes.
        unsafe {
            depthwise::launch_unchecked::<R>(
                &gpu.client,
                grid(self.elements(self.to)),
                dim(),
                x.arg(self.elements(self.from)),
                weights.arg(self.weights()),
                out.arg(self.elements(self.to)),
                self.sizes(weights.at),
            );
        }
    }

    /// The gradient with respect to the input.
    pub(crate) fn run_back<R: Runtime>(&self, gpu: &Gpu<R>, dz: View, weights: View, dx: View) {
        assert_eq!((dz.at, dx.at), (0, 0));
        // SAFETY: as above.
        unsafe {
            depthwise_back::launch_unchecked::<R>(
                &gpu.client,
                grid(self.elements(self.from)),
                dim(),
                dz.arg(self.elements(self.to)),
                weights.arg(self.weights()),
                dx.arg(self.elements(self.from)),
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
            depthwise_weights::launch_unchecked::<R>(
                &gpu.client,
                grid(self.weights() * chunks),
                dim(),
                x.arg(self.elements(self.from)),
                dz.arg(self.elements(self.to)),
                partial.arg(self.weights() * chunks),
                self.sizes(0),
                images,
            );
        }
        let sizes = [self.images, self.out_pixels()];
        fold_chunks(gpu, partial, out, sizes, self.weights());
    }
}
