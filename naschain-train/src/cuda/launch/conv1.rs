#![allow(unsafe_code)] // as in the parent module

use cubecl::cuda::CudaRuntime;
use cubecl::prelude::*;

use super::{TILE, WEIGHTS, dim, fold_parts, grid};
use crate::cuda::gpu::{Gpu, View};
use crate::cuda::kernels::gradient::conv1_weights;
use crate::cuda::kernels::join::{SOURCE, Sizes1Launch, conv1, conv1_back};
use crate::kernels::{BLOCK, chunk};

/// A 1×1 convolution of one or several maps.
#[derive(Clone, Copy)]
pub(in crate::cuda) struct Conv1<'a> {
    pub(in crate::cuda) images: usize,
    pub(in crate::cuda) pixels: usize,
    pub(in crate::cuda) inputs: usize,
    pub(in crate::cuda) outputs: usize,
    /// The table of all joins' sources from this join's first, and their number.
    pub(in crate::cuda) sources: View<'a>,
    pub(in crate::cuda) count: usize,
    /// Stride between maps, and their number.
    pub(in crate::cuda) map_step: usize,
    pub(in crate::cuda) maps: usize,
    /// `[path][image of the batch]`; `None` if nothing is dropped.
    pub(in crate::cuda) factors: Option<View<'a>>,
}

impl Conv1<'_> {
    pub(in crate::cuda) fn weights(&self) -> usize {
        self.count * self.inputs * self.outputs
    }

    pub(in crate::cuda) fn chunks(&self) -> usize {
        self.images.div_ceil(chunk(self.pixels))
    }

    fn map_elements(&self) -> usize {
        (self.maps - 1) * self.map_step + self.images * self.inputs * self.pixels
    }

    fn out_elements(&self) -> usize {
        self.images * self.outputs * self.pixels
    }

    fn sizes(&self, weights_at: usize) -> Sizes1Launch<CudaRuntime> {
        Sizes1Launch::new(
            self.images,
            self.pixels,
            self.inputs,
            self.outputs,
            self.sources.at / SOURCE,
            self.count,
            self.map_step,
            weights_at,
            self.images,
        )
    }

    fn sources(&self) -> ArrayArg<CudaRuntime> {
        self.sources.arg(self.count * SOURCE)
    }

    /// Without factors, any buffer serves as an argument that is not read.
    fn factors(&self) -> ArrayArg<CudaRuntime> {
        self.factors.unwrap_or(self.sources).arg(0)
    }

    pub(in crate::cuda) fn run(&self, gpu: &Gpu, maps: View, weights: View, out: View) {
        let tiles = self.outputs.div_ceil(TILE.0) * self.images.div_ceil(TILE.1);
        assert_eq!((maps.at, out.at), (0, 0));
        // SAFETY: as above.
        unsafe {
            conv1::launch_unchecked::<CudaRuntime>(
                &gpu.client,
                grid(self.pixels * tiles),
                dim(),
                maps.arg(self.map_elements()),
                weights.arg(self.weights()),
                self.sources(),
                self.factors(),
                out.arg(self.out_elements()),
                self.sizes(weights.at),
                TILE.0,
                TILE.1,
                self.factors.is_some(),
            );
        }
    }

    /// The gradients with respect to the maps.
    pub(in crate::cuda) fn run_back(&self, gpu: &Gpu, dz: View, weights: View, maps: View) {
        let tiles = self.inputs.div_ceil(TILE.0) * self.images.div_ceil(TILE.1);
        assert_eq!((maps.at, dz.at), (0, 0));
        // SAFETY: as above.
        unsafe {
            conv1_back::launch_unchecked::<CudaRuntime>(
                &gpu.client,
                grid(self.pixels * tiles * self.count),
                dim(),
                dz.arg(self.out_elements()),
                weights.arg(self.weights()),
                self.sources(),
                self.factors(),
                maps.arg(self.map_elements()),
                self.sizes(weights.at),
                TILE.0,
                TILE.1,
                self.factors.is_some(),
            );
        }
    }

    /// The gradient with respect to the weights; `partial` is the buffer for the chunks' sums.
    pub(in crate::cuda) fn gradient(
        &self,
        gpu: &Gpu,
        maps: View,
        dz: View,
        partial: View,
        out: View,
    ) {
        let images = chunk(self.pixels);
        let tiles = self.inputs.div_ceil(WEIGHTS.0) * self.outputs.div_ceil(WEIGHTS.1);
        assert_eq!(maps.at, 0);
        // SAFETY: as above.
        unsafe {
            conv1_weights::launch_unchecked::<CudaRuntime>(
                &gpu.client,
                grid(tiles * self.chunks() * self.count),
                dim(),
                maps.arg(self.map_elements()),
                dz.arg(self.out_elements()),
                self.sources(),
                self.factors(),
                partial.arg(self.chunks() * self.weights()),
                self.sizes(0),
                images,
                dz.at,
                WEIGHTS.0,
                WEIGHTS.1,
                self.factors.is_some(),
            );
        }
        fold_parts(
            gpu,
            partial,
            out,
            self.chunks(),
            BLOCK / images,
            self.weights(),
        );
    }
}
