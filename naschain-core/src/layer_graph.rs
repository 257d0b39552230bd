//! A network as a list of layers: what the spaces other than the macro space decode to for training and
//! export.

use crate::{Layer, Shape};

/// A network as a list of layers, in the order of a forward pass.
///
/// The feature maps are numbered: map 0 is the input image, and map k + 1 the output of layer k, counted
/// from 0. The network ends with global average pooling of the maps [`LayerGraph::outputs`] and a linear layer
/// with bias that reads their channels one map after the other.
///
/// ```
/// use naschain_core::{LayerOperation, MicroSpace};
/// let space = MicroSpace {
///     blocks: 1,
///     layers: 1,
///     input: "1x8x8".parse()?,
///     init_channels: 4,
///     classes: 10,
/// };
/// let graph = space.decode(&[3, 0, 2, 1, 3, 0, 2, 1])?.graph();
/// assert_eq!(graph.layers[0].name, "stem.convolution");
/// assert!(matches!(graph.layers[0].operation, LayerOperation::Convolution { .. }));
/// # Ok::<(), naschain_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerGraph {
    /// Shape of one input image.
    pub input: Shape,
    /// Number of outputs of the last layer.
    pub classes: usize,
    /// The layers in order. A layer reads maps of layers before it.
    pub layers: Vec<GraphLayer>,
    /// The maps that the classifier reads, all of one shape.
    pub outputs: Vec<usize>,
}

/// One layer of a [`LayerGraph`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GraphLayer {
    /// Its name, unique in the network; those of its tensors begin with it.
    pub name: String,
    /// What it computes.
    pub operation: LayerOperation,
    /// The maps that it reads.
    pub inputs: Vec<usize>,
    /// The shape of its output.
    pub output: Shape,
}

/// What a layer of a [`LayerGraph`] computes. Convolutions have no bias, and their padding keeps the
/// resolution, which a stride divides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayerOperation {
    /// A convolution; rows and columns of its kernel and of its stride. One with several inputs, all of
    /// one shape and only with a 1×1 kernel, reads them as if they were concatenated along channels.
    Convolution {
        /// Rows and columns of the kernel.
        kernel: [usize; 2],
        /// Rows and columns of the stride.
        stride: [usize; 2],
    },
    /// A convolution of each channel by itself, with a square kernel.
    Depthwise {
        /// Rows of the kernel, which is square.
        kernel: usize,
        /// Stride in both directions.
        stride: usize,
        /// Distance of the kernel's taps.
        dilation: usize,
    },
    /// Batch norm.
    BatchNorm,
    /// ReLU.
    Relu,
    /// 3×3 max pooling.
    MaxPool {
        /// Stride in both directions.
        stride: usize,
    },
    /// 3×3 average pooling; values outside the image are not counted.
    AveragePool {
        /// Stride in both directions.
        stride: usize,
    },
    /// Every second pixel of every second row, from the first or the second of each.
    Subsample {
        /// 0 or 1.
        offset: usize,
    },
    /// The channels of the inputs, one after the other.
    Concatenate,
    /// The sum of two inputs.
    Add {
        /// Which of the inputs drop-path may drop.
        droppable: [bool; 2],
    },
}

impl LayerGraph {
    /// A network without layers yet.
    pub(crate) fn new(input: Shape, classes: usize) -> LayerGraph {
        LayerGraph {
            input,
            classes,
            layers: Vec::new(),
            outputs: vec![0],
        }
    }

    /// The shape of a map.
    pub fn shape(&self, map: usize) -> Shape {
        match map.checked_sub(1) {
            None => self.input,
            Some(layer) => self.layers[layer].output,
        }
    }

    /// For each map whether the output depends on it: a cell may leave one of its inputs unread.
    pub fn used_maps(&self) -> Vec<bool> {
        let mut used = vec![false; self.layers.len() + 1];
        for map in &self.outputs {
            used[*map] = true;
        }
        for (index, layer) in self.layers.iter().enumerate().rev() {
            if used[index + 1] {
                for map in &layer.inputs {
                    used[*map] = true;
                }
            }
        }
        used
    }

    /// The layers that are computed for the output, with their own costs: without those that it does not
    /// depend on, with sums and copies, and with one ReLU for several readers. The costs of a network in
    /// the sense of [`Costs`](crate::Costs) count otherwise, as NSGA-Net does.
    pub fn computed_layers(&self) -> Vec<Layer> {
        let used = self.used_maps();
        let of_layers = self.layers.iter().zip(&used[1..]);
        let of_layers = of_layers.filter(|(_, used)| **used);
        let mut layers: Vec<Layer> = of_layers.map(|(layer, _)| self.layer(layer)).collect();
        let mut features = 0;
        for map in &self.outputs {
            let from = self.shape(*map);
            features += from.channels;
            let output = Shape {
                height: 1,
                width: 1,
                ..from
            };
            let costs = [0, from.len()];
            layers.push(Layer::new(
                "classifier",
                "global average pooling",
                output,
                costs,
            ));
        }
        let output = Shape {
            channels: self.classes,
            height: 1,
            width: 1,
        };
        let weights = features * self.classes;
        let costs = [weights + self.classes, weights];
        layers.push(Layer::new("classifier", "linear", output, costs));
        layers
    }

    fn layer(&self, layer: &GraphLayer) -> Layer {
        let output = layer.output;
        let read: usize = layer
            .inputs
            .iter()
            .map(|map| self.shape(*map).channels)
            .sum();
        let inputs: usize = layer.inputs.iter().map(|map| self.shape(*map).len()).sum();
        let (kind, costs) = match layer.operation {
            LayerOperation::Convolution { kernel, .. } => {
                let weights = read * output.channels * kernel[0] * kernel[1];
                let kind = format!("{}x{} convolution", kernel[0], kernel[1]);
                (kind, [weights, weights * output.height * output.width])
            }
            LayerOperation::Depthwise {
                kernel, dilation, ..
            } => {
                let dilated = ["", "dilated "][usize::from(dilation > 1)];
                let kind = format!("{kernel}x{kernel} {dilated}depthwise convolution");
                let area = kernel * kernel;
                (kind, [area * output.channels, area * output.len()])
            }
            LayerOperation::BatchNorm => {
                let costs = [2 * output.channels, 2 * output.len()];
                ("batch norm".to_owned(), costs)
            }
            LayerOperation::Relu => ("ReLU".to_owned(), [0, output.len()]),
            LayerOperation::MaxPool { .. } => ("3x3 max pooling".to_owned(), [0, inputs]),
            LayerOperation::AveragePool { .. } => ("3x3 average pooling".to_owned(), [0, inputs]),
            LayerOperation::Subsample { .. } => {
                ("every second pixel".to_owned(), [0, output.len()])
            }
            LayerOperation::Concatenate => ("concatenation".to_owned(), [0, output.len()]),
            LayerOperation::Add { .. } => ("sum".to_owned(), [0, output.len()]),
        };
        Layer::new(&layer.name, &kind, output, costs)
    }

    /// Adds a layer and returns the number of its output.
    pub(crate) fn add(
        &mut self,
        name: String,
        operation: LayerOperation,
        inputs: Vec<usize>,
        output: Shape,
    ) -> usize {
        self.layers.push(GraphLayer {
            name,
            operation,
            inputs,
            output,
        });
        self.layers.len()
    }
}
