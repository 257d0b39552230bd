//! Batch norm and biases folded into convolutions: (x − mean) ÷ deviation × weight + bias of constants is
//! itself a convolution (Jacob et al. 2018, section 3.2).

use std::collections::BTreeMap;

use crate::onnx::messages::{GraphProto, NodeProto, TensorProto};
use crate::onnx::{float_tensor, floats, int};

/// The same graph with convolutions with biases in place of each batch norm: those whose output, or
/// concatenated outputs, only it reads, otherwise a new one of 1×1 for each channel by itself. A stored
/// tensor that is added to a convolution which only the sum reads becomes its bias.
pub(super) fn fold(graph: GraphProto) -> GraphProto {
    let mut tensors: BTreeMap<String, TensorProto> = graph
        .initializer
        .into_iter()
        .map(|tensor| (tensor.name.clone(), tensor))
        .collect();
    let mut readers: BTreeMap<String, usize> = BTreeMap::new();
    for input in graph.node.iter().flat_map(|node| &node.input) {
        *readers.entry(input.clone()).or_default() += 1;
    }
    let mut nodes: Vec<NodeProto> = Vec::new();
    for node in graph.node {
        let [x, parts @ ..] = node.input.as_slice() else {
            continue;
        };
        let before = convolutions_before(x, &nodes, &readers);
        if node.op_type != "BatchNormalization" {
            let stored = parts.first().and_then(|part| tensors.get_mut(part));
            match (node.op_type.as_str(), before.as_deref(), stored) {
                ("Add", Some([at]), Some(bias)) => {
                    bias.dims = vec![bias.dims.iter().product()];
                    nodes[*at].input.extend_from_slice(parts);
                    nodes[*at].output = node.output;
                }
                _ => nodes.push(node),
            }
            continue;
        }
        let (scales, biases) = affine(&node, parts, &mut tensors);
        let producer = before.as_ref().map_or(&node.name, |_| x);
        let convolutions = before.unwrap_or_else(|| {
            nodes.push(depthwise(x, scales.len(), &node.name, &mut tensors));
            vec![nodes.len() - 1]
        });
        let mut done = 0;
        for at in convolutions {
            done += absorb(
                &mut nodes[at],
                &scales[done..],
                &biases[done..],
                &mut tensors,
            );
        }
        for one in nodes.iter_mut().filter(|one| one.output[0] == *producer) {
            one.output.clone_from(&node.output);
        }
    }
    GraphProto {
        node: nodes,
        initializer: tensors.into_values().collect(),
        ..graph
    }
}

/// Factor and summand of each channel.
fn affine(
    node: &NodeProto,
    parts: &[String],
    tensors: &mut BTreeMap<String, TensorProto>,
) -> (Vec<f64>, Vec<f32>) {
    let epsilon = node.attribute.first().map_or(0.0, |epsilon| epsilon.f);
    let mut part = |index: usize| {
        let tensor = parts.get(index).and_then(|name| tensors.remove(name));
        tensor.map_or_else(Vec::new, |tensor| floats(&tensor.raw_data))
    };
    let [weight, bias, mean, variance] = [part(0), part(1), part(2), part(3)];
    let scales: Vec<f64> = weight
        .iter()
        .zip(&variance)
        .map(|(&weight, &variance)| {
            f64::from(weight) / (f64::from(variance) + f64::from(epsilon)).sqrt()
        })
        .collect();
    let summand = |((&bias, &mean), scale): ((&f32, &f32), &f64)| {
        (f64::from(bias) - f64::from(mean) * scale) as f32
    };
    let biases = bias.iter().zip(&mean).zip(&scales).map(summand).collect();
    (scales, biases)
}

/// A convolution that leaves each channel as it is.
fn depthwise(
    x: &str,
    channels: usize,
    name: &str,
    tensors: &mut BTreeMap<String, TensorProto>,
) -> NodeProto {
    let weight = format!("{name}.factors");
    let ones = vec![1.0; channels];
    tensors.insert(
        weight.clone(),
        float_tensor(&weight, &[channels, 1, 1, 1], &ones),
    );
    NodeProto {
        input: vec![x.to_owned(), weight],
        output: vec![name.to_owned()],
        name: name.to_owned(),
        op_type: "Conv".to_owned(),
        attribute: vec![int("group", channels as i64)],
    }
}

/// Multiplies the outputs of a convolution by these scales and adds these biases, of which the first are
/// those of its channels. Returns the number of its channels.
fn absorb(
    convolution: &mut NodeProto,
    scales: &[f64],
    biases: &[f32],
    tensors: &mut BTreeMap<String, TensorProto>,
) -> usize {
    let Some(weight) = tensors.get_mut(&convolution.input[1]) else {
        return 0;
    };
    let mut values = floats(&weight.raw_data);
    let channels = weight.dims.first().map_or(0, |channels| *channels as usize);
    let size = (values.len() / channels.max(1)).max(1);
    for (channel, scale) in values.chunks_exact_mut(size).zip(scales) {
        for value in channel {
            *value = (f64::from(*value) * scale) as f32;
        }
    }
    weight.raw_data = crate::weights::little_endian(&values);
    let bias = format!("{}.bias", convolution.name);
    let stored = float_tensor(&bias, &[channels], &biases[..channels]);
    tensors.insert(bias.clone(), stored);
    convolution.input.push(bias);
    channels
}

/// The places of the convolutions that compute `x`, which nothing else reads: of one, or of several whose
/// outputs are concatenated.
fn convolutions_before(
    x: &str,
    nodes: &[NodeProto],
    readers: &BTreeMap<String, usize>,
) -> Option<Vec<usize>> {
    let producer = |name: &str| {
        let at = nodes.iter().position(|node| node.output[0] == name);
        at.filter(|_| readers.get(name) == Some(&1))
    };
    let is_convolution = |at: &usize| nodes[*at].op_type == "Conv";
    let at = producer(x)?;
    let parts = &nodes[at].input;
    match nodes[at].op_type.as_str() {
        "Concat" => parts
            .iter()
            .map(|part| producer(part).filter(is_convolution))
            .collect(),
        _ => Some(vec![at]).filter(|_| is_convolution(&at)),
    }
}
