//! The accuracy of weights on a set of images.

use std::ops::ControlFlow;

use naschain_core::{Accuracy, NetworkRef, Recipe};

use crate::backend::{self, Computation, Options};
use crate::batches::{Normalisation, Split};
use crate::engine::Engine;
use crate::loss;
use crate::progress::TrainingInputs;
use crate::training::check;
use crate::weights::{TensorSource, Weights};
use crate::{Dataset, Error, Images, Model};

/// Images per forward pass outside training. It affects no result.
pub(crate) const BATCH: usize = 250;

/// The accuracy of trained weights on `images` of `dataset`, for example its test set.
///
/// # Errors
/// [`Error::Weights`] when they do not fit the architecture, [`Error::DataMismatch`], or
/// [`Error::DeviceUnavailable`]; [`Error::Io`] and [`Error::Malformed`] when image files have
/// changed since they were listed.
pub fn evaluate<'n>(
    network: impl Into<NetworkRef<'n>>,
    weights: &Weights,
    dataset: &Dataset,
    images: &Images,
    options: Options,
) -> Result<Accuracy, Error> {
    let network = network.into();
    check(network, dataset)?;
    let work = Evaluation {
        network,
        weights,
        images,
        indices: (0..images.len()).collect(),
        normalisation: Normalisation::new(dataset),
    };
    backend::run(options, work)
}

/// The accuracy in the measurement of a training by `recipe` that ends with these weights: on the
/// validation images that it draws from `dataset`, or on the test images if it has none.
///
/// # Errors
/// Those of [`evaluate`]; [`Error::Core`] for a recipe that is not valid, [`Error::TooFewImages`]
/// and [`Error::ImagesLeftOut`].
pub fn measure_accuracy<'n>(
    network: impl Into<NetworkRef<'n>>,
    weights: &Weights,
    dataset: &Dataset,
    recipe: &Recipe,
    options: Options,
) -> Result<Accuracy, Error> {
    let network = network.into();
    let split = Split::draw(dataset, recipe)?;
    let inputs = TrainingInputs::new(network, dataset, recipe, split);
    inputs.check(options)?;
    let (images, indices) = inputs.split.evaluation_images(dataset);
    let work = Evaluation {
        network,
        weights,
        images,
        indices,
        normalisation: inputs.normalisation,
    };
    backend::run(options, work)
}

struct Evaluation<'a> {
    network: NetworkRef<'a>,
    weights: &'a Weights,
    images: &'a Images,
    indices: Vec<usize>,
    normalisation: Normalisation,
}

impl Computation for Evaluation<'_> {
    type Output = Accuracy;

    fn network(&self) -> NetworkRef<'_> {
        self.network
    }

    fn run<E: Engine>(self, target: &E::Target) -> Result<Accuracy, Error> {
        let source = TensorSource::stored(self.weights.clone());
        let mut network = E::build(self.network, source, target)?;
        accuracy(
            &mut network,
            &self.normalisation,
            self.images,
            &self.indices,
        )
    }
}

/// Classifies one image again and again with untrained weights, for measuring how long that takes: this
/// crate reads no clock. `next` is called before the first forward pass and after each, and ends them by
/// breaking.
///
/// # Errors
/// [`Error::DeviceUnavailable`], or [`Error::IsaUnavailable`].
///
/// ```
/// use std::ops::ControlFlow;
/// use naschain_core::MacroSpace;
/// use naschain_train::{Options, repeat_inference};
///
/// let space = MacroSpace {
///     phases: 1,
///     nodes: 2,
///     input: "1x8x8".parse().unwrap(),
///     init_channels: 4,
///     classes: 10,
/// };
/// let network = space.decode(&"10".parse().unwrap()).unwrap();
/// let mut calls = 0;
/// let mut next = || {
///     calls += 1; // read a clock here
///     if calls < 10 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
/// };
/// repeat_inference(&network, Options::default(), &mut next)?;
/// # Ok::<(), naschain_train::Error>(())
/// ```
pub fn repeat_inference<'n>(
    network: impl Into<NetworkRef<'n>>,
    options: Options,
    next: &mut (dyn FnMut() -> ControlFlow<()> + Send),
) -> Result<(), Error> {
    let network = network.into();
    backend::run(options, RepeatedInference { network, next })
}

struct RepeatedInference<'a> {
    network: NetworkRef<'a>,
    next: &'a mut (dyn FnMut() -> ControlFlow<()> + Send),
}

impl Computation for RepeatedInference<'_> {
    type Output = ();

    fn network(&self) -> NetworkRef<'_> {
        self.network
    }

    fn run<E: Engine>(self, target: &E::Target) -> Result<(), Error> {
        let mut network = E::build(self.network, TensorSource::drawn(0), target)?;
        let image = vec![0.0; self.network.input().len()];
        while (self.next)().is_continue() {
            network.logits(image.clone());
        }
        Ok(())
    }
}

/// A model's logits for images × channels × height × width values from 0 to 255.
pub(crate) fn logits(model: &Model, pixels: &[f32], options: Options) -> Result<Vec<f32>, Error> {
    let shape = model.network.input();
    if !pixels.len().is_multiple_of(shape.len()) {
        let found = pixels.len();
        return Err(Error::PixelCount { found, shape });
    }
    backend::run(options, Inference { model, pixels })
}

struct Inference<'a> {
    model: &'a Model,
    pixels: &'a [f32],
}

impl Computation for Inference<'_> {
    type Output = Vec<f32>;

    fn network(&self) -> NetworkRef<'_> {
        self.model.network.view()
    }

    fn run<E: Engine>(self, target: &E::Target) -> Result<Vec<f32>, Error> {
        let shape = self.network().input();
        let source = TensorSource::stored(self.model.weights.clone());
        let mut network = E::build(self.network(), source, target)?;
        let mut all = Vec::new();
        for pixels in self.pixels.chunks(BATCH * shape.len()) {
            let normalisation = &self.model.normalisation;
            let seen = normalisation.apply(pixels, shape.height * shape.width);
            all.extend(network.logits(seen));
        }
        Ok(all)
    }
}

/// The share of the images at `indices` that the network classifies correctly.
pub(crate) fn accuracy<E: Engine>(
    network: &mut E,
    normalisation: &Normalisation,
    images: &Images,
    indices: &[usize],
) -> Result<Accuracy, Error> {
    let mut correct = 0;
    for indices in indices.chunks(BATCH) {
        let pixels = normalisation.plain(images, indices)?;
        let labels: Vec<u16> = indices
            .iter()
            .map(|&index| images.labels()[index])
            .collect();
        correct += loss::correct(&network.logits(pixels), &labels);
    }
    Ok(Accuracy::from_counts(correct, indices.len() as u64)?)
}
