//! The gradients of convolutions with respect to their weights: one sum per chunk of images, and
//! the fold of the chunks.

use cubecl::prelude::*;

use super::join::{Sizes1, factor, map_at};

/// Dimensions and offsets of the gradient with respect to the weights of a 3×3 convolution.
#[derive(CubeType, CubeLaunch)]
pub(crate) struct Weights3 {
    pub(crate) images: usize,
    /// Images per chunk.
    pub(crate) chunk: usize,
    /// Rows of the input.
    pub(crate) height: usize,
    /// Columns of the input.
    pub(crate) width: usize,
    /// 0 or 1.
    pub(crate) padding: usize,
    pub(crate) in_channels: usize,
    pub(crate) out_channels: usize,
    /// Offsets of the input and of the gradient with respect to the output in their buffers.
    pub(crate) x_at: usize,
    pub(crate) dz_at: usize,
}

/// The sums over one chunk for the three weights of one kernel row, for `inputs` input and
/// `channels` output channels. The output is `[chunk]` followed by the layout of the weights.
#[cube(launch_unchecked)]
pub(crate) fn conv3_weights(
    x: &Array<f32>,
    dz: &Array<f32>,
    partial: &mut Array<f32>,
    sizes: &Weights3,
    #[comptime] inputs: usize,
    #[comptime] channels: usize,
    #[comptime] oihw: bool,
) {
    let in_tiles = sizes.in_channels.div_ceil(inputs);
    let out_tiles = sizes.out_channels.div_ceil(channels);
    let chunks = sizes.images.div_ceil(sizes.chunk);
    if ABSOLUTE_POS >= 3 * in_tiles * out_tiles * chunks {
        terminate!();
    }
    let first_input = ABSOLUTE_POS % in_tiles * inputs;
    let kernel_row = ABSOLUTE_POS / in_tiles % 3;
    let first_channel = ABSOLUTE_POS / in_tiles / 3 % out_tiles * channels;
    let chunk = ABSOLUTE_POS / in_tiles / 3 / out_tiles;
    let out_height = sizes.height + 2 * sizes.padding - 2;
    let out_width = sizes.width + 2 * sizes.padding - 2;
    let plane = sizes.height * sizes.width;
    let mut sums = Array::<f32>::new(inputs * channels * 3);
    #[unroll]
    for i in 0..inputs * channels * 3 {
        sums[i] = 0.0f32;
    }
    for image in chunk * sizes.chunk..min((chunk + 1) * sizes.chunk, sizes.images) {
        for row in 0..out_height {
            let y = row + kernel_row;
            if y >= sizes.padding && y - sizes.padding < sizes.height {
                let line = sizes.x_at + (y - sizes.padding) * sizes.width;
                for column in 0..out_width {
                    let mut here = Array::<f32>::new(channels);
                    #[unroll]
                    for c in 0..channels {
                        let channel = min(first_channel + c, sizes.out_channels - 1);
                        let plane = (image * sizes.out_channels + channel) * out_height;
                        here[c] = dz[sizes.dz_at + (plane + row) * out_width + column];
                    }
                    #[unroll]
                    for tap in 0..3usize {
                        let at = column + tap;
                        if at >= sizes.padding && at - sizes.padding < sizes.width {
                            #[unroll]
                            for i in 0..inputs {
                                let input = min(first_input + i, sizes.in_channels - 1);
                                let plane = (image * sizes.in_channels + input) * plane;
                                let value = x[line + plane + at - sizes.padding];
                                #[unroll]
                                for c in 0..channels {
                                    let place = (i * channels + c) * 3 + tap;
                                    sums[place] = fma(value, here[c], sums[place]);
                                }
                            }
                        }
                    }
                }
            }
        }
    }
    let first = chunk * sizes.out_channels * 9 * sizes.in_channels;
    #[unroll]
    for i in 0..inputs {
        #[unroll]
        for c in 0..channels {
            let input = first_input + i;
            let channel = first_channel + c;
            if input < sizes.in_channels && channel < sizes.out_channels {
                let row = if oihw {
                    (channel * sizes.in_channels + input) * 3 + kernel_row
                } else {
                    (channel * 3 + kernel_row) * sizes.in_channels + input
                };
                #[unroll]
                for tap in 0..3usize {
                    partial[first + row * 3 + tap] = sums[(i * channels + c) * 3 + tap];
                }
            }
        }
    }
}

