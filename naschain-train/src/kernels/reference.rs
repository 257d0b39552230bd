//! Reference implementation of every operation as plain loops, following `docs/arithmetic.md`.
//!
//! Maps are `[image][channel][row][column]`, weights `[out][in][row][column]`, without blocks or
//! lanes. Every sum starts at +0, except folds, which start with their first term, and every
//! product is added with `f32::mul_add`.

use super::{BLOCK, chunk};

/// The dimensions of a map.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TensorShape {
    pub(crate) images: usize,
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl TensorShape {
    pub(crate) fn pixels(self) -> usize {
        self.height * self.width
    }

    pub(crate) fn len(self) -> usize {
        self.images * self.channels * self.pixels()
    }

    pub(crate) fn at(self, image: usize, channel: usize, row: usize, column: usize) -> usize {
        ((image * self.channels + channel) * self.height + row) * self.width + column
    }

    /// The dimensions of the output of a 3×3 convolution with this padding.
    pub(crate) fn convolved(self, channels: usize, padding: usize) -> TensorShape {
        TensorShape {
            channels,
            height: self.height + 2 * padding - 2,
            width: self.width + 2 * padding - 2,
            ..self
        }
    }
}

/// The position `at + tap - padding`, if it is within `0..size`.
fn tap(at: usize, tap: usize, padding: usize, size: usize) -> Option<usize> {
    (at + tap)
        .checked_sub(padding)
        .filter(|&place| place < size)
}

/// 3×3 convolution: sums over kernel row, input channel, kernel column.
pub(crate) fn conv3(
    x: &[f32],
    shape: TensorShape,
    weights: &[f32],
    out: usize,
    padding: usize,
) -> Vec<f32> {
    let to = shape.convolved(out, padding);
    let mut z = vec![0.0; to.len()];
    for image in 0..to.images {
        for o in 0..out {
            for row in 0..to.height {
                for column in 0..to.width {
                    let mut sum = 0.0f32;
                    for ky in 0..3 {
                        let Some(y) = tap(row, ky, padding, shape.height) else {
                            continue;
                        };
                        for i in 0..shape.channels {
                            for kx in 0..3 {
                                let Some(x_at) = tap(column, kx, padding, shape.width) else {
                                    continue;
                                };
                                let weight = weights[((o * shape.channels + i) * 3 + ky) * 3 + kx];
                                sum = x[shape.at(image, i, y, x_at)].mul_add(weight, sum);
                            }
                        }
                    }
                    z[to.at(image, o, row, column)] = sum;
                }
            }
        }
    }
    z
}

/// The gradient of a 3×3 convolution with padding 1 with respect to its input: the convolution of
/// `dz` with the kernel rotated by 180° and inputs and outputs exchanged.
pub(crate) fn conv3_input(
    dz: &[f32],
    shape: TensorShape,
    weights: &[f32],
    inputs: usize,
) -> Vec<f32> {
    let mut flipped = vec![0.0; weights.len()];
    for o in 0..shape.channels {
        for i in 0..inputs {
            for tap in 0..9 {
                let turned = (i * shape.channels + o) * 9 + 8 - tap;
                flipped[turned] = weights[(o * inputs + i) * 9 + tap];
            }
        }
    }
    conv3(dz, shape, &flipped, inputs, 1)
}

/// The gradient of a 3×3 convolution with respect to its weights: within a chunk of images sums
/// over image, row, column; chunks are folded within a block, then blocks are folded.
pub(crate) fn conv3_weights(
    x: &[f32],
    shape: TensorShape,
    dz: &[f32],
    out: usize,
    padding: usize,
) -> Vec<f32> {
    let to = shape.convolved(out, padding);
    let mut gradient = Vec::new();
    for o in 0..out {
        for i in 0..shape.channels {
            for (ky, kx) in (0..9).map(|tap| (tap / 3, tap % 3)) {
                gradient.push(over_chunks(shape.images, to.pixels(), |image, mut sum| {
                    for row in 0..to.height {
                        let Some(y) = tap(row, ky, padding, shape.height) else {
                            continue;
                        };
                        for column in 0..to.width {
                            if let Some(x_at) = tap(column, kx, padding, shape.width) {
                                let value = x[shape.at(image, i, y, x_at)];
                                sum = value.mul_add(dz[to.at(image, o, row, column)], sum);
                            }
                        }
                    }
                    sum
                }));
            }
        }
    }
    gradient
}

/// One chain of `f` from +0 per chunk of images; a left fold over the chunks of each block, then
/// over the blocks.
pub(crate) fn over_chunks(images: usize, pixels: usize, f: impl Fn(usize, f32) -> f32) -> f32 {
    let all: Vec<usize> = (0..images).collect();
    let of_chunk = |images: &[usize]| images.iter().fold(0.0, |sum, &image| f(image, sum));
    let of_block = |images: &[usize]| fold(images.chunks(chunk(pixels)).map(of_chunk));
    fold(all.chunks(BLOCK).map(of_block))
}

