//! The mini-batches of a recipe, for your own training loop.

use std::borrow::Cow;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use naschain_core::{Recipe, Shape};

use super::training::images;
use crate::batches::{Normalisation, Split};
use crate::evaluation::BATCH;
use crate::training::check_arithmetic;
use crate::{Dataset, Error, Images, drop_path};

/// The mini-batches that [`crate::train`] makes of a data set: the same images in the same order,
/// augmented and normalised.
pub struct MiniBatches<'a> {
    dataset: Cow<'a, Dataset>,
    recipe: Cow<'a, Recipe>,
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
        MiniBatches::draw(Cow::Borrowed(dataset), Cow::Borrowed(recipe))
    }

    fn draw(dataset: Cow<'a, Dataset>, recipe: Cow<'a, Recipe>) -> Result<MiniBatches<'a>, Error> {
        recipe.validate()?;
        check_arithmetic(&recipe)?;
        Ok(MiniBatches {
            split: Split::draw(&dataset, &recipe)?,
            normalisation: Normalisation::new(&dataset),
            dataset,
            recipe,
        })
    }

    /// Number of images of one epoch.
    pub fn images(&self) -> usize {
        self.split.train.len()
    }

    /// Number of mini-batches of one epoch.
    pub fn steps(&self) -> usize {
        self.images().div_ceil(self.recipe.batch_size)
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

    /// The images that [`crate::train`] measures the accuracy on: the recipe's validation images, or
    /// the test set if it has none. Normalised, not augmented.
    pub fn validation(&self) -> impl Iterator<Item = Result<MiniBatch, Error>> + '_ {
        let (images, indices) = self.split.evaluation_images(&self.dataset);
        let batches = indices.chunks(BATCH).map(<[usize]>::to_vec);
        let batches: Vec<_> = batches.collect();
        batches.into_iter().map(move |indices| {
            Ok(MiniBatch {
                pixels: self.normalisation.plain(images, &indices)?,
                shape: self.dataset.shape,
                labels: labels(images, &indices),
                factors: Vec::new(),
            })
        })
    }

    /// Number of images of [`MiniBatches::validation`].
    pub fn validation_images(&self) -> usize {
        self.split.evaluation_images(&self.dataset).1.len()
    }

    fn batch(&self, indices: &[usize], epoch: u32, paths: usize) -> Result<MiniBatch, Error> {
        let images = &self.dataset.train;
        let (recipe, normalisation) = (&self.recipe, &self.normalisation);
        Ok(MiniBatch {
            pixels: normalisation.augmented(images, indices, recipe, epoch)?,
            shape: self.dataset.shape,
            labels: labels(images, indices),
            factors: drop_path::draw(recipe, epoch, paths, indices),
        })
    }
}

impl MiniBatches<'static> {
    /// The same of a data set and a recipe that it keeps, for another thread or a data loader.
    ///
    /// # Errors
    /// Those of [`MiniBatches::new`].
    pub fn owned(dataset: Dataset, recipe: Recipe) -> Result<MiniBatches<'static>, Error> {
        MiniBatches::draw(Cow::Owned(dataset), Cow::Owned(recipe))
    }
}

fn labels(images: &Images, indices: &[usize]) -> Vec<u16> {
    let labels = indices.iter().map(|&index| images.labels()[index]);
    labels.collect()
}
