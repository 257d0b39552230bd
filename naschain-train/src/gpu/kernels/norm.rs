//! Batch norm, with ReLU or without.
//!
//! A sum over the pixels of a plane is made in four stripes with one thread each:
//! `[stripe][plane]`. Statistics are `[mean, inverse, scale, running mean, running variance, a,
//! b][channel]` in one buffer, with the channels of all batch norms of the network in sequence, which
//! then is each of these arguments; or they are buffers of their own, with offsets of 0.

use cubecl::prelude::*;

use super::rounding::{divide, square_root};

/// Number of parts of the statistics.
pub(crate) const PARTS: usize = 7;

/// One batch norm and its map.
#[derive(CubeType, CubeLaunch)]
pub(crate) struct NormSizes {
    pub(crate) images: usize,
    pub(crate) channels: usize,
    pub(crate) pixels: usize,
    /// Offset of its channels in each part of the statistics.
    pub(crate) first: usize,
    /// Elements per part.
    pub(crate) part: usize,
    /// Offsets of weight and bias in the parameters.
    pub(crate) weight_at: usize,
    pub(crate) bias_at: usize,
    /// Offset of the map in its buffer.
    pub(crate) z_at: usize,
}

/// The stripes of the sum of each plane.
#[cube(launch_unchecked)]
pub(crate) fn sums(
    z: &Array<f32>,
    out: &mut Array<f32>,
    planes: usize,
    pixels: usize,
    z_at: usize,
) {
    if ABSOLUTE_POS >= 4 * planes {
        terminate!();
    }
    let stripe = ABSOLUTE_POS % 4;
    let plane = ABSOLUTE_POS / 4;
    let first = z_at + plane * pixels;
    let mut sum = 0.0f32;
    for step in 0..(pixels + 3 - stripe) / 4 {
        sum += z[first + 4 * step + stripe];
    }
    out[stripe * planes + plane] = sum;
}

#[cube]
fn total(stripes: &Array<f32>, plane: usize, planes: usize) -> f32 {
    let left = stripes[plane] + stripes[planes + plane];
    let right = stripes[2 * planes + plane] + stripes[3 * planes + plane];
    left + right
}

/// The stripes of each plane's sum of squares about its mean.
#[cube(launch_unchecked)]
pub(crate) fn squares(
    z: &Array<f32>,
    sums: &Array<f32>,
    out: &mut Array<f32>,
    planes: usize,
    pixels: usize,
    z_at: usize,
) {
    if ABSOLUTE_POS >= 4 * planes {
        terminate!();
    }
    let stripe = ABSOLUTE_POS % 4;
    let plane = ABSOLUTE_POS / 4;
    let first = z_at + plane * pixels;
    let mean = divide(total(sums, plane, planes), f32::cast_from(pixels));
    let mut sum = 0.0f32;
    for step in 0..(pixels + 3 - stripe) / 4 {
        let rest = z[first + 4 * step + stripe] - mean;
        sum = fma(rest, rest, sum);
    }
    out[stripe * planes + plane] = sum;
}

/// The means of all planes.
#[cube(launch_unchecked)]
pub(crate) fn means(sums: &Array<f32>, out: &mut Array<f32>, planes: usize, pixels: usize) {
    if ABSOLUTE_POS < planes {
        let sum = total(sums, ABSOLUTE_POS, planes);
        out[ABSOLUTE_POS] = divide(sum, f32::cast_from(pixels));
    }
}

