//! Batch norm with ReLU.
//!
//! A sum over the pixels of a plane is made in four stripes with one thread each:
//! `[stripe][plane]`. Statistics are `[mean, inverse, scale, running mean, running variance, a,
//! b][channel]`, with the channels of all batch norms of the network in sequence.

use cubecl::prelude::*;

/// Number of parts of the statistics.
pub(in crate::cuda) const PARTS: usize = 7;

/// One batch norm and its map.
#[derive(CubeType, CubeLaunch)]
pub(in crate::cuda) struct Norm {
    pub(in crate::cuda) images: usize,
    pub(in crate::cuda) channels: usize,
    pub(in crate::cuda) pixels: usize,
    /// Offset of its channels in each part of the statistics.
    pub(in crate::cuda) first: usize,
    /// Elements per part.
    pub(in crate::cuda) part: usize,
    /// Offsets of weight and bias in the parameters.
    pub(in crate::cuda) weight_at: usize,
    pub(in crate::cuda) bias_at: usize,
    /// Offset of the map in its buffer.
    pub(in crate::cuda) z_at: usize,
}

/// The stripes of the sum of each plane.
#[cube(launch_unchecked)]
pub(in crate::cuda) fn sums(
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
pub(in crate::cuda) fn squares(
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
    let mean = total(sums, plane, planes) / f32::cast_from(pixels);
    let mut sum = 0.0f32;
    for step in 0..(pixels + 3 - stripe) / 4 {
        let rest = z[first + 4 * step + stripe] - mean;
        sum = fma(rest, rest, sum);
    }
    out[stripe * planes + plane] = sum;
}

/// The means of all planes.
#[cube(launch_unchecked)]
pub(in crate::cuda) fn means(
    sums: &Array<f32>,
    out: &mut Array<f32>,
    planes: usize,
    pixels: usize,
) {
    if ABSOLUTE_POS < planes {
        let sum = total(sums, ABSOLUTE_POS, planes);
        out[ABSOLUTE_POS] = sum / f32::cast_from(pixels);
    }
}

/// The batch's statistics and one step of the running ones, one thread per channel.
#[cube(launch_unchecked)]
pub(in crate::cuda) fn update_statistics(
    sums: &Array<f32>,
    squares: &Array<f32>,
    parameters: &Array<f32>,
    statistics: &mut Array<f32>,
    norm: &Norm,
    #[comptime] block: usize,
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
        let mut sum = total(sums, first * norm.channels + channel, planes) / pixels;
        for image in first + 1..min(first + block, norm.images) {
            sum += total(sums, image * norm.channels + channel, planes) / pixels;
        }
        if number == 0 {
            mean = sum;
        } else {
            mean += sum;
        }
    }
    mean /= f32::cast_from(norm.images);
    let mut squared = 0.0f32;
    for number in 0..norm.images.div_ceil(block) {
        let first = number * block;
        let mut sum = 0.0f32;
        for image in first..min(first + block, norm.images) {
            let plane = image * norm.channels + channel;
            let d = total(sums, plane, planes) / pixels - mean;
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
    let var = squared / f32::cast_from(count);
    let inverse = 1.0f32 / (var + 1e-5f32).sqrt();
    statistics[at] = mean;
    statistics[norm.part + at] = inverse;
    statistics[2 * norm.part + at] = parameters[norm.weight_at + channel] * inverse;
    let old = statistics[3 * norm.part + at];
    statistics[3 * norm.part + at] = fma(0.1f32, mean - old, old);
    let unbiased = squared / f32::cast_from(max(count, 2) - 1);
    let old = statistics[4 * norm.part + at];
    statistics[4 * norm.part + at] = fma(0.1f32, unbiased - old, old);
}

/// Mean, inverse standard deviation and scale from the running statistics, one thread per channel.
#[cube(launch_unchecked)]
pub(in crate::cuda) fn load_running_statistics(
    parameters: &Array<f32>,
    statistics: &mut Array<f32>,
    channels: usize,
    first: usize,
    part: usize,
    weight_at: usize,
) {
    if ABSOLUTE_POS < channels {
        let at = first + ABSOLUTE_POS;
        let inverse = 1.0f32 / (statistics[4 * part + at] + 1e-5f32).sqrt();
        statistics[at] = statistics[3 * part + at];
        statistics[part + at] = inverse;
        statistics[2 * part + at] = parameters[weight_at + ABSOLUTE_POS] * inverse;
    }
}

/// `y = relu((z - mean) · scale + bias)`.
#[cube(launch_unchecked)]
pub(in crate::cuda) fn normalise(
    z: &Array<f32>,
    statistics: &Array<f32>,
    parameters: &Array<f32>,
    y: &mut Array<f32>,
    norm: &Norm,
    y_at: usize,
) {
    if ABSOLUTE_POS >= norm.images * norm.channels * norm.pixels {
        terminate!();
    }
    let channel = ABSOLUTE_POS / norm.pixels % norm.channels;
    let at = norm.first + channel;
    let centred = z[norm.z_at + ABSOLUTE_POS] - statistics[at];
    let bias = parameters[norm.bias_at + channel];
    let value = fma(centred, statistics[2 * norm.part + at], bias);
    y[y_at + ABSOLUTE_POS] = select(value > 0.0f32, value, 0.0f32);
}

/// The stripes of each plane's sums of `g` and of `g · (z - mean)`.
#[cube(launch_unchecked)]
pub(in crate::cuda) fn backward_sums(
    z: &Array<f32>,
    dy: &Array<f32>,
    statistics: &Array<f32>,
    parameters: &Array<f32>,
    gradients: &mut Array<f32>,
    products: &mut Array<f32>,
    norm: &Norm,
    dy_at: usize,
) {
    let planes = norm.images * norm.channels;
    if ABSOLUTE_POS >= 4 * planes {
        terminate!();
    }
    let stripe = ABSOLUTE_POS % 4;
    let plane = ABSOLUTE_POS / 4;
    let channel = plane % norm.channels;
    let mean = statistics[norm.first + channel];
    let scale = statistics[2 * norm.part + norm.first + channel];
    let bias = parameters[norm.bias_at + channel];
    let mut gradient = 0.0f32;
    let mut product = 0.0f32;
    for step in 0..(norm.pixels + 3 - stripe) / 4 {
        let place = plane * norm.pixels + 4 * step + stripe;
        let centred = z[norm.z_at + place] - mean;
        let value = fma(centred, scale, bias);
        let g = select(value > 0.0f32, dy[dy_at + place], 0.0f32);
        gradient += g;
        product = fma(g, centred, product);
    }
    gradients[stripe * planes + plane] = gradient;
    products[stripe * planes + plane] = product;
}

/// The gradients of weight and bias and what [`backward_input`] needs, one thread per channel.
#[cube(launch_unchecked)]
pub(in crate::cuda) fn backward_statistics(
    gradients: &Array<f32>,
    products: &Array<f32>,
    statistics: &mut Array<f32>,
    out: &mut Array<f32>,
    norm: &Norm,
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
    let inverse = statistics[norm.part + at];
    let weight = product * inverse;
    out[norm.weight_at + channel] = weight;
    out[norm.bias_at + channel] = gradient;
    statistics[5 * norm.part + at] = gradient / count;
    statistics[6 * norm.part + at] = weight * inverse / count;
}

/// The gradient with respect to `z`: `((g - a) - (z - mean) · b) · scale`.
#[cube(launch_unchecked)]
pub(in crate::cuda) fn backward_input(
    z: &Array<f32>,
    dy: &Array<f32>,
    statistics: &Array<f32>,
    parameters: &Array<f32>,
    dz: &mut Array<f32>,
    norm: &Norm,
    dy_at: usize,
) {
    if ABSOLUTE_POS >= norm.images * norm.channels * norm.pixels {
        terminate!();
    }
    let channel = ABSOLUTE_POS / norm.pixels % norm.channels;
    let at = norm.first + channel;
    let scale = statistics[2 * norm.part + at];
    let centred = z[norm.z_at + ABSOLUTE_POS] - statistics[at];
    let value = fma(centred, scale, parameters[norm.bias_at + channel]);
    let g = select(value > 0.0f32, dy[dy_at + ABSOLUTE_POS], 0.0f32);
    let b = -statistics[6 * norm.part + at];
    dz[ABSOLUTE_POS] = fma(centred, b, g - statistics[5 * norm.part + at]) * scale;
}
