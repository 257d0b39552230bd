//! A network in eight bits, as an ONNX graph in QDQ form: `QuantizeLinear` and `DequantizeLinear`
//! around the operators, which runtimes replace by integer kernels.
//!
//! Weights are symmetric with one scale for each output channel, activations are asymmetric with
//! one scale for each map, from the smallest and largest value on the calibration images (Jacob et
//! al. 2018, Nagel et al. 2021).

use std::collections::BTreeMap;

use crate::onnx::evaluate::{Evaluator, FeatureMap};
use crate::onnx::fold::fold;
use crate::onnx::messages::{AttributeProto, GraphProto, NodeProto, TensorProto};
use crate::onnx::{float_tensor, floats, int, tensor};
use crate::training::check;
use crate::{Dataset, Error, Model};

/// Training images on which the ranges of activations are measured.
const CALIBRATION_IMAGES: usize = 256;
/// Largest weight. One bit is left unused: without it the sum of two products of an unsigned and a
/// signed byte exceeds 16 bits, to which processors without VNNI clamp it.
const LARGEST_WEIGHT: f32 = 63.0;
/// `TensorProto.DataType`
pub(super) const UINT8: i32 = 2;
pub(super) const INT8: i32 = 3;
pub(super) const INT32: i32 = 6;

/// The graph in eight bits, calibrated on training images of `dataset`.
pub(super) fn graph(model: &Model, dataset: &Dataset) -> Result<GraphProto, Error> {
    check(model.network.view(), dataset)?;
    let graph = fold(super::graph(model)?);
    let ranges = ranges(&graph, dataset)?;
    if let Some((value, range)) = ranges.iter().find(|(_, range)| !range.is_finite()) {
        let Range { low, high } = range;
        return Err(Error::Weights {
            problem: format!("{value} is {low} to {high}; eight bits need finite values"),
        });
    }
    Ok(Quantiser::new(&graph, ranges).quantised())
}

/// The values of an activation, which include 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Range {
    low: f32,
    high: f32,
}

impl Range {
    fn is_finite(&self) -> bool {
        self.low.is_finite() && self.high.is_finite()
    }

    fn extend(&mut self, values: &[f32]) {
        for &value in values {
            // `min` and `max` would ignore a NaN.
            if value.is_nan() {
                self.high = value;
            }
            if value < self.low {
                self.low = value;
            }
            if value > self.high {
                self.high = value;
            }
        }
    }

    /// Scale and zero point of unsigned bytes.
    fn scale(&self) -> (f32, u8) {
        let scale = (self.high - self.low) / 255.0;
        if !scale.is_normal() {
            return (1.0, 0);
        }
        (scale, (-self.low / scale).round_ties_even() as u8)
    }
}

/// The range of every value on images that are spread evenly over the training set, so that each
/// class of a sorted data set is among them.
fn ranges(graph: &GraphProto, dataset: &Dataset) -> Result<BTreeMap<String, Range>, Error> {
    let images = dataset.train.len();
    let count = images.min(CALIBRATION_IMAGES);
    let indices: Vec<usize> = (0..count).map(|index| index * images / count).collect();
    let unit = 255.0 / f32::from(dataset.white());
    let pixels = dataset.train.pixels(&indices)?;
    let shape = dataset.shape;
    let evaluator = Evaluator::new(graph);
    let mut ranges: BTreeMap<String, Range> = BTreeMap::new();
    for image in pixels.chunks_exact(shape.len()) {
        let pixels = FeatureMap {
            shape: [shape.channels, shape.height, shape.width],
            values: image.iter().map(|&pixel| f32::from(pixel) * unit).collect(),
        };
        for (name, map) in evaluator.values(pixels) {
            ranges
                .entry(name.to_owned())
                .or_default()
                .extend(&map.values);
        }
    }
    Ok(ranges)
}

/// A quantised activation: its value as float again, and its scale.
#[derive(Clone)]
struct QuantisedMap {
    name: String,
    scale: f32,
    /// Names of the stored scale and, unless it is 0, of the zero point.
    parameters: Vec<String>,
}

/// Whether an attribute of a convolution is what it is without it; the kernel's size follows from the weights.
fn is_default(attribute: &AttributeProto) -> bool {
    let all = |default: i64| attribute.ints.iter().all(|&number| number == default);
    match attribute.name.as_str() {
        "kernel_shape" => true,
        "pads" => all(0),
        "strides" | "dilations" => all(1),
        "group" => attribute.i == 1,
        _ => false,
    }
}