/// The batch's statistics and one step of the running ones, one thread per channel. `in_place`: the
/// old running ones are those that are written.
#[cube(launch_unchecked)]
pub(crate) fn update_statistics(
    sums: &Array<f32>,
    squares: &Array<f32>,
    weight: &Array<f32>,
    old_mean: &Array<f32>,
    old_var: &Array<f32>,
    mean_of: &mut Array<f32>,
    inverse_of: &mut Array<f32>,
    scale_of: &mut Array<f32>,
    running_mean: &mut Array<f32>,
    running_var: &mut Array<f32>,
    norm: &NormSizes,
    #[comptime] block: usize,
    #[comptime] in_place: bool,
) {
    let channel = ABSOLUTE_POS;
    if channel >= norm.channels {
        terminate!();
    }
    let planes = norm.images * norm.channels;
    let pixels = f32::cast_from(norm.pixels);
    let mut mean = 0.0f32;
    for number in 0..norm.images.div_ceil(block) {
        let first = number * block;
        let mut sum = divide(total(sums, first * norm.channels + channel, planes), pixels);
        for image in first + 1..min(first + block, norm.images) {
            sum += divide(total(sums, image * norm.channels + channel, planes), pixels);
        }
        if number == 0 {
            mean = sum;
        } else {
            mean += sum;
        }
    }
    mean = divide(mean, f32::cast_from(norm.images));
    let mut squared = 0.0f32;
    for number in 0..norm.images.div_ceil(block) {
        let first = number * block;
        let mut sum = 0.0f32;
        for image in first..min(first + block, norm.images) {
            let plane = image * norm.channels + channel;
            let d = divide(total(sums, plane, planes), pixels) - mean;
            let here = fma(pixels * d, d, total(squares, plane, planes));
            if image == first {
                sum = here;
            } else {
                sum += here;
            }
        }
        if number == 0 {
            squared = sum;
        } else {
            squared += sum;
        }
    }
    let at = norm.first + channel;
    let count = norm.images * norm.pixels;
    let var = divide(squared, f32::cast_from(count));
    let inverse = divide(1.0f32, square_root(var + 1e-5f32));
    mean_of[at] = mean;
    inverse_of[norm.part + at] = inverse;
    scale_of[2 * norm.part + at] = weight[norm.weight_at + channel] * inverse;
    let mean_at = 3 * norm.part + at;
    let var_at = 4 * norm.part + at;
    let unbiased = divide(squared, f32::cast_from(max(count, 2) - 1));
    if in_place {
        let old = running_mean[mean_at];
        running_mean[mean_at] = fma(0.1f32, mean - old, old);
        let old = running_var[var_at];
        running_var[var_at] = fma(0.1f32, unbiased - old, old);
    } else {
        let old = old_mean[mean_at];
        running_mean[mean_at] = fma(0.1f32, mean - old, old);
        let old = old_var[var_at];
        running_var[var_at] = fma(0.1f32, unbiased - old, old);
    }
}

/// Mean, inverse standard deviation and scale from the running statistics, one thread per channel.
#[cube(launch_unchecked)]
pub(crate) fn load_running_statistics(
    weight: &Array<f32>,
    running_mean: &Array<f32>,
    running_var: &Array<f32>,
    mean: &mut Array<f32>,
    inverse_of: &mut Array<f32>,
    scale: &mut Array<f32>,
    channels: usize,
    first: usize,
    part: usize,
    weight_at: usize,
) {
    if ABSOLUTE_POS < channels {
        let at = first + ABSOLUTE_POS;
        let inverse = divide(1.0f32, square_root(running_var[4 * part + at] + 1e-5f32));
        mean[at] = running_mean[3 * part + at];
        inverse_of[part + at] = inverse;
        scale[2 * part + at] = weight[weight_at + ABSOLUTE_POS] * inverse;
    }
}

/// `y = (z - mean) · scale + bias`, or ReLU of that.
#[cube(launch_unchecked)]
pub(crate) fn normalise(
    z: &Array<f32>,
    mean: &Array<f32>,
    scale: &Array<f32>,
    bias: &Array<f32>,
    y: &mut Array<f32>,
    norm: &NormSizes,
    y_at: usize,
    #[comptime] relu: bool,
) {
    if ABSOLUTE_POS >= norm.images * norm.channels * norm.pixels {
        terminate!();
    }
    let channel = ABSOLUTE_POS / norm.pixels % norm.channels;
    let at = norm.first + channel;
    let centred = z[norm.z_at + ABSOLUTE_POS] - mean[at];
    let bias = bias[norm.bias_at + channel];
    let mut value = fma(centred, scale[2 * norm.part + at], bias);
    if relu {
        value = select(value > 0.0f32, value, 0.0f32);
    }
    y[y_at + ABSOLUTE_POS] = value;
}

