//! The mini-batches of a recipe, for your own training loop.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use naschain_core::{Recipe, Shape};

use super::training::images;
use crate::batches::{Normalisation, Split};
use crate::training::check_arithmetic;
use crate::{Dataset, Error, drop_path};

/// The mini-batches that [`crate::train`] makes of a data set: the same images in the same order,
/// augmented and normalised.
pub struct MiniBatches<'a> {
    dataset: &'a Dataset,
    recipe: &'a Recipe,
    split: Split,
    normalisation: Normalisation,
}

/// A mini-batch.
#[derive(Clone, Debug, PartialEq)]
pub struct MiniBatch {
    pixels: Vec<f32>,
    shape: Shape,
    /// One label per image.
    pub labels: Vec<u16>,
    /// Drop-path's factors, for each path one per image; empty if nothing is dropped.
    pub factors: Vec<Vec<f32>>,
}

impl MiniBatch {
    /// The images, augmented and normalised: `[images, channels, height, width]`.
    pub fn images<B: Backend>(&self, device: &B::Device) -> Tensor<B, 4> {
        images(self.pixels.clone(), self.shape, device)
    }
}

impl<'a> MiniBatches<'a> {
    /// Draws the images that the recipe requires.
    ///
    /// # Errors
    /// [`Error::TooFewImages`], [`Error::Core`] for a recipe that is not valid, or
    /// [`Error::OtherArithmetic`] for one of another version of the arithmetic.
    pub fn new(dataset: &'a Dataset, recipe: &'a Recipe) -> Result<MiniBatches<'a>, Error> {
        recipe.validate()?;
        check_arithmetic(recipe)?;
        Ok(MiniBatches {
            dataset,
            recipe,
            split: Split::draw(dataset, recipe)?,
            normalisation: Normalisation::new(dataset),
        })
    }

    /// Number of mini-batches of one epoch.
    pub fn steps(&self) -> usize {
        self.split.train.len().div_ceil(self.recipe.batch_size)
    }

    /// The mini-batches of an epoch, counted from 1, in their order, for a network with `paths` that
    /// drop-path can drop.
    pub fn epoch(
        &self,
        number: u32,
        paths: usize,
    ) -> impl Iterator<Item = Result<MiniBatch, Error>> + '_ {
        let order = self.split.order(self.recipe.seed, number);
        (0..self.steps()).map(move |step| {
            let indices = order.chunks(self.recipe.batch_size).nth(step);
            self.batch(indices.unwrap_or_default(), number, paths)
        })
    }

    fn batch(&self, indices: &[usize], epoch: u32, paths: usize) -> Result<MiniBatch, Error> {
        let images = &self.dataset.train;
        let labels = indices.iter().map(|&index| images.labels()[index]);
        let normalisation = &self.normalisation;
        Ok(MiniBatch {
            pixels: normalisation.augmented(images, indices, self.recipe, epoch)?,
            shape: self.dataset.shape,
            labels: labels.collect(),
            factors: drop_path::draw(self.recipe, epoch, paths, indices),
        })
    }
}
