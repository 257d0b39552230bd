//! Convolution of all channels whose kernel is one row or one column, and its gradients. Sums run over
//! the taps first. Weights are `[out][tap][in]`.

use cubecl::prelude::*;

/// Dimensions and offsets of such a convolution.
#[derive(CubeType, CubeLaunch)]
pub(crate) struct TapSizes {
    pub(crate) images: usize,
    pub(crate) in_channels: usize,
    pub(crate) out_channels: usize,
    /// Rows and columns of the input.
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// Rows and columns of the output.
    pub(crate) out_height: usize,
    pub(crate) out_width: usize,
    /// Rows and columns of the kernel.
    pub(crate) kernel_height: usize,
    pub(crate) kernel_width: usize,
    /// Strides down and across.
    pub(crate) stride_down: usize,
    pub(crate) stride_across: usize,
    /// Offset of the weights in their buffer.
    pub(crate) weights_at: usize,
}

/// One sum per thread.
#[cube(launch_unchecked)]
pub(crate) fn taps(x: &Array<f32>, weights: &Array<f32>, out: &mut Array<f32>, sizes: &TapSizes) {
    let pixels = sizes.out_height * sizes.out_width;
    if ABSOLUTE_POS >= sizes.images * sizes.out_channels * pixels {
        terminate!();
    }
    let channel = ABSOLUTE_POS / pixels % sizes.out_channels;
    let image = ABSOLUTE_POS / pixels / sizes.out_channels;
    let row = ABSOLUTE_POS % pixels / sizes.out_width;
    let column = ABSOLUTE_POS % sizes.out_width;
    let plane = sizes.height * sizes.width;
    let count = sizes.kernel_height * sizes.kernel_width;
    let up = (sizes.kernel_height - 1) / 2;
    let left = (sizes.kernel_width - 1) / 2;
    let mut sum = 0.0f32;
    for tap in 0..count {
        let y = row * sizes.stride_down + tap / sizes.kernel_width;
        let at = column * sizes.stride_across + tap % sizes.kernel_width;
        if y >= up && y - up < sizes.height && at >= left && at - left < sizes.width {
            let place = image * sizes.in_channels * plane + (y - up) * sizes.width + at - left;
            let weights_at = sizes.weights_at + (channel * count + tap) * sizes.in_channels;
            for input in 0..sizes.in_channels {
                sum = fma(x[place + input * plane], weights[weights_at + input], sum);
            }
        }
    }
    out[ABSOLUTE_POS] = sum;
}

/// The gradient with respect to the input, one value per thread: the sum over the taps of their sums over
/// the output channels.
#[cube(launch_unchecked)]
pub(crate) fn taps_back(
    dz: &Array<f32>,
    weights: &Array<f32>,
    dx: &mut Array<f32>,
    sizes: &TapSizes,
) {
    let pixels = sizes.height * sizes.width;
    if ABSOLUTE_POS >= sizes.images * sizes.in_channels * pixels {
        terminate!();
    }
    let channel = ABSOLUTE_POS / pixels % sizes.in_channels;
    let image = ABSOLUTE_POS / pixels / sizes.in_channels;
    let row = ABSOLUTE_POS % pixels / sizes.width;
    let column = ABSOLUTE_POS % sizes.width;
    let plane = sizes.out_height * sizes.out_width;
    let count = sizes.kernel_height * sizes.kernel_width;
    let mut total = 0.0f32;
    for tap in 0..count {
        let y = row + (sizes.kernel_height - 1) / 2;
        let at = column + (sizes.kernel_width - 1) / 2;
        let down = tap / sizes.kernel_width;
        let across = tap % sizes.kernel_width;
        if y >= down
            && at >= across
            && (y - down) % sizes.stride_down == 0
            && (at - across) % sizes.stride_across == 0
        {
            let out_row = (y - down) / sizes.stride_down;
            let out_column = (at - across) / sizes.stride_across;
            if out_row < sizes.out_height && out_column < sizes.out_width {
                let place = image * sizes.out_channels * plane;
                let place = place + out_row * sizes.out_width + out_column;
                let mut sum = 0.0f32;
                for output in 0..sizes.out_channels {
                    let row = (output * count + tap) * sizes.in_channels;
                    let weight = weights[sizes.weights_at + row + channel];
                    sum = fma(dz[place + output * plane], weight, sum);
                }
                total += sum;
            }
        }
    }
    dx[ABSOLUTE_POS] = total;
}

/// The sums of one weight over one chunk of images. The output is `[chunk]` followed by the layout of the
/// weights.
#[cube(launch_unchecked)]
pub(crate) fn taps_weights(
    x: &Array<f32>,
    dz: &Array<f32>,
    partial: &mut Array<f32>,
    sizes: &TapSizes,
    chunk_images: usize,
) {
    let count = sizes.kernel_height * sizes.kernel_width;
    let numbers = sizes.out_channels * count * sizes.in_channels;
    if ABSOLUTE_POS >= numbers * sizes.images.div_ceil(chunk_images) {
        terminate!();
    }
    let input = ABSOLUTE_POS % sizes.in_channels;
    let tap = ABSOLUTE_POS / sizes.in_channels % count;
    let output = ABSOLUTE_POS / sizes.in_channels / count % sizes.out_channels;
    let first_image = ABSOLUTE_POS / numbers * chunk_images;
    let up = (sizes.kernel_height - 1) / 2;
    let left = (sizes.kernel_width - 1) / 2;
    let mut sum = 0.0f32;
    for image in first_image..min(first_image + chunk_images, sizes.images) {
        let plane = image * sizes.in_channels + input;
        let out_plane = image * sizes.out_channels + output;
        for row in 0..sizes.out_height {
            let y = row * sizes.stride_down + tap / sizes.kernel_width;
            if y >= up && y - up < sizes.height {
                let line = (plane * sizes.height + y - up) * sizes.width;
                let out_line = (out_plane * sizes.out_height + row) * sizes.out_width;
                for column in 0..sizes.out_width {
                    let at = column * sizes.stride_across + tap % sizes.kernel_width;
                    if at >= left && at - left < sizes.width {
                        sum = fma(x[line + at - left], dz[out_line + column], sum);
                    }
                }
            }
        }
    }
    partial[ABSOLUTE_POS] = sum;
}