/// The sums over one chunk for the weights of `inputs` channels of one of the maps and `channels`
/// output channels. The output is `[chunk]` followed by the layout of the weights. A source that is
/// `alone` has no table.
#[cube(launch_unchecked)]
pub(crate) fn conv1_weights(
    maps: &Array<f32>,
    dz: &Array<f32>,
    sources: &Array<u32>,
    factors: &Array<f32>,
    partial: &mut Array<f32>,
    sizes: &Sizes1,
    chunk_images: usize,
    dz_at: usize,
    #[comptime] inputs: usize,
    #[comptime] channels: usize,
    #[comptime] drops: bool,
    #[comptime] alone: bool,
) {
    let in_tiles = sizes.in_channels.div_ceil(inputs);
    let out_tiles = sizes.out_channels.div_ceil(channels);
    let chunks = sizes.images.div_ceil(chunk_images);
    if ABSOLUTE_POS >= in_tiles * out_tiles * chunks * sizes.count {
        terminate!();
    }
    let first_input = ABSOLUTE_POS % in_tiles * inputs;
    let first_channel = ABSOLUTE_POS / in_tiles % out_tiles * channels;
    let source = ABSOLUTE_POS / in_tiles / out_tiles % sizes.count;
    let chunk = ABSOLUTE_POS / in_tiles / out_tiles / sizes.count;
    let entry = sizes.first + source;
    let map = map_at(sources, sizes, source, alone);
    let mut sums = Array::<f32>::new(inputs * channels);
    #[unroll]
    for i in 0..inputs * channels {
        sums[i] = 0.0f32;
    }
    for image in chunk * chunk_images..min((chunk + 1) * chunk_images, sizes.images) {
        let mut scale = 1.0f32;
        if drops {
            scale = factor(sources, factors, entry, image, sizes.factors, alone);
        }
        for pixel in 0..sizes.pixels {
            let mut here = Array::<f32>::new(channels);
            #[unroll]
            for c in 0..channels {
                let channel = min(first_channel + c, sizes.out_channels - 1);
                let plane = (image * sizes.out_channels + channel) * sizes.pixels;
                here[c] = dz[dz_at + plane + pixel];
            }
            #[unroll]
            for i in 0..inputs {
                let input = min(first_input + i, sizes.in_channels - 1);
                let plane = (image * sizes.in_channels + input) * sizes.pixels;
                let mut value = maps[map + plane + pixel];
                if drops {
                    value *= scale;
                }
                #[unroll]
                for c in 0..channels {
                    sums[i * channels + c] = fma(value, here[c], sums[i * channels + c]);
                }
            }
        }
    }
    let first = chunk * sizes.out_channels * sizes.row + source * sizes.in_channels;
    #[unroll]
    for i in 0..inputs {
        #[unroll]
        for c in 0..channels {
            let input = first_input + i;
            let channel = first_channel + c;
            if input < sizes.in_channels && channel < sizes.out_channels {
                partial[sizes.weights_at + first + channel * sizes.row + input] =
                    sums[i * channels + c];
            }
        }
    }
}

/// Folds `[part][element]` within each `block` of parts, then over the blocks.
#[cube(launch_unchecked)]
pub(crate) fn fold(
    partial: &Array<f32>,
    out: &mut Array<f32>,
    parts: usize,
    block: usize,
    numbers: usize,
    out_at: usize,
) {
    if ABSOLUTE_POS >= numbers {
        terminate!();
    }
    let mut total = 0.0f32;
    for number in 0..parts.div_ceil(block) {
        let first = number * block;
        let mut sum = partial[first * numbers + ABSOLUTE_POS];
        for part in first + 1..min(first + block, parts) {
            sum += partial[part * numbers + ABSOLUTE_POS];
        }
        if number == 0 {
            total = sum;
        } else {
            total += sum;
        }
    }
    out[out_at + ABSOLUTE_POS] = total;
}
