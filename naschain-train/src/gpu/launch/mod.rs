//! Launches the kernels. Each has one thread per output or per tile of outputs.

#![allow(unsafe_code)] // kernels access memory unchecked, within bounds that `View::arg` verified

mod conv1;
mod conv3;
mod depthwise;
mod moves;
mod norm;
mod taps;
mod update;
mod values;
mod window;

use cubecl::prelude::*;

pub(crate) use self::conv1::{Conv1, Sources};
pub(crate) use self::conv3::Conv3;
pub(crate) use self::depthwise::Depthwise;
pub(crate) use self::moves::{CopyValues, Subsample, copy, resize};
pub(crate) use self::norm::{Norm, StatisticsViews};
pub(crate) use self::taps::TapConvolution;
#[cfg(feature = "cuda")]
pub(crate) use self::update::Squares;
pub(crate) use self::update::{Sgd, Update};
pub(crate) use self::values::{ImageValues, apply, apply_back, scale_planes, scale_sums};
pub(crate) use self::window::Windows;
use super::{Gpu, View, kernels};
use crate::kernels::{BLOCK, chunk};

/// Threads per block.
const THREADS: u32 = 128;
/// Outputs per thread of a convolution: channels and images.
///
/// Threads lie along pixels, and no thread waits for another. Sizes are arguments, not constants of
/// a kernel, so that a search compiles each kernel once.
const TILE: (usize, usize) = (8, 4);
/// Weights per thread of a gradient with respect to weights: input and output channels.
const WEIGHTS: (usize, usize) = (2, 4);

/// Most blocks of a grid in one dimension, with Vulkan and Metal.
const MAX_BLOCKS: usize = 65535;

/// Blocks for that many threads, and some more if one dimension is not enough: each kernel ends the
/// threads that it has no work for.
fn grid(threads: usize) -> CubeCount {
    let blocks = threads.div_ceil(THREADS as usize);
    let rows = blocks.div_ceil(MAX_BLOCKS).max(1);
    CubeCount::Static(blocks.div_ceil(rows) as u32, rows as u32, 1)
}

fn dim() -> CubeDim {
    CubeDim::new_1d(THREADS)
}

/// Folds `[part][element]` within each block of parts, then over the blocks.
pub(crate) fn fold_parts<R: Runtime>(
    gpu: &Gpu<R>,
    partial: View,
    out: View,
    parts: usize,
    block: usize,
    numbers: usize,
) {
    assert_eq!(partial.at, 0);
    // SAFETY: as above.
    unsafe {
        kernels::gradient::fold::launch_unchecked::<R>(
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

/// Folds the sums of the gradient with respect to `numbers` weights, one per chunk of images, of a
/// convolution whose output has `pixels`.
fn fold_chunks<R: Runtime>(
    gpu: &Gpu<R>,
    partial: View,
    out: View,
    [images, pixels]: [usize; 2],
    numbers: usize,
) {
    let in_chunk = chunk(pixels);
    let chunks = images.div_ceil(in_chunk);
    fold_parts(gpu, partial, out, chunks, BLOCK / in_chunk, numbers);
}

fn plane_sums<R: Runtime>(gpu: &Gpu<R>, z: View, sums: View, planes: usize, pixels: usize) {
    // SAFETY: as above.
    unsafe {
        kernels::norm::sums::launch_unchecked::<R>(
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

/// The mean of each plane; `sums` is the buffer for the stripes.
pub(crate) fn average<R: Runtime>(
    gpu: &Gpu<R>,
    y: View,
    sums: View,
    out: View,
    planes: usize,
    pixels: usize,
) {
    plane_sums(gpu, y, sums, planes, pixels);
    // SAFETY: as above.
    unsafe {
        kernels::norm::means::launch_unchecked::<R>(
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

pub(crate) fn average_back<R: Runtime>(
    gpu: &Gpu<R>,
    dmeans: View,
    dy: View,
    planes: usize,
    pixels: usize,
) {
    // SAFETY: as above.
    unsafe {
        kernels::pool::average_back::launch_unchecked::<R>(
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
pub(crate) fn pool<R: Runtime>(
    gpu: &Gpu<R>,
    y: View,
    out: View,
    planes: usize,
    [height, width]: [usize; 2],
) {
    let numbers = planes * (height / 2) * (width / 2);
    // SAFETY: as above.
    unsafe {
        kernels::pool::pool::launch_unchecked::<R>(
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

pub(crate) fn pool_back<R: Runtime>(
    gpu: &Gpu<R>,
    y: View,
    dout: View,
    dy: View,
    planes: usize,
    [height, width]: [usize; 2],
) {
    // SAFETY: as above.
    unsafe {
        kernels::pool::pool_back::launch_unchecked::<R>(
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

/// Adds the linear layer's bias to the logits.
pub(crate) fn bias<R: Runtime>(gpu: &Gpu<R>, bias: View, out: View, images: usize, classes: usize) {
    // SAFETY: as above.
    unsafe {
        kernels::join::add_bias::launch_unchecked::<R>(
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

/// For each three numbers `a`, `b`, `c`: `a * b + c`, `a / b` and the square root of `a`.
pub(crate) fn probe<R: Runtime>(gpu: &Gpu<R>, numbers: &[f32]) -> Vec<f32> {
    let count = numbers.len() / 3;
    let input = gpu.write(numbers);
    let out = gpu.allocate(numbers.len());
    // SAFETY: as above.
    unsafe {
        kernels::rounding::probe::launch_unchecked::<R>(
            &gpu.client,
            grid(count),
            dim(),
            input.all().arg(numbers.len()),
            out.all().arg(numbers.len()),
            count,
        );
    }
    gpu.read(&out, numbers.len())
}
