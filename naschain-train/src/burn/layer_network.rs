//! A network of layers as a burn module: those of all spaces but the macro space.

use burn::module::{Module, Param};
use burn::tensor::backend::Backend;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, TensorData, activation, module};
use naschain_core::{GraphLayer, LayerGraph, LayerOperation, Shape};

use super::layers::{Builder, Linear, NormRelu, means, read};
use super::network::scaling;
use crate::layers::plan::LayerWeight;
use crate::weights::{TensorSource, Weights};
use crate::{Error, Model, Scaling};

/// A network of the micro or the mobile space as a burn module, by burn's own operations, on any burn backend.
/// Requires the feature `burn`.
///
/// It computes the same as [`Model::logits`] up to rounding; as with
/// [`BurnNetwork::forward_training`](super::BurnNetwork::forward_training), training by it is not
/// reproducible to the bit and uses no drop-path. A record does not contain the architecture, so load it into
/// the network of the same model.
///
/// ```
/// # use std::ops::ControlFlow;
/// # use naschain_core::{MobileSpace, Recipe};
/// # use naschain_train::{Dataset, Model, Options, train};
/// use burn::backend::Flex;
/// use burn::tensor::Tensor;
/// use naschain_train::burn::BurnLayers;
///
/// # let digits = Dataset::digits();
/// # let space = MobileSpace { stages: 1, depth: 1, input: digits.shape, init_channels: 4, classes: 10 };
/// # let mut recipe = Recipe::default();
/// # (recipe.epochs, recipe.train_images, recipe.validation_images) = (1, 64, 64);
/// # let genome = "0".repeat(naschain_core::SearchSpace::from(space.clone()).genome_len()).parse()?;
/// # let mut proceed = |_: &_| ControlFlow::Continue(());
/// # let space = naschain_core::SearchSpace::from(space);
/// # let trained = train(&space.decode(&genome)?, &digits, &recipe, Options::default(), &mut proceed)?;
/// # let model = Model::new(&space, &genome, &digits, &recipe, trained)?;
/// let device = Default::default();
/// let network = BurnLayers::<Flex>::load(&model, &device)?;
/// let grey_image = Tensor::full([1, 1, 8, 8], 128.0, &device);
/// assert_eq!(network.forward(grey_image).dims(), [1, 10]);
/// # Ok::<(), naschain_train::Error>(())
/// ```
#[derive(Module, Debug)]
pub struct BurnLayers<B: Backend> {
    /// `[1, channels, 1, 1]`
    mean: Param<Tensor<B, 4>>,
    deviation: Param<Tensor<B, 4>>,
    /// Those of each layer of the graph.
    layers: Vec<LayerTensors<B>>,
    linear: Linear<B>,
    #[module(skip)]
    graph: LayerGraph,
}

/// What a layer is trained with.
#[derive(Module, Debug)]
pub struct LayerTensors<B: Backend> {
    /// A convolution's weight, `[out, in, kernel rows, kernel columns]`.
    weight: Option<Param<Tensor<B, 4>>>,
    /// `[channels]`
    bias: Option<Param<Tensor<B, 1>>>,
    norm: Option<NormRelu<B>>,
}

impl<B: Backend> LayerTensors<B> {
    fn build(
        builder: &mut Builder<B>,
        graph: &LayerGraph,
        layer: &GraphLayer,
    ) -> Result<Self, Error> {
        let channels = layer.output.channels;
        let mut tensors = LayerTensors {
            weight: None,
            bias: None,
            norm: None,
        };
        if layer.operation == LayerOperation::BatchNorm {
            tensors.norm = Some(NormRelu::build(builder, &layer.name, channels)?);
        } else if let Some(weight) = LayerWeight::of(graph, layer) {
            let (name, start) = (&weight.name, weight.start);
            match weight.shape[..] {
                [outputs, inputs, rows, columns] => {
                    let weight = builder.tensor(name, [outputs, inputs, rows, columns], start)?;
                    tensors.weight = Some(Param::from_tensor(weight));
                }
                _ => {
                    let bias = builder.tensor(name, [channels], start)?;
                    tensors.bias = Some(Param::from_tensor(bias));
                }
            }
        }
        Ok(tensors)
    }

