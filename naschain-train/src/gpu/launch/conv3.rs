#![allow(unsafe_code)] // as in the parent module

use cubecl::prelude::*;

use super::{TILE, WEIGHTS, dim, fold_chunks, grid};
use crate::gpu::kernels::convolution::{Sizes3Launch, conv3};
use crate::gpu::kernels::gradient::{Weights3Launch, conv3_weights};
use crate::gpu::{Gpu, View};
use crate::kernels::chunk;

/// A 3×3 convolution.
#[derive(Clone, Copy)]
pub(crate) struct Conv3 {
    pub(crate) images: usize,
    /// Rows and columns of the output.
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) padding: usize,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Whether the weights are in PyTorch's layout.
    pub(crate) oihw: bool,
}

impl Conv3 {
    fn padded(&self) -> (usize, usize) {
        let less = 2 - 2 * self.padding;
        (self.height + less, self.width + less)
    }

    fn in_elements(&self) -> usize {
        let (height, width) = self.padded();
        self.images * self.inputs * height * width
    }

    fn out_elements(&self) -> usize {
        self.images * self.outputs * self.height * self.width
    }

    pub(crate) fn weights(&self) -> usize {
        9 * self.inputs * self.outputs
    }

    pub(crate) fn chunks(&self) -> usize {
        self.images.div_ceil(chunk(self.height * self.width))
    }

    fn sizes<R: Runtime>(&self, x: View, weights: View, out: View) -> Sizes3Launch<R> {
        let (height, width) = self.padded();
        Sizes3Launch::new(
            self.images,
            height,
            width,
            self.padding,
            self.inputs,
            self.outputs,
            x.at,
            weights.at,
            out.at,
        )
    }

    pub(crate) fn run<R: Runtime>(&self, gpu: &Gpu<R>, x: View, weights: View, out: View) {
        self.launch(gpu, x, weights, out, false, false);
    }

    /// Computes the gradient with respect to the input, with the weights of the forward
    /// convolution, whose inputs are the outputs here.
    pub(crate) fn run_back<R: Runtime>(
        &self,
        gpu: &Gpu<R>,
        x: View,
        weights: View,
        out: View,
        add: bool,
    ) {
        self.launch(gpu, x, weights, out, true, add);
    }

    fn launch<R: Runtime>(
        &self,
        gpu: &Gpu<R>,
        x: View,
        weights: View,
        out: View,
        turned: bool,
        add: bool,
    ) {
        let pixels = self.height * self.width;
        let tiles = self.outputs.div_ceil(TILE.0) * self.images.div_ceil(TILE.1);
        // SAFETY: the views contain everything that the kernel reads and writes.
        unsafe {
            conv3::launch_unchecked::<R>(
                &gpu.client,
                grid(pixels * tiles),
                dim(),
                x.arg(self.in_elements()),
                weights.arg(self.weights()),
                out.arg(self.out_elements()),
                self.sizes(x, weights, out),
                TILE.0,
                TILE.1,
                turned,
                add,
                self.oihw,
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
        let (height, width) = self.padded();
        let images = chunk(self.height * self.width);
        let tiles = self.inputs.div_ceil(WEIGHTS.0) * self.outputs.div_ceil(WEIGHTS.1);
        let sizes = Weights3Launch::new(
            self.images,
            images,
            height,
            width,
            self.padding,
            self.inputs,
            self.outputs,
            x.at,
            dz.at,
        );
        // SAFETY: as above.
        unsafe {
            conv3_weights::launch_unchecked::<R>(
                &gpu.client,
                grid(3 * tiles * self.chunks()),
                dim(),
                x.arg(self.in_elements()),
                dz.arg(self.out_elements()),
                partial.arg(self.chunks() * self.weights()),
                sizes,
                WEIGHTS.0,
                WEIGHTS.1,
                self.oihw,
            );
        }
        let sizes = [self.images, self.height * self.width];
        fold_chunks(gpu, partial, out, sizes, self.weights());
    }
}