struct Quantiser<'a> {
    graph: &'a GraphProto,
    ranges: BTreeMap<String, Range>,
    stored: BTreeMap<&'a str, &'a TensorProto>,
    nodes: Vec<NodeProto>,
    tensors: Vec<TensorProto>,
    names: usize,
    /// By the name that the value has in the float graph.
    activations: BTreeMap<&'a str, QuantisedMap>,
    /// Values that stay float, by the same names.
    floats: BTreeMap<&'a str, String>,
}

impl<'a> Quantiser<'a> {
    fn new(graph: &'a GraphProto, ranges: BTreeMap<String, Range>) -> Quantiser<'a> {
        let tensors = graph.initializer.iter();
        Quantiser {
            graph,
            ranges,
            stored: tensors
                .map(|tensor| (tensor.name.as_str(), tensor))
                .collect(),
            nodes: Vec::new(),
            tensors: Vec::new(),
            names: 0,
            activations: BTreeMap::new(),
            floats: BTreeMap::new(),
        }
    }

    fn quantised(mut self) -> GraphProto {
        let graph = self.graph;
        for node in &graph.node {
            self.operator(node);
        }
        GraphProto {
            node: self.nodes,
            name: graph.name.clone(),
            initializer: self.tensors,
            input: graph.input.clone(),
            output: graph.output.clone(),
        }
    }

    fn operator(&mut self, node: &'a NodeProto) {
        let output = node.output[0].as_str();
        let reads = |node: &&NodeProto| node.input.iter().any(|input| input == output);
        let readers: Vec<&NodeProto> = self.graph.node.iter().filter(reads).collect();
        let only_by = |op_type: &str| {
            let is_it = |reader: &&NodeProto| reader.op_type == op_type;
            !readers.is_empty() && readers.iter().all(is_it)
        };
        // What is merged with its reader, the few numbers after the last pooling, and images before they are
        // resized, since runtimes round differently if they interpolate bytes, stay float.
        let stays_float = match node.op_type.as_str() {
            "Sub" | "Gemm" => true,
            "GlobalAveragePool" => only_by("Flatten"),
            "Div" => only_by("Resize"),
            "Conv" => only_by("Relu"),
            _ => false,
        };
        let (input, bias) = self.inputs(node);
        let name = match output {
            "logits" => output.to_owned(),
            _ => self.name(),
        };
        let is_needed =
            |attribute: &&AttributeProto| node.op_type != "Conv" || !is_default(attribute);
        let attribute = node.attribute.iter().filter(is_needed).cloned().collect();
        let inputs = input.into_iter().chain(bias).collect();
        self.push(&node.op_type, inputs, name.clone(), attribute);
        if stays_float {
            self.floats.insert(output, name);
            return;
        }
        // Maxima and parts of a map keep the values, and so the scale.
        let kept = match node.op_type.as_str() {
            "MaxPool" | "Slice" => self.activations.get(node.input[0].as_str()).cloned(),
            _ => None,
        };
        let activation = self.activation(output, name, kept);
        self.activations.insert(output, activation);
    }

    /// The inputs of an operator in the new graph, and its bias.
    fn inputs(&mut self, node: &'a NodeProto) -> (Vec<String>, Option<String>) {
        let mut inputs = Vec::new();
        let is_product = matches!(node.op_type.as_str(), "Conv" | "Gemm");
        for (index, input) in node.input.iter().enumerate() {
            if let Some(activation) = self.activations.get(input.as_str()) {
                inputs.push(activation.name.clone());
            } else if let Some(name) = self.floats.get(input.as_str()) {
                inputs.push(name.clone());
            } else if let Some(tensor) = self.stored.get(input.as_str()).copied() {
                if is_product && index == 1 {
                    let bias = node
                        .input
                        .get(2)
                        .and_then(|bias| self.stored.get(bias.as_str()));
                    let bias = bias.map(|bias| floats(&bias.raw_data));
                    let scale = self.activations.get(node.input[0].as_str());
                    let scale = scale.map_or(1.0, |activation| activation.scale);
                    let (weight, bias) = self.weights(tensor, bias, scale);
                    inputs.push(weight);
                    return (inputs, bias);
                }
                let name = self.name();
                self.tensors.push(TensorProto {
                    name: name.clone(),
                    ..tensor.clone()
                });
                inputs.push(name);
            } else {
                inputs.push(input.clone());
            }
        }
        (inputs, None)
    }

    /// Stores weights and bias of a convolution or linear layer as integers.
    fn weights(
        &mut self,
        tensor: &TensorProto,
        bias: Option<Vec<f32>>,
        input_scale: f32,
    ) -> (String, Option<String>) {
        let values = floats(&tensor.raw_data);
        let outputs = tensor.dims.first().map_or(1, |&outputs| outputs as usize);
        let rows: Vec<&[f32]> = values.chunks_exact(values.len() / outputs.max(1)).collect();
        let mut scales = Vec::new();
        for (output, row) in rows.iter().enumerate() {
            let largest = row.iter().fold(0.0_f32, |largest, w| largest.max(w.abs()));
            let bias = bias.as_ref().map_or(0.0, |bias| bias[output].abs());
            // The bias has the scale of the products, and has to fit into 32 bits.
            let least = bias / input_scale / (1 << 30) as f32;
            let scale = (largest / LARGEST_WEIGHT).max(least);
            scales.push(if scale.is_normal() { scale } else { 1.0 });
        }
        let bytes = rows.iter().zip(&scales).flat_map(|(row, scale)| {
            let byte = move |&weight: &f32| (weight / scale).round_ties_even() as i8 as u8;
            row.iter().map(byte)
        });
        let dims: Vec<usize> = tensor.dims.iter().map(|&size| size as usize).collect();
        let weight = self.dequantised(&dims, INT8, bytes.collect(), &scales);
        let bias = bias.map(|bias| {
            let scales: Vec<f32> = scales.iter().map(|scale| scale * input_scale).collect();
            let integers = bias.iter().zip(&scales);
            let integers = integers.map(|(bias, scale)| (bias / scale).round_ties_even() as i32);
            let bytes = integers.flat_map(i32::to_le_bytes).collect();
            self.dequantised(&[bias.len()], INT32, bytes, &scales)
        });
        (weight, bias)
    }

    /// Stores integers with a scale for each index of the first dimension.
    fn dequantised(
        &mut self,
        dims: &[usize],
        data_type: i32,
        bytes: Vec<u8>,
        scales: &[f32],
    ) -> String {
        let integers = self.name();
        self.tensors.push(tensor(&integers, dims, data_type, bytes));
        let scale = self.name();
        self.tensors
            .push(float_tensor(&scale, &[scales.len()], scales));
        let output = self.name();
        let axis = vec![int("axis", 0)];
        self.push(
            "DequantizeLinear",
            vec![integers, scale],
            output.clone(),
            axis,
        );
        output
    }

    /// Rounds a value of the new graph to bytes; `kept` has the scale to use again.
    fn activation(&mut self, old: &str, new: String, kept: Option<QuantisedMap>) -> QuantisedMap {
        let (scale, parameters) = match kept {
            Some(kept) => (kept.scale, kept.parameters),
            None => {
                let (scale, zero_point) = self.ranges[old].scale();
                let name = self.name();
                self.tensors.push(float_tensor(&name, &[], &[scale]));
                let mut parameters = vec![name];
                // An absent zero point is an unsigned 0.
                if zero_point != 0 {
                    let name = self.name();
                    self.tensors
                        .push(tensor(&name, &[], UINT8, vec![zero_point]));
                    parameters.push(name);
                }
                (scale, parameters)
            }
        };
        let [bytes, name] = [self.name(), self.name()];
        let with = |value: String| [vec![value], parameters.clone()].concat();
        let (quantise, dequantise) = (with(new), with(bytes.clone()));
        self.push("QuantizeLinear", quantise, bytes, Vec::new());
        self.push("DequantizeLinear", dequantise, name.clone(), Vec::new());
        QuantisedMap {
            name,
            scale,
            parameters,
        }
    }

    fn push(
        &mut self,
        op_type: &str,
        input: Vec<String>,
        output: String,
        attribute: Vec<AttributeProto>,
    ) {
        self.nodes.push(NodeProto {
            input,
            output: vec![output],
            // A name for each operator would be a tenth of the file of a small network.
            name: String::new(),
            op_type: op_type.to_owned(),
            attribute,
        });
    }

    /// A new name, short for the same reason.
    fn name(&mut self) -> String {
        self.names += 1;
        format!("{:x}", self.names)
    }
}
