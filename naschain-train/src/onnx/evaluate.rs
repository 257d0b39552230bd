//! The values of a graph without batch norm for one image, as plain loops: the ranges of its
//! activations are measured with it, and the accuracy of a graph in eight bits.

use std::collections::BTreeMap;

use crate::onnx::floats;
use crate::onnx::int8::{INT8, INT32, UINT8};
use crate::onnx::messages::{GraphProto, NodeProto, TensorProto};

/// One value of one image: channels × height × width.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FeatureMap {
    /// Channels, height and width; a vector of features has height and width 1.
    pub(super) shape: [usize; 3],
    /// The numbers, width fastest.
    pub(super) values: Vec<f32>,
}

/// A stored tensor.
struct Stored {
    dims: Vec<usize>,
    values: Vec<f32>,
}

/// A graph with its tensors decoded.
pub(super) struct Evaluator<'a> {
    nodes: Vec<&'a NodeProto>,
    stored: BTreeMap<&'a str, Stored>,
}

impl<'a> Evaluator<'a> {
    /// Decodes the tensors of a folded graph, in eight bits or not.
    pub(super) fn new(graph: &'a GraphProto) -> Evaluator<'a> {
        let tensors = graph.initializer.iter().map(|tensor| {
            let dims = tensor.dims.iter().map(|&size| size as usize).collect();
            let values = numbers(tensor);
            (tensor.name.as_str(), Stored { dims, values })
        });
        let mut stored: BTreeMap<&'a str, Stored> = tensors.collect();
        // Weights that are stored as integers are scaled once, not for each image.
        let (weights, nodes): (Vec<&'a NodeProto>, Vec<&'a NodeProto>) =
            graph.node.iter().partition(|node| {
                node.op_type == "DequantizeLinear" && stored.contains_key(node.input[0].as_str())
            });
        for node in weights {
            let [integers, scales] = [0_usize, 1].map(|index| &stored[node.input[index].as_str()]);
            let weight = scaled(integers, scales);
            stored.insert(node.output[0].as_str(), weight);
        }
        Evaluator { nodes, stored }
    }

    /// Every value of the graph by name, for the value `pixels`.
    pub(super) fn values(&self, pixels: FeatureMap) -> BTreeMap<&'a str, FeatureMap> {
        let mut values = BTreeMap::from([("pixels", pixels)]);
        for &node in &self.nodes {
            let value = self.value(node, &values);
            values.insert(node.output[0].as_str(), value);
        }
        values
    }

    fn value(&self, node: &NodeProto, values: &BTreeMap<&str, FeatureMap>) -> FeatureMap {
        let x = &values[node.input[0].as_str()];
        let tensor = |index: usize| {
            node.input
                .get(index)
                .map(|name| &self.stored[name.as_str()])
        };
        let each = |f: &dyn Fn(f32) -> f32| FeatureMap {
            shape: x.shape,
            values: x.values.iter().map(|&value| f(value)).collect(),
        };
        match (node.op_type.as_str(), tensor_of(node, &self.stored)) {
            ("Sub", Some(by)) => by_channel(x, by, |x, by| x - by),
            ("Div", Some(by)) => by_channel(x, by, |x, by| x / by),
            ("Conv", Some(weight)) => convolution(node, x, weight, tensor(2)),
            ("Gemm", Some(weight)) => convolution(node, x, weight, tensor(2)),
            ("Relu", _) => each(&|value| value.max(0.0)),
            ("MaxPool", _) => max_pool(x),
            ("GlobalAveragePool", _) => means(x),
            ("QuantizeLinear", Some(scale)) => {
                let (scale, zero) = (scale.values[0], zero_point(tensor(2)));
                each(&|value| ((value / scale).round_ties_even() + zero).clamp(0.0, 255.0))
            }
            ("DequantizeLinear", Some(scale)) => {
                let (scale, zero) = (scale.values[0], zero_point(tensor(2)));
                each(&|value| (value - zero) * scale)
            }
            ("Concat", _) => joined(node.input.iter().map(|name| &values[name.as_str()])),
            // Flatten keeps the numbers and their order.
            _ => x.clone(),
        }
    }
}

/// The numbers of a stored tensor of any type that graphs here have.
fn numbers(tensor: &TensorProto) -> Vec<f32> {
    let bytes = &tensor.raw_data;
    match tensor.data_type {
        UINT8 => bytes.iter().map(|&byte| f32::from(byte)).collect(),
        INT8 => bytes.iter().map(|&byte| f32::from(byte as i8)).collect(),
        INT32 => {
            let words = bytes.chunks_exact(4);
            let word = |b: &[u8]| i32::from_le_bytes([b[0], b[1], b[2], b[3]]) as f32;
            words.map(word).collect()
        }
        _ => floats(bytes),
    }
}

