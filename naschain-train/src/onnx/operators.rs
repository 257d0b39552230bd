//! ONNX operators on one image, as plain loops.

use crate::onnx::evaluate::{FeatureMap, Stored};
use crate::onnx::messages::{AttributeProto, NodeProto};

fn attribute<'n>(node: &'n NodeProto, name: &str) -> Option<&'n AttributeProto> {
    node.attribute.iter().find(|found| found.name == name)
}

/// The integers of an attribute; `default` where it is absent.
fn integers<const N: usize>(node: &NodeProto, name: &str, default: usize) -> [usize; N] {
    let numbers = attribute(node, name).map_or(&[][..], |found| &found.ints);
    std::array::from_fn(|at| numbers.get(at).map_or(default, |number| *number as usize))
}

fn groups(node: &NodeProto) -> usize {
    attribute(node, "group").map_or(1, |found| found.i as usize)
}

/// The function of one value that ONNX calls hard sigmoid.
pub(super) fn hard_sigmoid(node: &NodeProto) -> impl Fn(f32) -> f32 + use<> {
    let number = |name: &str| attribute(node, name).map_or(0.0, |found| found.f);
    let (alpha, beta) = (number("alpha"), number("beta"));
    move |x| (alpha * x + beta).clamp(0.0, 1.0)
}

/// Each value with the number of its channel.
pub(super) fn by_channel(x: &FeatureMap, by: &[f32], f: impl Fn(f32, f32) -> f32) -> FeatureMap {
    let plane = x.shape[1] * x.shape[2];
    let channels = x.values.chunks_exact(plane).zip(by);
    let values = channels.flat_map(|(plane, &by)| plane.iter().map(move |&x| (x, by)));
    FeatureMap {
        shape: x.shape,
        values: values.map(|(x, by)| f(x, by)).collect(),
    }
}

/// The sum of two maps.
pub(super) fn sum(a: &FeatureMap, b: &FeatureMap) -> FeatureMap {
    let pairs = a.values.iter().zip(&b.values);
    FeatureMap {
        shape: a.shape,
        values: pairs.map(|(a, b)| a + b).collect(),
    }
}

/// Where a window or kernel lies: one side of the input and of the output.
#[derive(Clone, Copy)]
struct Side {
    size: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    padding: usize,
}

impl Side {
    fn outputs(&self) -> usize {
        let reach = self.dilation * (self.kernel - 1) + 1;
        (self.size + 2 * self.padding - reach) / self.stride + 1
    }

    /// The place that a tap reads, if it is inside.
    fn place(&self, at: usize, tap: usize) -> Option<usize> {
        let place = (at * self.stride + tap * self.dilation).checked_sub(self.padding)?;
        (place < self.size).then_some(place)
    }

    /// The outputs whose tap is inside.
    fn inside(&self, tap: usize) -> std::ops::Range<usize> {
        let reach = tap * self.dilation;
        let first = self.padding.saturating_sub(reach).div_ceil(self.stride);
        let end = (self.size + self.padding).saturating_sub(reach);
        let end = end.div_ceil(self.stride).min(self.outputs());
        first.min(end)..end
    }
}

/// The sides of an operator with this kernel.
fn sides(node: &NodeProto, x: &FeatureMap, kernel: [usize; 2]) -> [Side; 2] {
    let [strides, dilations] = ["strides", "dilations"].map(|name| integers::<2>(node, name, 1));
    let pads = integers::<4>(node, "pads", 0);
    [0, 1].map(|side| Side {
        size: x.shape[1 + side],
        kernel: kernel[side],
        stride: strides[side],
        dilation: dilations[side],
        padding: pads[side],
    })
}

/// A convolution. A linear layer is one of 1×1 over a map of one pixel.
pub(super) fn convolution(
    node: &NodeProto,
    x: &FeatureMap,
    weight: &Stored,
    bias: Option<&Stored>,
) -> FeatureMap {
    let kernel = [2, 3].map(|at| weight.dims.get(at).copied().unwrap_or(1));
    let (outputs, inputs) = (weight.dims[0], weight.dims[1]);
    let [down, across] = sides(node, x, kernel);
    let (rows, columns) = (down.outputs(), across.outputs());
    let in_group = outputs / groups(node);
    let (plane, taps) = (down.size * across.size, kernel[0] * kernel[1]);
    let mut values = vec![0.0; outputs * rows * columns];
    for (output, out) in values.chunks_exact_mut(rows * columns).enumerate() {
        out.fill(bias.map_or(0.0, |bias| bias.values[output]));
        for input in 0..inputs {
            let from = output / in_group * inputs + input;
            let source = &x.values[from * plane..][..plane];
            let factors = &weight.values[(output * inputs + input) * taps..][..taps];
            for (tap, &factor) in factors.iter().enumerate() {
                let inside = across.inside(tap % kernel[1]);
                let Some(first) = across.place(inside.start, tap % kernel[1]) else {
                    continue;
                };
                for row in down.inside(tap / kernel[1]) {
                    let Some(y) = down.place(row, tap / kernel[1]) else {
                        continue;
                    };
                    let read = &source[y * across.size + first..];
                    let written = &mut out[row * columns..][inside.clone()];
                    add_products(written, read, factor, across.stride);
                }
            }
        }
    }
    FeatureMap {
        shape: [outputs, rows, columns],
        values,
    }
}

