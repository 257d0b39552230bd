//! The accuracy of weights on a set of images.

use naschain_core::{Accuracy, Architecture};

use crate::backend::{self, Computation, Options};
use crate::batches::Normalisation;
use crate::engine::Engine;
use crate::loss;
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
pub fn evaluate(
    architecture: &Architecture,
    weights: &Weights,
    dataset: &Dataset,
    images: &Images,
    options: Options,
) -> Result<Accuracy, Error> {
    check(architecture, dataset)?;
    let normalisation = Normalisation::new(dataset);
    let work = Evaluation {
        architecture,
        weights,
        images,
        normalisation,
    };
    backend::run(options, work)
}

struct Evaluation<'a> {
    architecture: &'a Architecture,
    weights: &'a Weights,
    images: &'a Images,
    normalisation: Normalisation,
}

impl Computation for Evaluation<'_> {
    type Output = Accuracy;

    fn run<E: Engine>(self, target: &E::Target) -> Result<Accuracy, Error> {
        let source = TensorSource::stored(self.weights.clone());
        let mut network = E::build(self.architecture, source, target)?;
        let indices: Vec<usize> = (0..self.images.len()).collect();
        let correct = count_correct(&mut network, &self.normalisation, self.images, &indices)?;
        Ok(Accuracy::from_counts(correct, indices.len() as u64)?)
    }
}

/// A model's logits for images × channels × height × width values from 0 to 255.
pub(crate) fn logits(model: &Model, pixels: &[f32], options: Options) -> Result<Vec<f32>, Error> {
    let shape = model.architecture.input;
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

    fn run<E: Engine>(self, target: &E::Target) -> Result<Vec<f32>, Error> {
        let architecture = &self.model.architecture;
        let shape = architecture.input;
        let source = TensorSource::stored(self.model.weights.clone());
        let mut network = E::build(architecture, source, target)?;
        let mut all = Vec::new();
        for pixels in self.pixels.chunks(BATCH * shape.len()) {
            let normalisation = &self.model.normalisation;
            let seen = normalisation.apply(pixels, shape.height * shape.width);
            all.extend(network.logits(seen));
        }
        Ok(all)
    }
}

/// Number of images that the network classifies correctly.
pub(crate) fn count_correct<E: Engine>(
    network: &mut E,
    normalisation: &Normalisation,
    images: &Images,
    indices: &[usize],
) -> Result<u64, Error> {
    let mut correct = 0;
    for indices in indices.chunks(BATCH) {
        let pixels = normalisation.plain(images, indices)?;
        let labels: Vec<u16> = indices
            .iter()
            .map(|&index| images.labels()[index])
            .collect();
        correct += loss::correct(&network.logits(pixels), &labels);
    }
    Ok(correct)
}
