//! A network as a list of layers: what the spaces other than the macro space decode to for training and
//! export.

use crate::cost::{elements, wide};
use crate::{Error, Layer, Shape};

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
    /// min(max(x + 3, 0), 6) ÷ 6
    HardSigmoid,
    /// x · min(max(x + 3, 0), 6) ÷ 6
    HardSwish,
    /// The mean of each channel, as a map of one pixel.
    GlobalAverage,
    /// A number for each channel is added to a map of one pixel. The layer's only tensor has its name.
    Bias,
    /// The first input, each of its channels times that of the second, a map of one pixel.
    Scale,
    /// The image with another number of rows and columns, by bilinear interpolation without antialiasing.
    /// Only 3×3 convolutions read it.
    Resize,
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
    /// the micro space count otherwise, as NSGA-Net does.
    ///
    /// # Errors
    /// [`Error::CostOverflow`] if a count does not fit into 64 bits.
    pub fn computed_layers(&self) -> Result<Vec<Layer>, Error> {
        let used = self.used_maps();
        let of_layers = self.layers.iter().zip(&used[1..]);
        let of_layers = of_layers.filter(|(_, used)| **used);
        let layers: Result<Vec<Layer>, Error> =
            of_layers.map(|(layer, _)| self.layer(layer)).collect();
        let mut layers = layers?;
        let mut features = 0;
        let place = "classifier";
        for map in &self.outputs {
            let from = self.shape(*map);
            features += wide(from.channels);
            let output = Shape {
                height: 1,
                width: 1,
                ..from
            };
            let costs = [0, elements(from)];
            layers.push(Layer::new(place, "global average pooling", output, costs)?);
        }
        let output = Shape {
            channels: self.classes,
            height: 1,
            width: 1,
        };
        let weights = features * wide(self.classes);
        let costs = [weights + wide(self.classes), weights];
        layers.push(Layer::new(place, "linear", output, costs)?);
        Ok(layers)
    }

    fn layer(&self, layer: &GraphLayer) -> Result<Layer, Error> {
        let output = layer.output;
        let (values, channels) = (elements(output), wide(output.channels));
        let shapes = layer.inputs.iter().map(|map| self.shape(*map));
        let read: u128 = shapes.clone().map(|shape| wide(shape.channels)).sum();
        let inputs: u128 = shapes.map(elements).sum();
        let mut kind = layer.operation.kind();
        let costs = match layer.operation {
            LayerOperation::Convolution { kernel, .. } => {
                let weights = read * channels * wide(kernel[0] * kernel[1]);
                kind = format!("{}x{} {kind}", kernel[0], kernel[1]);
                [weights, weights * wide(output.height) * wide(output.width)]
            }
            LayerOperation::Depthwise {
                kernel, dilation, ..
            } => {
                let dilated = ["", "dilated "][usize::from(dilation > 1)];
                kind = format!("{kernel}x{kernel} {dilated}{kind}");
                let area = wide(kernel * kernel);
                [area * channels, area * values]
            }
            LayerOperation::BatchNorm => [2 * channels, 2 * values],
            LayerOperation::MaxPool { .. }
            | LayerOperation::AveragePool { .. }
            | LayerOperation::GlobalAverage => [0, inputs],
            LayerOperation::Bias => [channels, 0],
            LayerOperation::Resize => [0, 4 * values],
            LayerOperation::Relu
            | LayerOperation::HardSigmoid
            | LayerOperation::HardSwish
            | LayerOperation::Scale
            | LayerOperation::Subsample { .. }
            | LayerOperation::Concatenate
            | LayerOperation::Add { .. } => [0, values],
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

impl LayerOperation {
    /// The name of its kind, without sizes.
    fn kind(&self) -> String {
        let kind = match self {
            LayerOperation::Convolution { .. } => "convolution",
            LayerOperation::Depthwise { .. } => "depthwise convolution",
            LayerOperation::BatchNorm => "batch norm",
            LayerOperation::Relu => "ReLU",
            LayerOperation::HardSigmoid => "hard sigmoid",
            LayerOperation::HardSwish => "h-swish",
            LayerOperation::GlobalAverage => "global average pooling",
            LayerOperation::Bias => "bias",
            LayerOperation::Scale => "scaling of channels",
            LayerOperation::Resize => "bilinear resizing",
            LayerOperation::MaxPool { .. } => "3x3 max pooling",
            LayerOperation::AveragePool { .. } => "3x3 average pooling",
            LayerOperation::Subsample { .. } => "every second pixel",
            LayerOperation::Concatenate => "concatenation",
            LayerOperation::Add { .. } => "sum",
        };
        kind.to_owned()
    }
}
