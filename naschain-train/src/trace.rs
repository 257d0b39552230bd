//! A training laid open, so that another implementation can be held against it.

use std::ops::ControlFlow;

use naschain_core::{Architecture, Recipe};

use crate::backend::{self, Options, Work};
use crate::batches::{Normalisation, Split};
use crate::engine::Engine;
use crate::training::Training;
use crate::weights::Source;
use crate::{Dataset, Error, Images, Trained, Weights};

/// What a training began with, saw, and said of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// The network before the first step.
    pub initial: Weights,
    /// The training images as the network saw them, augmented and normalised: all of the first
    /// epoch in its order, then all of the second, and so on.
    pub seen: Batch,
    /// The mean loss of each step.
    pub losses: Vec<f64>,
    /// The images that the accuracy was measured on, normalised.
    pub judged: Batch,
    /// What came of it.
    pub trained: Trained,
}

/// Normalised images with their labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Images × channels × height × width numbers.
    pub pixels: Vec<f32>,
    /// One label an image, counted from 0.
    pub labels: Vec<u16>,
}

/// Trains as [`train`](crate::train) does and keeps everything that another implementation needs
/// to do the same; that is memory for every image of every epoch.
///
/// # Errors
/// Those of [`train`](crate::train).
pub fn trace(
    architecture: &Architecture,
    dataset: &Dataset,
    recipe: &Recipe,
    options: Options,
) -> Result<Trace, Error> {
    let split = Split::draw(dataset, recipe)?;
    let mut proceed = |_: &_, _: &_| ControlFlow::Continue(());
    let mut losses = Vec::new();
    let mut note = |loss| losses.push(loss);
    let mut training = Training::new(architecture, dataset, recipe, split.clone(), &mut proceed);
    training.on_step = Some(&mut note);
    let trained = training.start(options)?;
    let seed = recipe.seed;
    let initial = backend::run(options, Beginning { architecture, seed })?;
    let normalisation = Normalisation::new(dataset);
    let mut seen = Batch::default();
    for epoch in 1..=recipe.epochs {
        let order = split.order(seed, epoch);
        let pixels = normalisation.augmented(&dataset.train, &order, recipe, epoch);
        seen.append(pixels, &dataset.train, &order);
    }
    let mut judged = Batch::default();
    let (images, indices) = split.judged(dataset);
    judged.append(normalisation.plain(images, &indices), images, &indices);
    Ok(Trace {
        initial,
        seen,
        losses,
        judged,
        trained,
    })
}

impl Batch {
    fn append(&mut self, pixels: Vec<f32>, images: &Images, indices: &[usize]) {
        self.pixels.extend(pixels);
        let labels = indices.iter().map(|&index| u16::from(images.labels[index]));
        self.labels.extend(labels);
    }
}

/// The network before the first step.
struct Beginning<'a> {
    architecture: &'a Architecture,
    seed: u64,
}

impl Work for Beginning<'_> {
    type Output = Weights;

    fn run<E: Engine>(self, place: &E::Place) -> Result<Weights, Error> {
        let source = Source::drawn(self.seed);
        Ok(E::build(self.architecture, source, place)?.read())
    }
}
