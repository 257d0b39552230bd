//! 3×3 convolution. The gradient with respect to its input is the same operation with exchanged
//! channels and rotated weights.

use cubecl::prelude::*;

/// Dimensions and offsets of a 3×3 convolution.
#[derive(CubeType, CubeLaunch)]
pub(crate) struct Sizes3 {
    pub(crate) images: usize,
    /// Rows of the input.
    pub(crate) height: usize,
    /// Columns of the input.
    pub(crate) width: usize,
    /// 0 or 1.
    pub(crate) padding: usize,
    pub(crate) in_channels: usize,
    pub(crate) out_channels: usize,
    /// Offsets of input, weights and output in their buffers.
    pub(crate) x_at: usize,
    pub(crate) weights_at: usize,
    pub(crate) out_at: usize,
}

/// The sums of one pixel for `channels` output channels in `images` images. With `turned` it
/// computes the gradient with respect to the input of the convolution with these weights. With `oihw`
/// the weights are in PyTorch's layout, `[out][in][kernel row][kernel column]`.
#[cube(launch_unchecked)]
pub(crate) fn conv3(
    x: &Array<f32>,
    weights: &Array<f32>,
    out: &mut Array<f32>,
    sizes: &Sizes3,
    #[comptime] channels: usize,
    #[comptime] images: usize,
    #[comptime] turned: bool,
    #[comptime] add: bool,
    #[comptime] oihw: bool,
) {
    let out_width = sizes.width + 2 * sizes.padding - 2;
    let pixels = (sizes.height + 2 * sizes.padding - 2) * out_width;
    let tiles = sizes.out_channels.div_ceil(channels);
    if ABSOLUTE_POS >= pixels * tiles * sizes.images.div_ceil(images) {
        terminate!();
    }
    let pixel = ABSOLUTE_POS % pixels;
    let first_channel = ABSOLUTE_POS / pixels % tiles * channels;
    let first_image = ABSOLUTE_POS / pixels / tiles * images;
    let row = pixel / out_width;
    let column = pixel % out_width;
    let plane = sizes.height * sizes.width;
    let mut sums = Array::<f32>::new(channels * images);
    #[unroll]
    for i in 0..channels * images {
        sums[i] = 0.0f32;
    }
    for kernel_row in 0..3usize {
        let y = row + kernel_row;
        if y >= sizes.padding && y - sizes.padding < sizes.height {
            let line = sizes.x_at + (y - sizes.padding) * sizes.width;
            for input in 0..sizes.in_channels {
                #[unroll]
                for tap in 0..3usize {
                    let at = column + tap;
                    if at >= sizes.padding && at - sizes.padding < sizes.width {
                        let mut here = Array::<f32>::new(channels);
                        #[unroll]
                        for c in 0..channels {
                            let channel = min(first_channel + c, sizes.out_channels - 1);
                            let place = if turned && oihw {
                                let plane = input * sizes.out_channels + channel;
                                (plane * 3 + 2 - kernel_row) * 3 + 2 - tap
                            } else if turned {
                                let row = (input * 3 + 2 - kernel_row) * sizes.out_channels;
                                (row + channel) * 3 + 2 - tap
                            } else if oihw {
                                let plane = channel * sizes.in_channels + input;
                                (plane * 3 + kernel_row) * 3 + tap
                            } else {
                                let row = (channel * 3 + kernel_row) * sizes.in_channels;
                                (row + input) * 3 + tap
                            };
                            here[c] = weights[sizes.weights_at + place];
                        }
                        #[unroll]
                        for i in 0..images {
                            let image = min(first_image + i, sizes.images - 1);
                            let plane = (image * sizes.in_channels + input) * plane;
                            let value = x[line + plane + at - sizes.padding];
                            #[unroll]
                            for c in 0..channels {
                                let sum = sums[i * channels + c];
                                sums[i * channels + c] = fma(value, here[c], sum);
                            }
                        }
                    }
                }
            }
        }
    }
    #[unroll]
    for i in 0..images {
        #[unroll]
        for c in 0..channels {
            let image = first_image + i;
            let channel = first_channel + c;
            if image < sizes.images && channel < sizes.out_channels {
                let plane = (image * sizes.out_channels + channel) * pixels;
                let place = sizes.out_at + plane + pixel;
                let sum = sums[i * channels + c];
                if add {
                    out[place] = out[place] + sum;
                } else {
                    out[place] = sum;
                }
            }
        }
    }
}