/// Integers with a scale for each index of the first dimension, as floats.
fn scaled(integers: &Stored, scales: &Stored) -> Stored {
    let row = integers.values.len() / scales.values.len().max(1);
    let rows = integers.values.chunks_exact(row.max(1)).zip(&scales.values);
    let values = rows.flat_map(|(row, &scale)| row.iter().map(move |&value| value * scale));
    Stored {
        dims: integers.dims.clone(),
        values: values.collect(),
    }
}

/// An absent zero point is 0.
fn zero_point(stored: Option<&Stored>) -> f32 {
    stored.map_or(0.0, |stored| stored.values[0])
}

fn tensor_of<'s>(node: &NodeProto, stored: &'s BTreeMap<&str, Stored>) -> Option<&'s Stored> {
    node.input.get(1).and_then(|name| stored.get(name.as_str()))
}

fn by_channel(x: &FeatureMap, by: &Stored, f: impl Fn(f32, f32) -> f32) -> FeatureMap {
    let plane = x.shape[1] * x.shape[2];
    let channels = x.values.chunks_exact(plane).zip(&by.values);
    let values = channels.flat_map(|(plane, &by)| plane.iter().map(move |&x| (x, by)));
    FeatureMap {
        shape: x.shape,
        values: values.map(|(x, by)| f(x, by)).collect(),
    }
}

/// A convolution with stride 1. A linear layer is one of 1×1 over a map of one pixel.
fn convolution(
    node: &NodeProto,
    x: &FeatureMap,
    weight: &Stored,
    bias: Option<&Stored>,
) -> FeatureMap {
    let [_, height, width] = x.shape;
    let pads = node.attribute.iter().find(|found| found.name == "pads");
    let pad = pads.map_or(0, |pads| pads.ints[0] as usize);
    let (outputs, inputs) = (weight.dims[0], weight.dims[1]);
    let kernel = weight.dims.get(2).copied().unwrap_or(1);
    let (rows, columns) = (height + 2 * pad - kernel + 1, width + 2 * pad - kernel + 1);
    let is_depthwise = inputs == 1 && x.shape[0] == outputs;
    let mut values = vec![0.0; outputs * rows * columns];
    for (output, plane) in values.chunks_exact_mut(rows * columns).enumerate() {
        plane.fill(bias.map_or(0.0, |bias| bias.values[output]));
        for input in 0..inputs {
            let from = if is_depthwise { output } else { input };
            let source = &x.values[from * height * width..][..height * width];
            let taps = &weight.values[(output * inputs + input) * kernel * kernel..];
            for (tap, &factor) in taps[..kernel * kernel].iter().enumerate() {
                let (down, right) = (tap / kernel, tap % kernel);
                for row in 0..rows {
                    let Some(y) = (row + down).checked_sub(pad).filter(|y| *y < height) else {
                        continue;
                    };
                    // The columns whose tap lies inside the image.
                    let first = pad.saturating_sub(right);
                    let last = columns.min((width + pad).saturating_sub(right));
                    let read = &source[y * width + first + right - pad..];
                    let written = &mut plane[row * columns + first..row * columns + last];
                    for (sum, &value) in written.iter_mut().zip(read) {
                        *sum += factor * value;
                    }
                }
            }
        }
    }
    FeatureMap {
        shape: [outputs, rows, columns],
        values,
    }
}

/// The largest of each 2×2 pixels.
fn max_pool(x: &FeatureMap) -> FeatureMap {
    let [channels, height, width] = x.shape;
    let (rows, columns) = (height / 2, width / 2);
    let mut values = Vec::with_capacity(channels * rows * columns);
    for plane in x.values.chunks_exact(height * width) {
        for row in 0..rows {
            for column in 0..columns {
                let at = 2 * row * width + 2 * column;
                let pixels = [at, at + 1, at + width, at + width + 1].map(|at| plane[at]);
                values.push(pixels.into_iter().fold(f32::NEG_INFINITY, f32::max));
            }
        }
    }
    FeatureMap {
        shape: [channels, rows, columns],
        values,
    }
}

fn means(x: &FeatureMap) -> FeatureMap {
    let plane = x.shape[1] * x.shape[2];
    let mean = |plane: &[f32]| plane.iter().sum::<f32>() / plane.len() as f32;
    FeatureMap {
        shape: [x.shape[0], 1, 1],
        values: x.values.chunks_exact(plane).map(mean).collect(),
    }
}

fn joined<'m>(maps: impl Iterator<Item = &'m FeatureMap>) -> FeatureMap {
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
