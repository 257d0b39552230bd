//! Depthwise convolution with a square kernel, and its gradients. Weights are
//! `[channel][kernel row][kernel column]`.

use cubecl::prelude::*;

/// Dimensions and offsets of a depthwise convolution.
#[derive(CubeType, CubeLaunch)]
pub(crate) struct DepthwiseSizes {
    pub(crate) images: usize,
    pub(crate) channels: usize,
    /// Rows and columns of the input.
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// Rows and columns of the output.
    pub(crate) out_height: usize,
    pub(crate) out_width: usize,
    /// Rows of the kernel.
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
    pub(crate) padding: usize,
    /// Offset of the weights in their buffer.
    pub(crate) weights_at: usize,
}

/// One sum per thread.
#[cube(launch_unchecked)]
pub(crate) fn depthwise(
    x: &Array<f32>,
    weights: &Array<f32>,
    out: &mut Array<f32>,
    sizes: &DepthwiseSizes,
) {
    let pixels = sizes.out_height * sizes.out_width;
    if ABSOLUTE_POS >= sizes.images * sizes.channels * pixels {
        terminate!();
    }
    let plane = ABSOLUTE_POS / pixels;
    let row = ABSOLUTE_POS % pixels / sizes.out_width;
    let column = ABSOLUTE_POS % sizes.out_width;
    let first = plane * sizes.height * sizes.width;
    let kernel_at = sizes.weights_at + plane % sizes.channels * sizes.kernel * sizes.kernel;
    let mut sum = 0.0f32;
    for i in 0..sizes.kernel {
        let y = row * sizes.stride + i * sizes.dilation;
        if y >= sizes.padding && y - sizes.padding < sizes.height {
            let line = first + (y - sizes.padding) * sizes.width;
            for j in 0..sizes.kernel {
                let at = column * sizes.stride + j * sizes.dilation;
                if at >= sizes.padding && at - sizes.padding < sizes.width {
                    let weight = weights[kernel_at + i * sizes.kernel + j];
                    sum = fma(x[line + at - sizes.padding], weight, sum);
                }
            }
        }
    }
    out[ABSOLUTE_POS] = sum;
}

/// The gradient with respect to the input, one sum per thread: taps from the last to the first reach
/// the outputs in ascending order.
#[cube(launch_unchecked)]
pub(crate) fn depthwise_back(
    dz: &Array<f32>,
    weights: &Array<f32>,
    dx: &mut Array<f32>,
    sizes: &DepthwiseSizes,
) {
    let pixels = sizes.height * sizes.width;
    if ABSOLUTE_POS >= sizes.images * sizes.channels * pixels {
        terminate!();
    }
    let plane = ABSOLUTE_POS / pixels;
    let row = ABSOLUTE_POS % pixels / sizes.width;
    let column = ABSOLUTE_POS % sizes.width;
    let first = plane * sizes.out_height * sizes.out_width;
    let kernel_at = sizes.weights_at + plane % sizes.channels * sizes.kernel * sizes.kernel;
    let mut sum = 0.0f32;
    for step in 0..sizes.kernel {
        let i = sizes.kernel - 1 - step;
        let y = row + sizes.padding;
        let reach = i * sizes.dilation;
        if y >= reach && (y - reach) % sizes.stride == 0 {
            let out_row = (y - reach) / sizes.stride;
            if out_row < sizes.out_height {
                let line = first + out_row * sizes.out_width;
                for step in 0..sizes.kernel {
                    let j = sizes.kernel - 1 - step;
                    let at = column + sizes.padding;
                    let reach = j * sizes.dilation;
                    if at >= reach && (at - reach) % sizes.stride == 0 {
                        let out_column = (at - reach) / sizes.stride;
                        if out_column < sizes.out_width {
                            let weight = weights[kernel_at + i * sizes.kernel + j];
                            sum = fma(dz[line + out_column], weight, sum);
                        }
                    }
                }
            }
        }
    }
    dx[ABSOLUTE_POS] = sum;
}

/// The sums of one weight over one chunk of images. The output is `[chunk]` followed by the layout of the
/// weights.
#[cube(launch_unchecked)]
pub(crate) fn depthwise_weights(
    x: &Array<f32>,
    dz: &Array<f32>,
    partial: &mut Array<f32>,
    sizes: &DepthwiseSizes,
    chunk_images: usize,
) {
    let taps = sizes.kernel * sizes.kernel;
    let numbers = sizes.channels * taps;
    if ABSOLUTE_POS >= numbers * sizes.images.div_ceil(chunk_images) {
        terminate!();
    }
    let j = ABSOLUTE_POS % sizes.kernel;
    let i = ABSOLUTE_POS / sizes.kernel % sizes.kernel;
    let channel = ABSOLUTE_POS / taps % sizes.channels;
    let first_image = ABSOLUTE_POS / numbers * chunk_images;
    let mut sum = 0.0f32;
    for image in first_image..min(first_image + chunk_images, sizes.images) {
        let plane = image * sizes.channels + channel;
        for row in 0..sizes.out_height {
            let y = row * sizes.stride + i * sizes.dilation;
            if y >= sizes.padding && y - sizes.padding < sizes.height {
                let line = (plane * sizes.height + y - sizes.padding) * sizes.width;
                let out_line = (plane * sizes.out_height + row) * sizes.out_width;
                for column in 0..sizes.out_width {
                    let at = column * sizes.stride + j * sizes.dilation;
                    if at >= sizes.padding && at - sizes.padding < sizes.width {
                        sum = fma(x[line + at - sizes.padding], dz[out_line + column], sum);
                    }
                }
            }
        }
    }
    partial[ABSOLUTE_POS] = sum;
}
