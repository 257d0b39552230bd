//! An architecture as a burn module.

use burn::module::{Module, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData, module};
use naschain_core::{Architecture, Network};

use super::layers::{Builder, Linear, means, untrained};
#[cfg(test)]
use super::operations;
use super::phase::{Paths, PhaseLayers};
use crate::weights::{TensorSource, Weights};
use crate::{Error, Model, Scaling};

/// A network of the macro space as a burn module, on any burn backend. Requires the feature `burn`.
///
/// On a backend that has [`ExactOps`](super::ExactOps), [`BurnNetwork::exact_training`] and
/// [`BurnNetwork::exact_logits`] have the bits of a miner. [`BurnNetwork::forward`] and
/// [`BurnNetwork::forward_training`] use burn's own operations, on any backend: they compute the same
/// as [`Model::logits`] up to rounding, because burn's kernels sum in another order, training by them
/// is not reproducible to the bit, and it uses no drop-path. Running statistics and normalisation are part of a record and of burn's parameter
/// count, but optimisers do not change them. A record does not contain the architecture, so load it
/// into the network of the same model.
///
/// ```
/// # use std::ops::ControlFlow;
/// # use naschain_core::{MacroSpace, Recipe};
/// # use naschain_train::{Dataset, Model, Options, train};
/// use burn::backend::Flex;
/// use burn::tensor::Tensor;
/// use naschain_train::BurnNetwork;
///
/// # let digits = Dataset::digits();
/// # let space = MacroSpace { phases: 1, nodes: 2, input: digits.shape, init_channels: 4, classes: 10 };
/// # let mut recipe = Recipe::default();
/// # (recipe.epochs, recipe.train_images, recipe.validation_images) = (1, 64, 64);
/// # let genome = "10".parse()?;
/// # let mut proceed = |_: &_| ControlFlow::Continue(());
/// # let trained = train(&space.decode(&genome)?, &digits, &recipe, Options::default(), &mut proceed)?;
/// # let model = Model::new(&space, &genome, &digits, &recipe, trained)?;
/// # let file = std::env::temp_dir().join("naschain-doc-burn.safetensors");
/// # model.save(&file)?;
/// // A file written by `genomaster export`.
/// let model = Model::load(&file)?;
/// let device = Default::default();
/// let network = BurnNetwork::<Flex>::load(&model, &device)?;
/// let grey_image = Tensor::full([1, 1, 8, 8], 128.0, &device);
/// assert_eq!(network.forward(grey_image).dims(), [1, 10]);
/// # std::fs::remove_file(file.with_extension("json")).unwrap();
/// # std::fs::remove_file(file).unwrap();
/// # Ok::<(), naschain_train::Error>(())
/// ```
#[derive(Module, Debug)]
pub struct BurnNetwork<B: Backend> {
    /// `[1, channels, 1, 1]`
    mean: Param<Tensor<B, 4>>,
    deviation: Param<Tensor<B, 4>>,
    pub(super) phases: Vec<PhaseLayers<B>>,
    pub(super) linear: Linear<B>,
}

impl<B: Backend> BurnNetwork<B> {
    /// Builds a model's network on `device`.
    ///
    /// # Errors
    /// [`Error::Weights`] when the tensors do not fit the architecture, or parts of the model
    /// contradict each other; [`Error::OtherSpace`] for a network of another space than the macro space,
    /// which [`BurnLayers`](super::BurnLayers) loads.
    pub fn load(model: &Model, device: &B::Device) -> Result<Self, Error> {
        model
            .check()
            .map_err(|problem| Error::Weights { problem })?;
        let source = TensorSource::stored(model.weights.clone());
        let Network::Macro(architecture) = &model.network else {
            return Err(Error::OtherSpace {
                what: "BurnNetwork",
                spaces: "the macro space (BurnLayers loads others)",
                space: model.space.name(),
            });
        };
        let network = BurnNetwork::build(architecture, source, device)?;
        let Scaling { mean, deviation } = &model.normalisation;
        let mean = scaling(mean.clone(), device);
        let deviation = scaling(deviation.clone(), device);
        Ok(BurnNetwork {
            mean,
            deviation,
            ..network
        })
    }

    /// Computes logits, `[images, classes]`, for images, `[images, channels, height, width]` with
    /// pixels from 0 to 255, with the running statistics.
    pub fn forward(&self, pixels: Tensor<B, 4>) -> Tensor<B, 2> {
        self.logits(self.scaled(pixels))
    }

    /// The same with the batch's statistics, and updates the running ones: for further training.
    pub fn forward_training(&self, pixels: Tensor<B, 4>) -> Tensor<B, 2> {
        let x = self.scaled(pixels);
        self.pass(x, true, &mut Paths::whole())
    }

    /// Copies every tensor to the host, in declaration order, as in [`Model`].
    pub fn weights(&self) -> Weights {
        let mut tensors = Vec::new();
        for (index, phase) in self.phases.iter().enumerate() {
            phase.read(&format!("phases.{index}"), &mut tensors);
        }
        self.linear.read("linear", &mut tensors);
        Weights { tensors }
    }

    /// Builds the network with tensors from `source`, without normalisation.
    pub(super) fn build(
        architecture: &Architecture,
        mut source: TensorSource,
        device: &B::Device,
    ) -> Result<Self, Error> {
        let mut builder = Builder {
            source: &mut source,
            device,
        };
        let mut phases = Vec::new();
        for (index, phase) in architecture.phases.iter().enumerate() {
            let name = format!("phases.{index}");
            phases.push(PhaseLayers::build(&mut builder, &name, phase)?);
        }
        let last = architecture.phases.last();
        let features = last.map_or(architecture.input.channels, |phase| phase.channels);
        let linear = Linear::build(&mut builder, "linear", [features, architecture.classes])?;
        source.finish()?;
        let planes = architecture.input.channels;
        Ok(BurnNetwork {
            mean: scaling(vec![0.0; planes], device),
            deviation: scaling(vec![1.0; planes], device),
            phases,
            linear,
        })
    }

    fn scaled(&self, pixels: Tensor<B, 4>) -> Tensor<B, 4> {
        (pixels - self.mean.val()) / self.deviation.val()
    }

    /// Logits of normalised images, with the running statistics.
    pub(super) fn logits(&self, x: Tensor<B, 4>) -> Tensor<B, 2> {
        self.pass(x, false, &mut Paths::whole())
    }

    /// Logits of normalised images, with the batch's statistics when training and otherwise with
    /// the running ones, and with `paths` applied to joined maps.
    pub(super) fn pass(
        &self,
        mut x: Tensor<B, 4>,
        training: bool,
        paths: &mut Paths<B>,
    ) -> Tensor<B, 2> {
        for (index, phase) in self.phases.iter().enumerate() {
            if index > 0 {
                #[cfg(test)]
                operations::pool(&x);
                x = module::max_pool2d(x, [2, 2], [2, 2], [0, 0], [1, 1], false);
            }
            x = phase.stock_forward(x, training, paths);
        }
        #[cfg(test)]
        operations::pool(&x);
        let [images, channels, _, _] = x.dims();
        self.linear
            .stock_forward(means(x).reshape([images, channels]))
    }
}

/// One value per colour plane.
pub(super) fn scaling<B: Backend>(numbers: Vec<f64>, device: &B::Device) -> Param<Tensor<B, 4>> {
    let shape = [1, numbers.len(), 1, 1];
    untrained(Tensor::from_data(TensorData::new(numbers, shape), device))
}