/// The first term plus the second, plus the third, and so on.
fn fold(terms: impl Iterator<Item = f32>) -> f32 {
    terms.reduce(|sum, term| sum + term).unwrap_or(0.0)
}

/// A left fold of one value per image within each block, then over the blocks.
pub(crate) fn over_images(terms: &[f32]) -> f32 {
    fold(terms.chunks(BLOCK).map(|block| fold(block.iter().copied())))
}

/// 1×1 convolution of maps of one shape as if they were concatenated: sums over map, channel. With
/// one pixel per image it is a linear layer without bias.
pub(crate) fn conv1(
    maps: &[Vec<f32>],
    shape: TensorShape,
    weights: &[f32],
    out: usize,
) -> Vec<f32> {
    let to = TensorShape {
        channels: out,
        ..shape
    };
    let mut z = vec![0.0; to.len()];
    for (index, z) in z.iter_mut().enumerate() {
        let (pixel, o) = (index % shape.pixels(), index / shape.pixels() % out);
        let image = index / shape.pixels() / out;
        let mut sum = 0.0f32;
        for (m, map) in maps.iter().enumerate() {
            for i in 0..shape.channels {
                let weight = weights[(o * maps.len() + m) * shape.channels + i];
                let at = (image * shape.channels + i) * shape.pixels() + pixel;
                sum = map[at].mul_add(weight, sum);
            }
        }
        *z = sum;
    }
    z
}

/// The gradient of [`conv1`] with respect to map number `m` of `maps`: sums over output channels.
pub(crate) fn conv1_input(
    dz: &[f32],
    shape: TensorShape,
    weights: &[f32],
    inputs: usize,
    [m, maps]: [usize; 2],
) -> Vec<f32> {
    let mut transposed = Vec::new();
    for i in 0..inputs {
        for o in 0..shape.channels {
            transposed.push(weights[(o * maps + m) * inputs + i]);
        }
    }
    conv1(&[dz.to_vec()], shape, &transposed, inputs)
}

/// The gradient of [`conv1`] with respect to its weights: sums over image and pixel within a chunk.
pub(crate) fn conv1_weights(
    maps: &[Vec<f32>],
    shape: TensorShape,
    dz: &[f32],
    out: usize,
) -> Vec<f32> {
    let pixels = shape.pixels();
    let mut gradient = Vec::new();
    for o in 0..out {
        for map in maps {
            for i in 0..shape.channels {
                gradient.push(over_chunks(shape.images, pixels, |image, sum| {
                    let x = &map[(image * shape.channels + i) * pixels..][..pixels];
                    let dz = &dz[(image * out + o) * pixels..][..pixels];
                    x.iter()
                        .zip(dz)
                        .fold(sum, |sum, (x, dz)| x.mul_add(*dz, sum))
                }));
            }
        }
    }
    gradient
}

/// A sum over the pixels of a plane in four stripes: `f` adds pixel `p` to its stripe's sum.
pub(crate) fn over_pixels(pixels: usize, f: impl Fn(usize, f32) -> f32) -> f32 {
    let stripe = |stripe| (stripe..pixels).step_by(4).fold(0.0, |sum, p| f(p, sum));
    (stripe(0) + stripe(1)) + (stripe(2) + stripe(3))
}

/// Batch norm's statistics of one channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Channel {
    pub(crate) mean: f32,
    pub(crate) inverse: f32,
    pub(crate) scale: f32,
    pub(crate) running_mean: f32,
    pub(crate) running_var: f32,
}

const EPSILON: f32 = 1e-5;
const MOMENTUM: f32 = 0.1;

/// The statistics of one channel over a batch; `planes` has one plane per image.
pub(crate) fn batch_statistics(planes: &[&[f32]], weight: f32, before: Channel) -> Channel {
    let pixels = planes[0].len();
    let count = pixels as f32;
    let mean_of = |z: &[f32]| over_pixels(pixels, |p, sum| sum + z[p]) / count;
    let means: Vec<f32> = planes.iter().map(|z| mean_of(z)).collect();
    let mean = over_images(&means) / planes.len() as f32;
    let images = planes.iter().zip(&means);
    let squares: Vec<f32> = images
        .map(|(z, own)| {
            let squares = over_pixels(pixels, |p, sum| (z[p] - own).mul_add(z[p] - own, sum));
            let d = own - mean;
            (count * d).mul_add(d, squares)
        })
        .collect();
    let squares = over_images(&squares);
    let count = planes.len() * pixels;
    let unbiased = squares / (count - 1).max(1) as f32;
    let inverse = 1.0 / (squares / count as f32 + EPSILON).sqrt();
    let follow = |old: f32, new: f32| MOMENTUM.mul_add(new - old, old);
    Channel {
        mean,
        inverse,
        scale: weight * inverse,
        running_mean: follow(before.running_mean, mean),
        running_var: follow(before.running_var, unbiased),
    }
}