fn add_products(sums: &mut [f32], read: &[f32], factor: f32, stride: usize) {
    if stride == 1 {
        for (sum, value) in sums.iter_mut().zip(read) {
            *sum += factor * value;
        }
    } else {
        for (sum, value) in sums.iter_mut().zip(read.iter().step_by(stride)) {
            *sum += factor * value;
        }
    }
}

/// The largest value of each window, or the mean of those that are inside.
pub(super) fn windows(node: &NodeProto, x: &FeatureMap) -> FeatureMap {
    let kernel = integers::<2>(node, "kernel_shape", 1);
    let [down, across] = sides(node, x, kernel);
    let (rows, columns) = (down.outputs(), across.outputs());
    let mut values = Vec::with_capacity(x.shape[0] * rows * columns);
    for plane in x.values.chunks_exact(down.size * across.size) {
        for row in 0..rows {
            for column in 0..columns {
                let (mut most, mut sum, mut count) = (f32::NEG_INFINITY, 0.0, 0);
                for y in (0..kernel[0]).filter_map(|tap| down.place(row, tap)) {
                    for at in (0..kernel[1]).filter_map(|tap| across.place(column, tap)) {
                        let value = plane[y * across.size + at];
                        (most, sum, count) = (most.max(value), sum + value, count + 1);
                    }
                }
                let is_mean = node.op_type == "AveragePool";
                values.push(if is_mean { sum / count as f32 } else { most });
            }
        }
    }
    FeatureMap {
        shape: [x.shape[0], rows, columns],
        values,
    }
}

pub(super) fn means(x: &FeatureMap) -> FeatureMap {
    let plane = x.shape[1] * x.shape[2];
    let mean = |plane: &[f32]| plane.iter().sum::<f32>() / plane.len() as f32;
    FeatureMap {
        shape: [x.shape[0], 1, 1],
        values: x.values.chunks_exact(plane).map(mean).collect(),
    }
}

pub(super) fn joined<'m>(maps: impl Iterator<Item = &'m FeatureMap>) -> FeatureMap {
    let mut joined = FeatureMap {
        shape: [0; 3],
        values: Vec::new(),
    };
    for map in maps {
        let channels = joined.shape[0] + map.shape[0];
        joined.shape = [channels, map.shape[1], map.shape[2]];
        joined.values.extend_from_slice(&map.values);
    }
    joined
}

/// Rows and columns from `starts` on, by `steps`.
pub(super) fn slice(x: &FeatureMap, starts: &[f32], steps: &[f32]) -> FeatureMap {
    let [channels, height, width] = x.shape;
    let kept =
        |side: usize, size: usize| (starts[side] as usize..size).step_by(steps[side] as usize);
    let mut values = Vec::new();
    for plane in x.values.chunks_exact(height * width) {
        for row in kept(0, height) {
            values.extend(kept(1, width).map(|column| plane[row * width + column]));
        }
    }
    FeatureMap {
        shape: [channels, kept(0, height).count(), kept(1, width).count()],
        values,
    }
}

/// Bilinear interpolation; pixel centres lie at halves.
pub(super) fn resized(x: &FeatureMap, ratios: [f32; 2]) -> FeatureMap {
    let [channels, height, width] = x.shape;
    let places = |size: usize, ratio: f32| -> Vec<(usize, usize, f32)> {
        let outputs = (f64::from(ratio) * size as f64) as usize;
        let place = |at: usize| {
            let centre = (at as f32 + 0.5) * size as f32 / outputs as f32 - 0.5;
            let centre = centre.max(0.0);
            let first = (centre as usize).min(size - 1);
            (first, (first + 1).min(size - 1), centre - first as f32)
        };
        (0..outputs).map(place).collect()
    };
    let (rows, columns) = (places(height, ratios[0]), places(width, ratios[1]));
    let mut values = Vec::with_capacity(channels * rows.len() * columns.len());
    for plane in x.values.chunks_exact(height * width) {
        for &(above, below, f) in &rows {
            for &(left, right, g) in &columns {
                let within = |row: usize| {
                    let (left, right) = (plane[row * width + left], plane[row * width + right]);
                    left + g * (right - left)
                };
                let (upper, lower) = (within(above), within(below));
                values.push(upper + f * (lower - upper));
            }
        }
    }
    FeatureMap {
        shape: [channels, rows.len(), columns.len()],
        values,
    }
}