    fn convolve(&self, x: Tensor<B, 4>, options: ConvOptions<2>) -> Tensor<B, 4> {
        let weight = self.weight.as_ref().expect("convolutions have a weight");
        module::conv2d(x, weight.val(), None, options)
    }
}

impl<B: Backend> BurnLayers<B> {
    /// Builds a model's network on `device`.
    ///
    /// # Errors
    /// [`Error::Weights`] when the tensors do not fit the architecture, or parts of the model
    /// contradict each other; [`Error::OtherSpace`] for a network of the macro space, which
    /// [`BurnNetwork`](super::BurnNetwork) loads.
    pub fn load(model: &Model, device: &B::Device) -> Result<Self, Error> {
        model
            .check()
            .map_err(|problem| Error::Weights { problem })?;
        let Some(graph) = model.network.view().graph() else {
            return Err(Error::OtherSpace {
                what: "BurnLayers",
                spaces: "the micro and the mobile space (BurnNetwork loads others)",
                space: model.space.name(),
            });
        };
        let mut source = TensorSource::stored(model.weights.clone());
        let mut builder = Builder {
            source: &mut source,
            device,
        };
        let mut layers = Vec::new();
        for layer in &graph.layers {
            layers.push(LayerTensors::build(&mut builder, &graph, layer)?);
        }
        let channels = graph.outputs.iter().map(|map| graph.shape(*map).channels);
        let sides = [channels.sum(), graph.classes];
        let linear = Linear::build(&mut builder, "linear", sides)?;
        source.finish()?;
        let Scaling { mean, deviation } = &model.normalisation;
        Ok(BurnLayers {
            mean: scaling(mean.clone(), device),
            deviation: scaling(deviation.clone(), device),
            layers,
            linear,
            graph,
        })
    }

    /// Computes logits, `[images, classes]`, for images, `[images, channels, height, width]` with
    /// pixels from 0 to 255, with the running statistics.
    pub fn forward(&self, pixels: Tensor<B, 4>) -> Tensor<B, 2> {
        self.pass(pixels, false)
    }

    /// The same with the batch's statistics, and updates the running ones: for further training.
    pub fn forward_training(&self, pixels: Tensor<B, 4>) -> Tensor<B, 2> {
        self.pass(pixels, true)
    }

    /// Copies every tensor to the host, in declaration order, as in [`Model`].
    pub fn weights(&self) -> Weights {
        let mut tensors = Vec::new();
        for (layer, own) in self.graph.layers.iter().zip(&self.layers) {
            if let Some(weight) = &own.weight {
                tensors.push(read(format!("{}.weight", layer.name), weight.val()));
            }
            if let Some(bias) = &own.bias {
                tensors.push(read(layer.name.clone(), bias.val()));
            }
            if let Some(norm) = &own.norm {
                norm.read(&layer.name, &mut tensors);
            }
        }
        self.linear.read("linear", &mut tensors);
        Weights { tensors }
    }

    fn pass(&self, pixels: Tensor<B, 4>, training: bool) -> Tensor<B, 2> {
        let used = self.graph.used_maps();
        let x = (pixels - self.mean.val()) / self.deviation.val();
        let mut maps = vec![Some(x)];
        for (index, layer) in self.graph.layers.iter().enumerate() {
            let map = used[index + 1].then(|| {
                let inputs = layer.inputs.iter().map(|map| maps[*map].clone());
                let inputs = inputs.flatten().collect();
                self.layer(index, layer, inputs, training)
            });
            maps.push(map);
        }
        let outputs = self.graph.outputs.iter();
        let features = outputs.filter_map(|map| maps[*map].clone().map(means));
        let features = Tensor::cat(features.collect(), 1);
        let [images, channels, _, _] = features.dims();
        let features = features.reshape([images, channels]);
        self.linear.stock_forward(features)
    }