/// The same from the running statistics, outside training.
pub(crate) fn running_statistics(weight: f32, before: Channel) -> Channel {
    let inverse = 1.0 / (before.running_var + EPSILON).sqrt();
    Channel {
        mean: before.running_mean,
        inverse,
        scale: weight * inverse,
        ..before
    }
}

/// Batch norm without ReLU.
pub(crate) fn affine(z: f32, channel: Channel, bias: f32) -> f32 {
    (z - channel.mean).mul_add(channel.scale, bias)
}

pub(crate) fn relu(value: f32) -> f32 {
    if value > 0.0 { value } else { 0.0 }
}

/// The backward pass of batch norm for one channel, `z` and `dy` with one plane per image: the gradients
/// with respect to `z`, the weight and the bias. `relu` is the bias if ReLU follows.
pub(crate) fn norm_backward(
    z: &[&[f32]],
    dy: &[&[f32]],
    channel: Channel,
    relu: Option<f32>,
) -> (Vec<Vec<f32>>, f32, f32) {
    let is_open = |z: f32| relu.is_none_or(|bias| affine(z, channel, bias) > 0.0);
    let g = |image: usize, p: usize| {
        let open = is_open(z[image][p]);
        if open { dy[image][p] } else { 0.0 }
    };
    let pixels = z[0].len();
    let images = 0..z.len();
    let gradients = images
        .clone()
        .map(|i| over_pixels(pixels, |p, sum| sum + g(i, p)));
    let products = images.clone().map(|i| {
        over_pixels(pixels, |p, sum| {
            g(i, p).mul_add(z[i][p] - channel.mean, sum)
        })
    });
    let bias_gradient = over_images(&gradients.collect::<Vec<_>>());
    let weight_gradient = over_images(&products.collect::<Vec<_>>()) * channel.inverse;
    let count = (z.len() * pixels) as f32;
    let a = bias_gradient / count;
    let b = weight_gradient * channel.inverse / count;
    let dz = |i: usize, p: usize| (z[i][p] - channel.mean).mul_add(-b, g(i, p) - a) * channel.scale;
    let dz = images.map(|i| (0..pixels).map(|p| dz(i, p)).collect());
    (dz.collect(), weight_gradient, bias_gradient)
}

/// 2×2 max pooling. Of equal values in a window the first is the maximum. The second result is its
/// index.
pub(crate) fn pool(y: &[f32], shape: TensorShape) -> (Vec<f32>, Vec<usize>) {
    let (mut out, mut places) = (Vec::new(), Vec::new());
    for plane in 0..shape.images * shape.channels {
        for row in 0..shape.height / 2 {
            for column in 0..shape.width / 2 {
                let first = plane * shape.pixels() + 2 * row * shape.width + 2 * column;
                let mut best = first;
                for place in [first + 1, first + shape.width, first + shape.width + 1] {
                    if y[place] > y[best] {
                        best = place;
                    }
                }
                out.push(y[best]);
                places.push(best);
            }
        }
    }
    (out, places)
}

/// Global average pooling.
pub(crate) fn average(y: &[f32], shape: TensorShape) -> Vec<f32> {
    let planes = y.chunks_exact(shape.pixels());
    let mean = |y: &[f32]| over_pixels(y.len(), |p, sum| sum + y[p]) / y.len() as f32;
    planes.map(mean).collect()
}

/// The sum of squares of a gradient `[out][rows]`, with rows in the order `order`: one chain per
/// output, then a chain over the outputs.
pub(crate) fn sum_of_squares(gradient: &[f32], outputs: usize, order: &[usize]) -> f32 {
    let rows = gradient.len() / outputs;
    (0..outputs).fold(0.0, |total, o| {
        let chain = |sum: f32, &row: &usize| {
            let g = gradient[o * rows + row];
            g.mul_add(g, sum)
        };
        total + order.iter().fold(0.0, chain)
    })
}

/// Parameter and velocity after one step of SGD.
pub(crate) fn sgd(
    [parameter, velocity, gradient]: [f32; 3],
    factor: f32,
    [rate, momentum, weight_decay]: [f32; 3],
    nesterov: bool,
) -> [f32; 2] {
    let decayed = weight_decay.mul_add(parameter, gradient * factor);
    let velocity = momentum.mul_add(velocity, decayed);
    let direction = if nesterov {
        momentum.mul_add(velocity, decayed)
    } else {
        velocity
    };
    [(-rate).mul_add(direction, parameter), velocity]
}
