#![allow(unsafe_code)] // as in the parent module

use cubecl::prelude::*;

use super::{TILE, WEIGHTS, dim, fold_chunks, grid};
use crate::gpu::kernels::gradient::conv1_weights;
use crate::gpu::kernels::join::{SOURCE, Sizes1Launch, conv1, conv1_back};
use crate::gpu::{Gpu, View};
use crate::kernels::chunk;

/// The maps that a 1×1 convolution reads.
#[derive(Clone, Copy)]
pub(crate) enum Sources<'a> {
    /// Maps in one buffer.
    Table {
        /// The table of all joins' sources from this join's first, and their number.
        table: View<'a>,
        count: usize,
        /// Stride between maps, and their number.
        map_step: usize,
        maps: usize,
    },
    /// One map in a buffer of its own, the `number`th of `of` that are convolved one by one.
    One { number: usize, of: usize },
}

/// A 1×1 convolution of one or several maps.
#[derive(Clone, Copy)]
pub(crate) struct Conv1<'a> {
    pub(crate) images: usize,
    pub(crate) pixels: usize,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) sources: Sources<'a>,
    /// `[path][image of the batch]`; `None` if nothing is dropped. One map has one path.
    pub(crate) factors: Option<View<'a>>,
}

impl Conv1<'_> {
    /// Channels of all maps that are read.
    fn row(&self) -> usize {
        match self.sources {
            Sources::Table { count, .. } => count * self.inputs,
            Sources::One { of, .. } => of * self.inputs,
        }
    }

    pub(crate) fn weights(&self) -> usize {
        self.row() * self.outputs
    }

    /// Number of maps that one launch reads.
    fn count(&self) -> usize {
        match self.sources {
            Sources::Table { count, .. } => count,
            Sources::One { .. } => 1,
        }
    }

    pub(crate) fn chunks(&self) -> usize {
        self.images.div_ceil(chunk(self.pixels))
    }

    fn map_elements(&self) -> usize {
        let before = match self.sources {
            Sources::Table { map_step, maps, .. } => (maps - 1) * map_step,
            Sources::One { .. } => 0,
        };
        before + self.images * self.inputs * self.pixels
    }

    fn out_elements(&self) -> usize {
        self.images * self.outputs * self.pixels
    }

    fn is_alone(&self) -> bool {
        matches!(self.sources, Sources::One { .. })
    }

    fn sizes<R: Runtime>(&self, weights_at: usize) -> Sizes1Launch<R> {
        let (first, map_step, before) = match self.sources {
            Sources::Table {
                table, map_step, ..
            } => (table.at / SOURCE, map_step, 0),
            Sources::One { number, .. } => (0, 0, number * self.inputs),
        };
        Sizes1Launch::new(
            self.images,
            self.pixels,
            self.inputs,
            self.outputs,
            first,
            self.count(),
            self.row(),
            map_step,
            weights_at + before,
            self.images,
        )
    }

    /// The table; without one, `other` serves as an argument that is not read.
    fn table<R: Runtime>(&self, other: View) -> ArrayArg<R> {
        match self.sources {
            Sources::Table { table, count, .. } => table.arg(count * SOURCE),
            Sources::One { .. } => other.arg(0),
        }
    }

    /// The factors; without any, `other` serves as an argument that is not read.
    fn factors<R: Runtime>(&self, other: View) -> ArrayArg<R> {
        match self.factors {
            Some(factors) => factors.arg(self.images),
            None => other.arg(0),
        }
    }

    /// With `add` the sums continue those in `out`.
    pub(crate) fn run<R: Runtime>(
        &self,
        gpu: &Gpu<R>,
        maps: View,
        weights: View,
        out: View,
        add: bool,
    ) {
        let tiles = self.outputs.div_ceil(TILE.0) * self.images.div_ceil(TILE.1);
        assert_eq!((maps.at, out.at), (0, 0));
        // SAFETY: as above.
        unsafe {
            conv1::launch_unchecked::<R>(
                &gpu.client,
                grid(self.pixels * tiles),
                dim(),
                maps.arg(self.map_elements()),
                weights.arg(self.weights()),
                self.table(weights),
                self.factors(weights),
                out.arg(self.out_elements()),
                self.sizes(weights.at),
                TILE.0,
                TILE.1,
                self.factors.is_some(),
                self.is_alone(),
                add,
            );
        }
    }

    /// The gradients with respect to the maps. With `add` that of one map is added to `maps`; a
    /// table says itself which are added.
    pub(crate) fn run_back<R: Runtime>(
        &self,
        gpu: &Gpu<R>,
        dz: View,
        weights: View,
        maps: View,
        add: bool,
    ) {
        let tiles = self.inputs.div_ceil(TILE.0) * self.images.div_ceil(TILE.1);
        assert_eq!((maps.at, dz.at), (0, 0));
        // SAFETY: as above.
        unsafe {
            conv1_back::launch_unchecked::<R>(
                &gpu.client,
                grid(self.pixels * tiles * self.count()),
                dim(),
                dz.arg(self.out_elements()),
                weights.arg(self.weights()),
                self.table(weights),
                self.factors(weights),
                maps.arg(self.map_elements()),
                self.sizes(weights.at),
                TILE.0,
                TILE.1,
                self.factors.is_some(),
                self.is_alone(),
                add,
            );
        }
    }

    /// The gradient with respect to the weights of these maps, one sum per chunk of images.
    pub(crate) fn gradient_parts<R: Runtime>(
        &self,
        gpu: &Gpu<R>,
        maps: View,
        dz: View,
        partial: View,
    ) {
        let tiles = self.inputs.div_ceil(WEIGHTS.0) * self.outputs.div_ceil(WEIGHTS.1);
        assert_eq!(maps.at, 0);
        // SAFETY: as above.
        unsafe {
            conv1_weights::launch_unchecked::<R>(
                &gpu.client,
                grid(tiles * self.chunks() * self.count()),
                dim(),
                maps.arg(self.map_elements()),
                dz.arg(self.out_elements()),
                self.table(dz),
                self.factors(dz),
                partial.arg(self.chunks() * self.weights()),
                self.sizes(0),
                chunk(self.pixels),
                dz.at,
                WEIGHTS.0,
                WEIGHTS.1,
                self.factors.is_some(),
                self.is_alone(),
            );
        }
    }

    /// Folds the chunks' sums of all maps.
    pub(crate) fn fold_gradient<R: Runtime>(&self, gpu: &Gpu<R>, partial: View, out: View) {
        let sizes = [self.images, self.pixels];
        fold_chunks(gpu, partial, out, sizes, self.weights());
    }

    /// The gradient with respect to the weights; `partial` is the buffer for the chunks' sums.
    pub(crate) fn gradient<R: Runtime>(
        &self,
        gpu: &Gpu<R>,
        maps: View,
        dz: View,
        partial: View,
        out: View,
    ) {
        self.gradient_parts(gpu, maps, dz, partial);
        self.fold_gradient(gpu, partial, out);
    }
}
