//! The kernels as functions: each has as many threads as it has outputs, or tiles of them.

#![allow(unsafe_code)] // kernels read and write what `View::arg` has looked at, unchecked

use cubecl::prelude::*;
use cubecl::cuda::CudaRuntime;

use super::gpu::{Gpu, View};
use super::kernels::convolution::{Sizes3Launch, conv3};
use super::kernels::gradient::{Weights3Launch, conv1_weights, conv3_weights, fold};
use super::kernels::join::{Sizes1Launch, add_bias, conv1, conv1_back};
use super::kernels::{norm, pool, update};
use crate::kernels::{BLOCK, chunk};

/// Outputs of one thread of a convolution: channels and images.
const TILE: (usize, usize) = (8, 4);
/// Weights of one thread of a gradient by weights: input and output channels.
const WEIGHTS: (usize, usize) = (2, 4);

fn grid(threads: usize) -> CubeCount {
    CubeCount::Static(threads.div_ceil(128) as u32, 1, 1)
}

fn dim() -> CubeDim {
    CubeDim::new_1d(128)
}

/// A 3×3 convolution.
#[derive(Clone, Copy)]
pub(super) struct Conv3 {
    pub(super) images: usize,
    /// Rows and columns of the output.
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) padding: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
}

/// A 1×1 convolution of one map or several.
#[derive(Clone, Copy)]
pub(super) struct Conv1<'a> {
    pub(super) images: usize,
    pub(super) pixels: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// The table of all joins' sources, where this one's begin, and how many they are.
    pub(super) sources: View<'a>,
    pub(super) count: usize,
    /// From one map to the next, and how many there are.
    pub(super) map_step: usize,
    pub(super) maps: usize,
    /// `[path][image of the batch]`; nothing where nothing is dropped.
    pub(super) factors: Option<View<'a>>,
}

/// A batch norm of a map.
#[derive(Clone, Copy)]
pub(super) struct Norm<'a> {
    pub(super) images: usize,
    pub(super) channels: usize,
    pub(super) pixels: usize,
    pub(super) z: View<'a>,
    /// Where its statistics begin, and how many numbers each part of all has.
    pub(super) statistics: View<'a>,
    pub(super) part: usize,
    pub(super) parameters: View<'a>,
    pub(super) weight_at: usize,
    pub(super) bias_at: usize,
}

impl Conv3 {
    fn padded(&self) -> (usize, usize) {
        let less = 2 - 2 * self.padding;
        (self.height + less, self.width + less)
    }

    fn in_numbers(&self) -> usize {
        let (height, width) = self.padded();
        self.images * self.inputs * height * width
    }

    fn out_numbers(&self) -> usize {
        self.images * self.outputs * self.height * self.width
    }

    pub(super) fn weights(&self) -> usize {
        9 * self.inputs * self.outputs
    }

    pub(super) fn chunks(&self) -> usize {
        self.images.div_ceil(chunk(self.height * self.width))
    }

    fn sizes(&self, x: View, weights: View, out: View) -> Sizes3Launch<CudaRuntime> {
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

    pub(super) fn run(&self, gpu: &Gpu, x: View, weights: View, out: View) {
        self.launch(gpu, x, weights, out, false, false);
    }

    /// With the weights of the convolution whose gradient by its input this is; their inputs are
    /// this one's outputs.
    pub(super) fn run_back(&self, gpu: &Gpu, x: View, weights: View, out: View, add: bool) {
        self.launch(gpu, x, weights, out, true, add);
    }

    fn launch(&self, gpu: &Gpu, x: View, weights: View, out: View, turned: bool, add: bool) {
        let pixels = self.height * self.width;
        let tiles = self.outputs.div_ceil(TILE.0) * self.images.div_ceil(TILE.1);
        // SAFETY: the views hold what the kernel reads and writes.
        unsafe {
            conv3::launch_unchecked::<CudaRuntime>(
                &gpu.client,
                grid(pixels * tiles),
                dim(),
                x.arg(self.in_numbers()),
                weights.arg(self.weights()),
                out.arg(self.out_numbers()),
                self.sizes(x, weights, out),
                TILE.0,
                TILE.1,
                turned,
                add,
            );
        }
    }

    /// The gradient by the weights, with room for the chunks' sums.
    pub(super) fn gradient(&self, gpu: &Gpu, x: View, dz: View, partial: View, out: View) {
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
            conv3_weights::launch_unchecked::<CudaRuntime>(
                &gpu.client,
                grid(3 * tiles * self.chunks()),
                dim(),
                x.arg(self.in_numbers()),
                dz.arg(self.out_numbers()),
                partial.arg(self.chunks() * self.weights()),
                sizes,
                WEIGHTS.0,
                WEIGHTS.1,
            );
        }
        fold_parts(gpu, partial, out, self.chunks(), BLOCK / images, self.weights());
    }
}

