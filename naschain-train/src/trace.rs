//! A record of a whole training, so that another implementation can be compared with it.

use std::ops::ControlFlow;

use naschain_core::{NetworkRef, Recipe};

use crate::backend::{self, Computation, Options};
use crate::batches::{Normalisation, Split};
use crate::engine::Engine;
use crate::training::TrainingTask;
use crate::weights::TensorSource;
use crate::{Dataset, Error, Images, Trained, Weights};

/// Inputs, intermediate results and result of a training.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// The network before the first step.
    pub initial: Weights,
    /// The training images after augmentation and normalisation, in the order of the steps: all of
    /// the first epoch, then all of the second, and so on.
    pub inputs: Batch,
    /// The mean loss of each step.
    pub losses: Vec<f64>,
    /// The normalised images that the accuracy was measured on.
    pub evaluated: Batch,
    /// The result.
    pub trained: Trained,
}

/// Normalised images with their labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Images × channels × height × width values.
    pub pixels: Vec<f32>,
    /// One label per image, counted from 0.
    pub labels: Vec<u16>,
}

/// Trains as [`train`](crate::train) does and records everything that another implementation needs
/// to repeat it. This keeps every image of every epoch in memory.
///
/// # Errors
/// Those of [`train`](crate::train).
pub fn trace<'n>(
    network: impl Into<NetworkRef<'n>>,
    dataset: &Dataset,
    recipe: &Recipe,
    options: Options,
) -> Result<Trace, Error> {
    let network = network.into();
    let split = Split::draw(dataset, recipe)?;
    let mut proceed = |_: &_, _| ControlFlow::Continue(());
    let mut losses = Vec::new();
    let mut note = |loss| losses.push(loss);
    let mut training = TrainingTask::new(network, dataset, recipe, split.clone(), &mut proceed);
    training.on_step = Some(&mut note);
    let trained = training.start(options)?;
    let seed = recipe.seed;
    let initial = backend::run(options, InitialWeights { network, seed })?;
    let normalisation = Normalisation::new(dataset);
    let mut inputs = Batch::default();
    for epoch in 1..=recipe.epochs {
        let order = split.order(seed, epoch);
        let pixels = normalisation.augmented(&dataset.train, &order, recipe, epoch)?;
        inputs.append(pixels, &dataset.train, &order);
    }
    let mut evaluated = Batch::default();
    let (images, indices) = split.evaluation_images(dataset);
    evaluated.append(normalisation.plain(images, &indices)?, images, &indices);
    Ok(Trace {
        initial,
        inputs,
        losses,
        evaluated,
        trained,
    })
}

impl Batch {
    /// Images of a data set's training set as they enter a network in an epoch of the recipe,
    /// counted from 1: cropped, mirrored, cut out and normalised. An image's augmentation depends
    /// only on the recipe's seed, the epoch and the image's index.
    ///
    /// ```
    /// use naschain_core::Recipe;
    /// use naschain_train::{Batch, Dataset};
    /// let digits = Dataset::digits();
    /// let mut recipe = Recipe::default();
    /// recipe.augmentation.crop_padding = 2;
    /// recipe.augmentation.horizontal_flip = true;
    /// recipe.augmentation.cutout = 3;
    /// let two = Batch::augmented(&digits, &[3, 8], &recipe, 1)?;
    /// let one = Batch::augmented(&digits, &[8], &recipe, 1)?;
    /// assert_eq!(two.pixels[64..], one.pixels);
    /// assert_ne!(one, Batch::augmented(&digits, &[8], &recipe, 2)?);
    /// # Ok::<(), naschain_train::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Images::pixels`].
    pub fn augmented(
        dataset: &Dataset,
        indices: &[usize],
        recipe: &Recipe,
        epoch: u32,
    ) -> Result<Batch, Error> {
        let images = &dataset.train;
        let normalisation = Normalisation::new(dataset);
        let mut batch = Batch::default();
        let pixels = normalisation.augmented(images, indices, recipe, epoch)?;
        batch.append(pixels, images, indices);
        Ok(batch)
    }

    fn append(&mut self, pixels: Vec<f32>, images: &Images, indices: &[usize]) {
        self.pixels.extend(pixels);
        let labels = indices.iter().map(|&index| images.labels()[index]);
        self.labels.extend(labels);
    }
}

/// The network before the first step.
struct InitialWeights<'a> {
    network: NetworkRef<'a>,
    seed: u64,
}

impl Computation for InitialWeights<'_> {
    type Output = Weights;

    fn network(&self) -> NetworkRef<'_> {
        self.network
    }

    fn run<E: Engine>(self, target: &E::Target) -> Result<Weights, Error> {
        let source = TensorSource::drawn(self.seed);
        Ok(E::build(self.network, source, target)?.read())
    }
}