/// The stripes of each plane's sums of `g` and of `g · (z - mean)`.
#[cube(launch_unchecked)]
pub(crate) fn backward_sums(
    z: &Array<f32>,
    dy: &Array<f32>,
    mean: &Array<f32>,
    scale: &Array<f32>,
    bias: &Array<f32>,
    gradients: &mut Array<f32>,
    products: &mut Array<f32>,
    norm: &NormSizes,
    dy_at: usize,
    #[comptime] relu: bool,
) {
    let planes = norm.images * norm.channels;
    if ABSOLUTE_POS >= 4 * planes {
        terminate!();
    }
    let stripe = ABSOLUTE_POS % 4;
    let plane = ABSOLUTE_POS / 4;
    let channel = plane % norm.channels;
    let mean = mean[norm.first + channel];
    let scale = scale[2 * norm.part + norm.first + channel];
    let bias = bias[norm.bias_at + channel];
    let mut gradient = 0.0f32;
    let mut product = 0.0f32;
    for step in 0..(norm.pixels + 3 - stripe) / 4 {
        let place = plane * norm.pixels + 4 * step + stripe;
        let centred = z[norm.z_at + place] - mean;
        let mut g = dy[dy_at + place];
        if relu {
            g = select(fma(centred, scale, bias) > 0.0f32, g, 0.0f32);
        }
        gradient += g;
        product = fma(g, centred, product);
    }
    gradients[stripe * planes + plane] = gradient;
    products[stripe * planes + plane] = product;
}

/// The gradients of weight and bias and what [`backward_input`] needs, one thread per channel.
#[cube(launch_unchecked)]
pub(crate) fn backward_statistics(
    gradients: &Array<f32>,
    products: &Array<f32>,
    inverse: &Array<f32>,
    a: &mut Array<f32>,
    b: &mut Array<f32>,
    dweight: &mut Array<f32>,
    dbias: &mut Array<f32>,
    norm: &NormSizes,
    #[comptime] block: usize,
) {
    let channel = ABSOLUTE_POS;
    if channel >= norm.channels {
        terminate!();
    }
    let planes = norm.images * norm.channels;
    let mut gradient = 0.0f32;
    let mut product = 0.0f32;
    for number in 0..norm.images.div_ceil(block) {
        let first = number * block;
        let mut g = total(gradients, first * norm.channels + channel, planes);
        let mut p = total(products, first * norm.channels + channel, planes);
        for image in first + 1..min(first + block, norm.images) {
            g += total(gradients, image * norm.channels + channel, planes);
            p += total(products, image * norm.channels + channel, planes);
        }
        if number == 0 {
            gradient = g;
            product = p;
        } else {
            gradient += g;
            product += p;
        }
    }
    let at = norm.first + channel;
    let count = f32::cast_from(norm.images * norm.pixels);
    let inverse = inverse[norm.part + at];
    let weight = product * inverse;
    dweight[norm.weight_at + channel] = weight;
    dbias[norm.bias_at + channel] = gradient;
    a[5 * norm.part + at] = divide(gradient, count);
    b[6 * norm.part + at] = divide(weight * inverse, count);
}

/// The gradient with respect to `z`: `((g - a) - (z - mean) · b) · scale`.
#[cube(launch_unchecked)]
pub(crate) fn backward_input(
    z: &Array<f32>,
    dy: &Array<f32>,
    mean: &Array<f32>,
    scale: &Array<f32>,
    bias: &Array<f32>,
    a: &Array<f32>,
    b: &Array<f32>,
    dz: &mut Array<f32>,
    norm: &NormSizes,
    dy_at: usize,
    #[comptime] relu: bool,
) {
    if ABSOLUTE_POS >= norm.images * norm.channels * norm.pixels {
        terminate!();
    }
    let channel = ABSOLUTE_POS / norm.pixels % norm.channels;
    let at = norm.first + channel;
    let scale = scale[2 * norm.part + at];
    let centred = z[norm.z_at + ABSOLUTE_POS] - mean[at];
    let mut g = dy[dy_at + ABSOLUTE_POS];
    if relu {
        let value = fma(centred, scale, bias[norm.bias_at + channel]);
        g = select(value > 0.0f32, g, 0.0f32);
    }
    let b = -b[6 * norm.part + at];
    dz[ABSOLUTE_POS] = fma(centred, b, g - a[5 * norm.part + at]) * scale;
}
