//! The mini-batches of a recipe, for a training loop of one's own.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use naschain_core::{Recipe, Shape};

use super::training::images;
use crate::batches::{Normalisation, Split};
use crate::{Dataset, Error, drop_path};

/// The mini-batches that [`crate::train`] makes of a data set: the same images in the same order,
/// augmented and normalised.
pub struct Lessons<'a> {
    dataset: &'a Dataset,
    recipe: &'a Recipe,
    split: Split,
    normalisation: Normalisation,
}

/// A mini-batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Lesson {
    pixels: Vec<f32>,
    shape: Shape,
    /// One label per image.
    pub labels: Vec<u16>,
    /// Drop-path's factors, for each path one per image; empty if nothing is dropped.
    pub factors: Vec<Vec<f32>>,
}

impl Lesson {
    /// The images, augmented and normalised: `[images, channels, height, width]`.
    pub fn images<B: Backend>(&self, device: &B::Device) -> Tensor<B, 4> {
        images(self.pixels.clone(), self.shape, device)
    }
}

impl<'a> Lessons<'a> {
    /// Draws the images that the recipe requires.
    ///
    /// # Errors
    /// [`Error::TooFewImages`], or [`Error::Core`] for a recipe that is not valid.
    pub fn new(dataset: &'a Dataset, recipe: &'a Recipe) -> Result<Lessons<'a>, Error> {
        recipe.validate()?;
        Ok(Lessons {
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
    ) -> impl Iterator<Item = Result<Lesson, Error>> + '_ {
        let order = self.split.order(self.recipe.seed, number);
        (0..self.steps()).map(move |step| {
            let indices = order.chunks(self.recipe.batch_size).nth(step);
            self.lesson(indices.unwrap_or_default(), number, paths)
        })
    }

    fn lesson(&self, indices: &[usize], epoch: u32, paths: usize) -> Result<Lesson, Error> {
        let images = &self.dataset.train;
        let labels = indices.iter().map(|&index| images.labels()[index]);
        let normalisation = &self.normalisation;
        Ok(Lesson {
            pixels: normalisation.augmented(images, indices, self.recipe, epoch)?,
            shape: self.dataset.shape,
            labels: labels.collect(),
            factors: drop_path::draw(self.recipe, epoch, paths, indices),
        })
    }
}
