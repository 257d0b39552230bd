//! A network as an ONNX graph: opset 17, IR version 8 (<https://onnx.ai/onnx/operators/>).

mod evaluate;
mod fold;
mod int8;
pub(crate) mod int8_accuracy;
mod layers;
mod messages;
mod operators;
#[cfg(test)]
mod tests;

use naschain_core::{Architecture, Network, Phase};
use prost::Message;

use crate::kernels::statistics::EPSILON;
use crate::layers::layer_graph;
use crate::weights::{Init, TensorSource, little_endian};
use crate::{Dataset, Error, Model};
use messages::{
    AttributeProto, Dimension, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, Size,
    StringStringEntryProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto,
    ValueInfoProto,
};

const IR_VERSION: i64 = 8;
const OPSET: i64 = 17;
/// `TensorProto.DataType.FLOAT`
const F32: i32 = 1;
/// protobuf's limit.
const MAX_BYTES: usize = i32::MAX as usize;

/// Encodes the file: input `pixels` from 0 to 255, output `logits`, any number of images.
pub(crate) fn file(model: &Model) -> Result<Vec<u8>, Error> {
    encoded(model, graph(model)?)
}

/// Encodes the same network in eight bits, calibrated on training images of `dataset`.
pub(crate) fn int8_file(model: &Model, dataset: &Dataset) -> Result<Vec<u8>, Error> {
    encoded(model, int8::graph(model, dataset)?)
}

fn encoded(model: &Model, graph: GraphProto) -> Result<Vec<u8>, Error> {
    let file = ModelProto {
        ir_version: IR_VERSION,
        producer_name: "naschain".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: OPSET,
        }],
        metadata_props: metadata(model),
    };
    match file.encoded_len() {
        bytes if bytes > MAX_BYTES => Err(Error::TooLargeForOnnx { bytes }),
        _ => Ok(file.encode_to_vec()),
    }
}

fn metadata(model: &Model) -> Vec<StringStringEntryProto> {
    let entry = |key: &str, value: String| StringStringEntryProto {
        key: key.to_owned(),
        value,
    };
    let mut entries = vec![
        entry("genome", model.genome.to_string()),
        entry("data", model.data.clone()),
        entry("digest", model.digest.to_string()),
    ];
    if !model.class_names.is_empty() {
        // One per line, in the order of the logits.
        entries.push(entry("class_names", model.class_names.join("\n")));
    }
    entries
}

fn graph(model: &Model) -> Result<GraphProto, Error> {
    let mut graph = Graph {
        source: TensorSource::stored(model.weights.clone()),
        nodes: Vec::new(),
        stored: Vec::new(),
    };
    let (x, input) = (graph.normalise(model), model.network.input());
    match &model.network {
        Network::Macro(architecture) => graph.phases(architecture, x)?,
        other => graph.layers(&layer_graph(other.view()), x)?,
    }
    graph.source.finish()?;
    let image = [input.channels, input.height, input.width];
    Ok(GraphProto {
        node: graph.nodes,
        name: "naschain".to_owned(),
        initializer: graph.stored,
        input: vec![value("pixels", &image)],
        output: vec![value("logits", &[model.network.classes()])],
    })
}

/// A graph under construction. Every value is named after the operator that produces it.
struct Graph {
    source: TensorSource,
    nodes: Vec<NodeProto>,
    stored: Vec<TensorProto>,
}

impl Graph {
    fn operator(
        &mut self,
        op_type: &str,
        name: String,
        input: Vec<String>,
        attribute: Vec<AttributeProto>,
    ) -> String {
        self.nodes.push(NodeProto {
            input,
            output: vec![name.clone()],
            name: name.clone(),
            op_type: op_type.to_owned(),
            attribute,
        });
        name
    }

    fn store(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        self.stored.push(float_tensor(name, shape, values));
        name.to_owned()
    }

    /// Stores the network's tensor of this name.
    fn weight(&mut self, name: String, shape: &[usize]) -> Result<String, Error> {
        // The initialisation is ignored: the source holds stored tensors.
        let values = self.source.take(&name, shape, Init::Constant(0.0))?;
        Ok(self.store(&name, shape, &values))
    }

    fn normalise(&mut self, model: &Model) -> String {
        let shape = [1, model.network.input().channels, 1, 1];
        let scaling = &model.normalisation;
        let [mean, deviation] = [
            ("normalisation.mean", &scaling.mean),
            ("normalisation.deviation", &scaling.deviation),
        ]
        .map(|(name, numbers)| {
            let numbers: Vec<f32> = numbers.iter().map(|&number| number as f32).collect();
            self.store(name, &shape, &numbers)
        });
        let inputs = vec!["pixels".to_owned(), mean];
        let centred = self.operator("Sub", "centred".to_owned(), inputs, Vec::new());
        let inputs = vec![centred, deviation];
        self.operator("Div", "normalised".to_owned(), inputs, Vec::new())
    }

    fn phases(&mut self, architecture: &Architecture, mut x: String) -> Result<(), Error> {
        for (index, phase) in architecture.phases.iter().enumerate() {
            let name = format!("phases.{index}");
            if index > 0 {
                let sizes = [("kernel_shape", [2, 2]), ("strides", [2, 2])];
                let attributes = sizes.map(|(name, sizes)| ints(name, &sizes)).to_vec();
                x = self.operator("MaxPool", format!("{name}.pool"), vec![x], attributes);
            }
            x = self.phase(&name, phase, x)?;
        }
        let last = architecture.phases.last();
        let features = last.map_or(architecture.input.channels, |phase| phase.channels);
        self.head(x, features, architecture.classes)
    }