impl<'a> Conv1<'a> {
    pub(super) fn weights(&self) -> usize {
        self.count * self.inputs * self.outputs
    }

    pub(super) fn chunks(&self) -> usize {
        self.images.div_ceil(chunk(self.pixels))
    }

    fn map_numbers(&self) -> usize {
        (self.maps - 1) * self.map_step + self.images * self.inputs * self.pixels
    }

    fn out_numbers(&self) -> usize {
        self.images * self.outputs * self.pixels
    }

    fn sizes(&self, weights_at: usize) -> Sizes1Launch<CudaRuntime> {
        Sizes1Launch::new(
            self.images,
            self.pixels,
            self.inputs,
            self.outputs,
            self.sources.at / super::kernels::join::SOURCE,
            self.count,
            self.map_step,
            weights_at,
            self.images,
        )
    }

    fn sources(&self) -> ArrayArg<CudaRuntime> {
        self.sources.arg(self.count * super::kernels::join::SOURCE)
    }

    /// Where there are no factors, any buffer stands in that is not read.
    fn factors(&self) -> ArrayArg<CudaRuntime> {
        self.factors.unwrap_or(self.sources).arg(0)
    }

    pub(super) fn run(&self, gpu: &Gpu, maps: View, weights: View, out: View) {
        let tiles = self.outputs.div_ceil(TILE.0) * self.images.div_ceil(TILE.1);
        assert_eq!((maps.at, out.at), (0, 0));
        // SAFETY: as above.
        unsafe {
            conv1::launch_unchecked::<CudaRuntime>(
                &gpu.client,
                grid(self.pixels * tiles),
                dim(),
                maps.arg(self.map_numbers()),
                weights.arg(self.weights()),
                self.sources(),
                self.factors(),
                out.arg(self.out_numbers()),
                self.sizes(weights.at),
                TILE.0,
                TILE.1,
                self.factors.is_some(),
            );
        }
    }

    /// The gradients by the maps.
    pub(super) fn run_back(&self, gpu: &Gpu, dz: View, weights: View, maps: View) {
        let tiles = self.inputs.div_ceil(TILE.0) * self.images.div_ceil(TILE.1);
        assert_eq!((maps.at, dz.at), (0, 0));
        // SAFETY: as above.
        unsafe {
            conv1_back::launch_unchecked::<CudaRuntime>(
                &gpu.client,
                grid(self.pixels * tiles * self.count),
                dim(),
                dz.arg(self.out_numbers()),
                weights.arg(self.weights()),
                self.sources(),
                self.factors(),
                maps.arg(self.map_numbers()),
                self.sizes(weights.at),
                TILE.0,
                TILE.1,
                self.factors.is_some(),
            );
        }
    }

