//! The values of a graph without batch norm for one image, as plain loops: the ranges of its
//! activations are measured with it, and the accuracy of a graph in eight bits.

use std::collections::BTreeMap;

use crate::onnx::floats;
use crate::onnx::int8::{INT8, INT32, UINT8};
use crate::onnx::layers::INT64;
use crate::onnx::messages::{GraphProto, NodeProto, TensorProto};
use crate::onnx::operators::{
    by_channel, convolution, hard_sigmoid, joined, means, resized, slice, sum, windows,
};

/// One value of one image: channels × height × width.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FeatureMap {
    /// Channels, height and width; a vector of features has height and width 1.
    pub(super) shape: [usize; 3],
    /// The numbers, width fastest.
    pub(super) values: Vec<f32>,
}

/// A stored tensor.
pub(super) struct Stored {
    pub(super) dims: Vec<usize>,
    pub(super) values: Vec<f32>,
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
        let stored = |index: usize| {
            let name = node.input.get(index)?;
            self.stored.get(name.as_str())
        };
        let each = |f: &dyn Fn(f32) -> f32| FeatureMap {
            shape: x.shape,
            values: x.values.iter().map(|&value| f(value)).collect(),
        };
        match (node.op_type.as_str(), stored(1)) {
            ("Sub", Some(by)) => by_channel(x, &by.values, |x, by| x - by),
            ("Div", Some(by)) => by_channel(x, &by.values, |x, by| x / by),
            ("Conv" | "Gemm", Some(weight)) => convolution(node, x, weight, stored(2)),
            ("Relu", _) => each(&|value| value.max(0.0)),
            ("HardSigmoid", _) => each(&hard_sigmoid(node)),
            ("HardSwish", _) => each(&|value| value * (value / 6.0 + 0.5).clamp(0.0, 1.0)),
            ("MaxPool" | "AveragePool", _) => windows(node, x),
            ("GlobalAveragePool", _) => means(x),
            ("QuantizeLinear", Some(scale)) => {
                let (scale, zero) = (scale.values[0], zero_point(stored(2)));
                each(&|value| ((value / scale).round_ties_even() + zero).clamp(0.0, 255.0))
            }
            ("DequantizeLinear", Some(scale)) => {
                let (scale, zero) = (scale.values[0], zero_point(stored(2)));
                each(&|value| (value - zero) * scale)
            }
            ("Concat", _) => joined(node.input.iter().map(|name| &values[name.as_str()])),
            ("Add", Some(by)) => by_channel(x, &by.values, |x, by| x + by),
            ("Add", None) => sum(x, &values[node.input[1].as_str()]),
            ("Mul", None) => {
                let factors = &values[node.input[1].as_str()];
                by_channel(x, &factors.values, |x, by| x * by)
            }
            ("Slice", Some(starts)) => {
                let steps = stored(4).map_or(&[1.0; 2][..], |steps| &steps.values);
                slice(x, &starts.values, steps)
            }
            ("Resize", _) => {
                let ratios = stored(2).map_or(&[1.0; 4][..], |scales| &scales.values);
                resized(x, [ratios[2], ratios[3]])
            }
            // It keeps the numbers and their order.
            ("Flatten", _) => x.clone(),
            (other, _) => unreachable!("{other} is exported for no network"),
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
        INT64 => {
            let (words, _) = bytes.as_chunks::<8>();
            let word = |bytes: &[u8; 8]| i64::from_le_bytes(*bytes) as f32;
            words.iter().map(word).collect()
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