    fn phase(&mut self, name: &str, phase: &Phase, x: String) -> Result<String, Error> {
        let (channels, entry) = (phase.channels, &phase.entry);
        let entry_name = format!("{name}.entry");
        let sides = [entry.in_channels, channels];
        let x = if entry.applied {
            self.conv(entry_name, x, sides, entry.kernel, 0)?
        } else {
            let shape = [channels, entry.in_channels, entry.kernel, entry.kernel];
            let weight = format!("{entry_name}.weight");
            self.source.take(&weight, &shape, Init::Constant(0.0))?;
            x
        };
        // maps[k] is the output of node number k; maps[0] is the phase's input.
        let mut maps = vec![x];
        for node in &phase.nodes {
            let name = format!("{name}.nodes.{}", node.number);
            let x = self.join(&format!("{name}.input"), &node.inputs, &maps, channels)?;
            let x = self.conv(format!("{name}.conv"), x, [channels; 2], 3, 1)?;
            let map = self.norm_relu(&format!("{name}.norm"), x, channels)?;
            maps.resize(node.number, String::new());
            maps.push(map);
        }
        let x = self.join(&format!("{name}.output"), &phase.output, &maps, channels)?;
        self.norm_relu(&format!("{name}.norm"), x, channels)
    }

    fn join(
        &mut self,
        name: &str,
        inputs: &[usize],
        maps: &[String],
        channels: usize,
    ) -> Result<String, Error> {
        let mut read: Vec<String> = inputs.iter().map(|&input| maps[input].clone()).collect();
        if read.len() == 1 {
            return Ok(read.remove(0));
        }
        let sides = [read.len() * channels, channels];
        let axis = vec![int("axis", 1)];
        let x = self.operator("Concat", format!("{name}.concatenated"), read, axis);
        self.conv(name.to_owned(), x, sides, 1, 0)
    }

    fn conv(
        &mut self,
        name: String,
        x: String,
        [input, output]: [usize; 2],
        kernel: usize,
        padding: i64,
    ) -> Result<String, Error> {
        let shape = [output, input, kernel, kernel];
        let weight = self.weight(format!("{name}.weight"), &shape)?;
        let attributes = vec![
            ints("kernel_shape", &[kernel as i64; 2]),
            ints("pads", &[padding; 4]),
        ];
        Ok(self.operator("Conv", name, vec![x, weight], attributes))
    }

    fn norm_relu(&mut self, name: &str, x: String, channels: usize) -> Result<String, Error> {
        let x = self.norm(name, x, channels)?;
        Ok(self.operator("Relu", format!("{name}.relu"), vec![x], Vec::new()))
    }

    fn norm(&mut self, name: &str, x: String, channels: usize) -> Result<String, Error> {
        let mut inputs = vec![x];
        for part in ["weight", "bias", "running_mean", "running_var"] {
            inputs.push(self.weight(format!("{name}.{part}"), &[channels])?);
        }
        let epsilon = vec![float("epsilon", EPSILON)];
        Ok(self.operator("BatchNormalization", name.to_owned(), inputs, epsilon))
    }

    fn head(&mut self, x: String, features: usize, classes: usize) -> Result<(), Error> {
        let x = self.operator("GlobalAveragePool", "means".to_owned(), vec![x], Vec::new());
        let axis = vec![int("axis", 1)];
        let x = self.operator("Flatten", "features".to_owned(), vec![x], axis);
        let weight = self.weight("linear.weight".to_owned(), &[classes, features])?;
        let bias = self.weight("linear.bias".to_owned(), &[classes])?;
        let inputs = vec![x, weight, bias];
        let transposed = vec![int("transB", 1)];
        self.operator("Gemm", "logits".to_owned(), inputs, transposed);
        Ok(())
    }
}

fn tensor(name: &str, shape: &[usize], data_type: i32, raw_data: Vec<u8>) -> TensorProto {
    TensorProto {
        dims: shape.iter().map(|&size| size as i64).collect(),
        data_type,
        name: name.to_owned(),
        raw_data,
    }
}

fn float_tensor(name: &str, shape: &[usize], values: &[f32]) -> TensorProto {
    tensor(name, shape, F32, little_endian(values))
}

/// The numbers of a stored tensor of floats.
fn floats(raw_data: &[u8]) -> Vec<f32> {
    let (numbers, _) = raw_data.as_chunks::<4>();
    numbers
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect()
}

fn attribute(name: &str, kind: i32) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        r#type: kind,
        ..AttributeProto::default()
    }
}

fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto {
        f,
        ..attribute(name, 1)
    }
}

fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto {
        i,
        ..attribute(name, 2)
    }
}

fn text(name: &str, text: &str) -> AttributeProto {
    AttributeProto {
        s: text.as_bytes().to_vec(),
        ..attribute(name, 3)
    }
}

fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto {
        ints: ints.to_vec(),
        ..attribute(name, 7)
    }
}

/// An f32 tensor of `[images, ...]`.
fn value(name: &str, sizes: &[usize]) -> ValueInfoProto {
    let images = Size::Param("images".to_owned());
    let known = sizes.iter().map(|&size| Size::Value(size as i64));
    let dim = std::iter::once(images).chain(known);
    let shape = TensorShapeProto {
        dim: dim.map(|size| Dimension { size: Some(size) }).collect(),
    };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            tensor_type: Some(TensorTypeProto {
                elem_type: F32,
                shape: Some(shape),
            }),
        }),
    }
}