    /// The gradient by the weights, with room for the chunks' sums.
    pub(super) fn gradient(&self, gpu: &Gpu, maps: View, dz: View, partial: View, out: View) {
        let images = chunk(self.pixels);
        let tiles = self.inputs.div_ceil(WEIGHTS.0) * self.outputs.div_ceil(WEIGHTS.1);
        assert_eq!(maps.at, 0);
        // SAFETY: as above.
        unsafe {
            conv1_weights::launch_unchecked::<CudaRuntime>(
                &gpu.client,
                grid(tiles * self.chunks() * self.count),
                dim(),
                maps.arg(self.map_numbers()),
                dz.arg(self.out_numbers()),
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
        fold_parts(gpu, partial, out, self.chunks(), BLOCK / images, self.weights());
    }
}

/// `[part][number]` folded within each block of parts, and the blocks.
pub(super) fn fold_parts(
    gpu: &Gpu,
    partial: View,
    out: View,
    parts: usize,
    block: usize,
    numbers: usize,
) {
    assert_eq!(partial.at, 0);
    // SAFETY: as above.
    unsafe {
        fold::launch_unchecked::<CudaRuntime>(
            &gpu.client,
            grid(numbers),
            dim(),
            partial.arg(parts * numbers),
            out.arg(numbers),
            parts,
            block,
            numbers,
            out.at,
        );
    }
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
        self.parameters.arg(self.weight_at.max(self.bias_at) + self.channels)
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

    /// The statistics of the batch, with room for the stripes.
    pub(super) fn observe(&self, gpu: &Gpu, sums: View, squares: View) {
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
            norm::observe::launch_unchecked::<CudaRuntime>(
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

    /// Takes the running statistics for those of the batch.
    pub(super) fn recall(&self, gpu: &Gpu) {
        // SAFETY: as above.
        unsafe {
            norm::recall::launch_unchecked::<CudaRuntime>(
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

    pub(super) fn normalise(&self, gpu: &Gpu, y: View) {
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

    /// From the gradient `dy` to those of weight and bias and the one by the input, with room for
    /// the stripes.
    pub(super) fn backward(
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

fn plane_sums(gpu: &Gpu, z: View, sums: View, planes: usize, pixels: usize) {
    // SAFETY: as above.
    unsafe {
        norm::sums::launch_unchecked::<CudaRuntime>(
            &gpu.client,
            grid(4 * planes),
            dim(),
            z.arg(planes * pixels),
            sums.arg(4 * planes),
            planes,
            pixels,
            z.at,
        );
    }
}

/// The mean of each plane, with room for the stripes.
pub(super) fn average(gpu: &Gpu, y: View, sums: View, out: View, planes: usize, pixels: usize) {
    plane_sums(gpu, y, sums, planes, pixels);
    // SAFETY: as above.
    unsafe {
        norm::means::launch_unchecked::<CudaRuntime>(
            &gpu.client,
            grid(planes),
            dim(),
            sums.arg(4 * planes),
            out.arg(planes),
            planes,
            pixels,
        );
    }
}

pub(super) fn average_back(gpu: &Gpu, dmeans: View, dy: View, planes: usize, pixels: usize) {
    // SAFETY: as above.
    unsafe {
        pool::average_back::launch_unchecked::<CudaRuntime>(
            &gpu.client,
            grid(planes * pixels),
            dim(),
            dmeans.arg(planes),
            dy.arg(planes * pixels),
            planes * pixels,
            pixels,
        );
    }
}

/// 2×2 max pooling of `planes` of `height` × `width`.
pub(super) fn pool(gpu: &Gpu, y: View, out: View, planes: usize, [height, width]: [usize; 2]) {
    let numbers = planes * (height / 2) * (width / 2);
    // SAFETY: as above.
    unsafe {
        pool::pool::launch_unchecked::<CudaRuntime>(
            &gpu.client,
            grid(numbers),
            dim(),
            y.arg(planes * height * width),
            out.arg(numbers),
            planes,
            height,
            width,
            out.at,
        );
    }
}

pub(super) fn pool_back(
    gpu: &Gpu,
    y: View,
    dout: View,
    dy: View,
    planes: usize,
    [height, width]: [usize; 2],
) {
    // SAFETY: as above.
    unsafe {
        pool::pool_back::launch_unchecked::<CudaRuntime>(
            &gpu.client,
            grid(planes * height * width),
            dim(),
            y.arg(planes * height * width),
            dout.arg(planes * (height / 2) * (width / 2)),
            dy.arg(planes * height * width),
            planes,
            height,
            width,
            dout.at,
        );
    }
}

pub(super) fn copy(gpu: &Gpu, from: View, to: View, numbers: usize) {
    assert_eq!(from.at, 0);
    // SAFETY: as above.
    unsafe {
        pool::copy::launch_unchecked::<CudaRuntime>(
            &gpu.client,
            grid(numbers),
            dim(),
            from.arg(numbers),
            to.arg(numbers),
            numbers,
            to.at,
        );
    }
}

/// Adds the linear layer's bias to the logits.
pub(super) fn bias(gpu: &Gpu, bias: View, out: View, images: usize, classes: usize) {
    // SAFETY: as above.
    unsafe {
        add_bias::launch_unchecked::<CudaRuntime>(
            &gpu.client,
            grid(images * classes),
            dim(),
            bias.arg(classes),
            out.arg(images * classes),
            images * classes,
            classes,
            bias.at,
        );
    }
}

/// One step of all parameters.
pub(super) struct Update<'a> {
    pub(super) parameters: View<'a>,
    pub(super) velocities: View<'a>,
    pub(super) gradients: View<'a>,
    pub(super) numbers: usize,
    /// Where each row begins and how many numbers it has.
    pub(super) rows: View<'a>,
    pub(super) row_count: usize,
    /// Each parameter's first row, and how many.
    pub(super) tensors: View<'a>,
    pub(super) tensor_count: usize,
    pub(super) clip_norm: f32,
    pub(super) rate: f32,
    pub(super) momentum: f32,
    pub(super) weight_decay: f32,
    pub(super) nesterov: bool,
}

impl Update<'_> {
    /// With room for the sums of squares of rows and of parameters.
    pub(super) fn run(&self, gpu: &Gpu, [row_sums, tensor_sums]: [View; 2]) {
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
