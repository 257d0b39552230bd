//! The operators of a network of layers.

use naschain_core::{GraphLayer, LayerGraph, LayerOperation};

use super::messages::AttributeProto;
use super::{Graph, float, int, ints, tensor, text};
use crate::Error;
use crate::weights::Init;

/// `TensorProto.DataType.INT64`
pub(super) const INT64: i32 = 7;

impl Graph {
    /// Adds all layers that the output depends on, and the classifier.
    pub(super) fn layers(&mut self, graph: &LayerGraph, x: String) -> Result<(), Error> {
        let mut maps = vec![x];
        for layer in &graph.layers {
            let inputs: Vec<String> = layer.inputs.iter().map(|map| maps[*map].clone()).collect();
            maps.push(self.layer(graph, layer, inputs)?);
        }
        let read = graph.outputs.iter().map(|map| maps[*map].clone()).collect();
        let channels = graph.outputs.iter().map(|map| graph.shape(*map).channels);
        let x = self.concatenated("outputs", read);
        self.head(x, channels.sum(), graph.classes)?;
        self.remove_unread();
        Ok(())
    }

    /// Several maps along channels.
    fn concatenated(&mut self, name: &str, mut maps: Vec<String>) -> String {
        if maps.len() == 1 {
            return maps.remove(0);
        }
        let axis = vec![int("axis", 1)];
        self.operator("Concat", format!("{name}.concatenated"), maps, axis)
    }

    fn layer(
        &mut self,
        graph: &LayerGraph,
        layer: &GraphLayer,
        mut inputs: Vec<String>,
    ) -> Result<String, Error> {
        let name = layer.name.clone();
        let (channels, read) = (layer.output.channels, &layer.inputs);
        match layer.operation {
            LayerOperation::Convolution { kernel, stride } => {
                let read = read.iter().map(|map| graph.shape(*map).channels).sum();
                let shape = [channels, read, kernel[0], kernel[1]];
                let x = self.concatenated(&name, inputs);
                self.convolution(name, x, shape, (stride, 1, 1))
            }
            LayerOperation::Depthwise {
                kernel,
                stride,
                dilation,
            } => {
                let shape = [channels, 1, kernel, kernel];
                let x = inputs.remove(0);
                self.convolution(name, x, shape, ([stride; 2], dilation, channels))
            }
            LayerOperation::BatchNorm => self.norm(&name, inputs.remove(0), channels),
            LayerOperation::Relu => Ok(self.operator("Relu", name, inputs, Vec::new())),
            // ONNX's defaults are 0.2 and 0.5.
            LayerOperation::HardSigmoid => {
                let slope = vec![float("alpha", 1.0 / 6.0), float("beta", 0.5)];
                Ok(self.operator("HardSigmoid", name, inputs, slope))
            }
            LayerOperation::HardSwish => Ok(self.operator("HardSwish", name, inputs, Vec::new())),
            LayerOperation::GlobalAverage => {
                Ok(self.operator("GlobalAveragePool", name, inputs, Vec::new()))
            }
            LayerOperation::Bias => {
                let values = self.source.take(&name, &[channels], Init::Constant(0.0))?;
                inputs.push(self.store(&name, &[1, channels, 1, 1], &values));
                Ok(self.operator("Add", format!("{name}.sum"), inputs, Vec::new()))
            }
            LayerOperation::Scale => Ok(self.operator("Mul", name, inputs, Vec::new())),
            LayerOperation::Resize => Ok(self.resized(graph, layer, name, inputs)),
            // Values outside the image are counted only if ONNX is told to.
            LayerOperation::MaxPool { stride } => {
                Ok(self.operator("MaxPool", name, inputs, window(stride)))
            }
            LayerOperation::AveragePool { stride } => {
                Ok(self.operator("AveragePool", name, inputs, window(stride)))
            }
            LayerOperation::Subsample { offset } => {
                let ends = i64::from(i32::MAX);
                let numbers = [
                    ("starts", [offset as i64; 2]),
                    ("ends", [ends; 2]),
                    ("axes", [2, 3]),
                    ("steps", [2, 2]),
                ];
                for (part, numbers) in numbers {
                    let part = format!("{name}.{part}");
                    let bytes = numbers.into_iter().flat_map(i64::to_le_bytes).collect();
                    self.stored.push(tensor(&part, &[2], INT64, bytes));
                    inputs.push(part);
                }
                Ok(self.operator("Slice", name, inputs, Vec::new()))
            }
            LayerOperation::Concatenate => Ok(self.concatenated(&name, inputs)),
            LayerOperation::Add { .. } => Ok(self.operator("Add", name, inputs, Vec::new())),
            other => unreachable!("{other:?} is planned for no network"),
        }
    }

    /// Bilinear interpolation, as PyTorch's without antialiasing.
    fn resized(
        &mut self,
        graph: &LayerGraph,
        layer: &GraphLayer,
        name: String,
        mut inputs: Vec<String>,
    ) -> String {
        let (from, to) = (graph.shape(layer.inputs[0]), layer.output);
        // Runtimes multiply the side by it, in single or double precision, and round down.
        let ratio = |to: usize, from: usize| {
            let ratio = to as f32 / from as f32;
            if f64::from(ratio) * (from as f64) < to as f64 {
                ratio.next_up()
            } else {
                ratio
            }
        };
        let rows = ratio(to.height, from.height);
        let columns = ratio(to.width, from.width);
        let scales = format!("{name}.scales");
        self.store(&scales, &[4], &[1.0, 1.0, rows, columns]);
        // The region of interest is left out.
        inputs.extend([String::new(), scales]);
        let attributes = vec![
            text("mode", "linear"),
            text("coordinate_transformation_mode", "half_pixel"),
        ];
        self.operator("Resize", name, inputs, attributes)
    }

    fn convolution(
        &mut self,
        name: String,
        x: String,
        shape: [usize; 4],
        (stride, dilation, groups): ([usize; 2], usize, usize),
    ) -> Result<String, Error> {
        let weight = format!("{name}.weight");
        let values = self.source.take(&weight, &shape, Init::Constant(0.0))?;
        self.store(&weight, &shape, &values);
        let kernel = [shape[2], shape[3]].map(|size| size as i64);
        let [rows, columns] = kernel.map(|size| dilation as i64 * (size - 1) / 2);
        let attributes = vec![
            ints("kernel_shape", &kernel),
            ints("pads", &[rows, columns, rows, columns]),
            ints("strides", &stride.map(|stride| stride as i64)),
            ints("dilations", &[dilation as i64; 2]),
            int("group", groups as i64),
        ];
        Ok(self.operator("Conv", name, vec![x, weight], attributes))
    }

    /// Removes what the output does not depend on: a cell may leave one of its inputs unread.
    fn remove_unread(&mut self) {
        let mut read = std::collections::BTreeSet::from(["logits".to_owned()]);
        for node in self.nodes.iter().rev() {
            if node.output.iter().any(|name| read.contains(name)) {
                read.extend(node.input.iter().cloned());
            }
        }
        self.nodes
            .retain(|node| node.output.iter().any(|name| read.contains(name)));
        self.stored.retain(|tensor| read.contains(&tensor.name));
    }
}

/// The attributes of 3×3 pooling with padding 1.
fn window(stride: usize) -> Vec<AttributeProto> {
    vec![
        ints("kernel_shape", &[3; 2]),
        ints("pads", &[1; 4]),
        ints("strides", &[stride as i64; 2]),
    ]
}