    fn layer(
        &self,
        index: usize,
        layer: &GraphLayer,
        mut inputs: Vec<Tensor<B, 4>>,
        training: bool,
    ) -> Tensor<B, 4> {
        let own = &self.layers[index];
        let from = self.graph.shape(layer.inputs[0]);
        match layer.operation {
            LayerOperation::Convolution { kernel, stride } => {
                let padding = kernel.map(|size| (size - 1) / 2);
                let options = ConvOptions::new(stride, padding, [1; 2], 1);
                own.convolve(Tensor::cat(inputs, 1), options)
            }
            LayerOperation::Depthwise {
                kernel,
                stride,
                dilation,
            } => {
                let padding = [dilation * (kernel - 1) / 2; 2];
                let groups = from.channels;
                let options = ConvOptions::new([stride; 2], padding, [dilation; 2], groups);
                own.convolve(inputs.remove(0), options)
            }
            LayerOperation::BatchNorm => {
                let norm = own.norm.as_ref().expect("batch norms have their tensors");
                norm.stock_normalised(inputs.remove(0), training)
            }
            LayerOperation::Relu => activation::relu(inputs.remove(0)),
            LayerOperation::HardSigmoid => hard_sigmoid(inputs.remove(0)),
            LayerOperation::HardSwish => {
                let x = inputs.remove(0);
                x.clone() * hard_sigmoid(x)
            }
            LayerOperation::GlobalAverage => means(inputs.remove(0)),
            LayerOperation::Bias => {
                let bias = own.bias.as_ref().expect("biases have their tensor");
                let channels = layer.output.channels;
                inputs.remove(0) + bias.val().reshape([1, channels, 1, 1])
            }
            LayerOperation::Scale | LayerOperation::Add { .. } => {
                let second = inputs.remove(1);
                let first = inputs.remove(0);
                if layer.operation == LayerOperation::Scale {
                    first * second
                } else {
                    first + second
                }
            }
            LayerOperation::Resize => resized(inputs.remove(0), from, layer.output),
            LayerOperation::MaxPool { stride } => {
                let x = inputs.remove(0);
                module::max_pool2d(x, [3; 2], [stride; 2], [1; 2], [1; 2], false)
            }
            LayerOperation::AveragePool { stride } => {
                let x = inputs.remove(0);
                module::avg_pool2d(x, [3; 2], [stride; 2], [1; 2], false, false)
            }
            LayerOperation::Subsample { offset } => subsampled(inputs.remove(0), offset),
            LayerOperation::Concatenate => Tensor::cat(inputs, 1),
            other => unreachable!("{other:?} is planned for no network"),
        }
    }
}

fn hard_sigmoid<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    x.add_scalar(3.0).clamp(0.0, 6.0).div_scalar(6.0)
}

/// Every second pixel of every second row, of images with even sides.
fn subsampled<B: Backend>(x: Tensor<B, 4>, offset: usize) -> Tensor<B, 4> {
    let [images, channels, height, width] = x.dims();
    let [rows, columns] = [height / 2, width / 2];
    let pairs = x.reshape([images * channels, rows, 2, columns, 2]);
    let kept = pairs.narrow(2, offset, 1).narrow(4, offset, 1);
    kept.reshape([images, channels, rows, columns])
}

/// Bilinear interpolation as products with matrices, since backends differ in where pixels lie.
fn resized<B: Backend>(x: Tensor<B, 4>, from: Shape, to: Shape) -> Tensor<B, 4> {
    let device = x.device();
    let matrix = |from: usize, to: usize| {
        let mut shares = vec![0.0_f32; to * from];
        for (at, row) in shares.chunks_exact_mut(from).enumerate() {
            let centre = ((at as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0);
            let first = (centre as usize).min(from - 1);
            let rest = (centre - first as f64) as f32;
            row[first] += 1.0 - rest;
            row[(first + 1).min(from - 1)] += rest;
        }
        let shape = [1, 1, to, from];
        Tensor::<B, 4>::from_data(TensorData::new(shares, shape), &device)
    };
    let rows = matrix(from.height, to.height).matmul(x);
    rows.matmul(matrix(from.width, to.width).transpose())
}
