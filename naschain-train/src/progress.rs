//! A training in progress: one step after the other, from the start or from any step.

use naschain_core::{Accuracy, Digest, NetworkRef, Recipe};

use crate::backend::Options;
use crate::batches::{Normalisation, Split};
use crate::checkpoint::TrainingState;
use crate::engine::{Engine, StepInput};
use crate::loss::Loss;
use crate::schedule::LearningRates;
use crate::training::{Epoch, check, check_arithmetic};
use crate::weights::{TensorSource, Weights};
use crate::{Dataset, Error, drop_path, memory};

/// Number of steps of one epoch of a valid recipe.
pub fn steps_an_epoch(recipe: &Recipe) -> u64 {
    recipe.train_images.div_ceil(recipe.batch_size.max(1)) as u64
}

/// Number of steps of a whole training: the state before the first step has number 0, the state of
/// the trained network this one. The recipe must be valid.
///
/// ```
/// let mut recipe = naschain_core::Recipe::default();
/// (recipe.epochs, recipe.train_images, recipe.batch_size) = (3, 1000, 128);
/// assert_eq!(naschain_train::steps_an_epoch(&recipe), 8); // the last has 104 images
/// assert_eq!(naschain_train::steps(&recipe), 24);
/// ```
pub fn steps(recipe: &Recipe) -> u64 {
    u64::from(recipe.epochs) * steps_an_epoch(recipe)
}

/// What a training is computed from.
pub(crate) struct TrainingInputs<'a> {
    pub(crate) network: NetworkRef<'a>,
    pub(crate) dataset: &'a Dataset,
    pub(crate) recipe: &'a Recipe,
    pub(crate) split: Split,
    pub(crate) normalisation: Normalisation,
}

impl<'a> TrainingInputs<'a> {
    pub(crate) fn new(
        network: NetworkRef<'a>,
        dataset: &'a Dataset,
        recipe: &'a Recipe,
        split: Split,
    ) -> TrainingInputs<'a> {
        TrainingInputs {
            network,
            dataset,
            recipe,
            split,
            normalisation: Normalisation::new(dataset),
        }
    }

    /// Checks everything that can be checked before a training starts.
    pub(crate) fn check(&self, options: Options) -> Result<(), Error> {
        self.recipe.validate()?;
        check_arithmetic(self.recipe)?;
        check(self.network, self.dataset)?;
        memory::check(self.network, &self.sizes(), options)
    }

    /// The recipe with the numbers of images that are actually used.
    fn sizes(&self) -> Recipe {
        let mut recipe = self.recipe.clone();
        recipe.train_images = self.split.train.len();
        recipe.validation_images = self.split.evaluation_images(self.dataset).1.len();
        recipe
    }

    /// The mini-batch of one step, augmented and normalised. The random numbers of an image depend on
    /// the seed, the epoch and the image alone, so a step needs none of the steps before it.
    fn batch(&self, indices: &[usize], epoch: u32, paths: usize) -> Result<StepInput, Error> {
        let images = &self.dataset.train;
        let labels = indices.iter().map(|&index| images.labels()[index]);
        Ok(StepInput {
            pixels: self
                .normalisation
                .augmented(images, indices, self.recipe, epoch)?,
            labels: labels.collect(),
            factors: drop_path::draw(self.recipe, epoch, paths, indices),
        })
    }
}

/// A training between two of its steps.
pub(crate) struct InProgress<'a, E> {
    inputs: &'a TrainingInputs<'a>,
    pub(crate) network: E,
    schedule: LearningRates,
    /// Finished epochs.
    epoch: u32,
    /// Finished steps of the epoch that follows them.
    step: usize,
    /// The digest chain after the finished epochs.
    pub(crate) digest: Digest,
    /// The digest chain before the last of them.
    pub(crate) digest_before: Digest,
    /// The training images in the order of the epoch in progress; empty before its first step.
    order: Vec<usize>,
    totals: EpochTotals,
}

/// What one step reports.
pub(crate) struct StepReport {
    /// The mean loss of its images.
    pub(crate) loss: f64,
    /// The epoch, if this was its last step.
    pub(crate) epoch: Option<Epoch>,
}

impl<'a, E: Engine> InProgress<'a, E> {
    /// Starts from initial weights, or from the state after any step.
    pub(crate) fn start(
        inputs: &'a TrainingInputs<'a>,
        state: Option<TrainingState>,
        target: &E::Target,
    ) -> Result<InProgress<'a, E>, Error> {
        let recipe = inputs.recipe;
        let (source, state) = match state {
            None => (TensorSource::drawn(recipe.seed), None),
            Some(mut state) => {
                let weights = std::mem::take(&mut state.weights);
                (TensorSource::stored(weights), Some(state))
            }
        };
        let mut network = E::build(inputs.network, source, target)?;
        // A checkpoint's weights were moved into the network, which has its own copy now.
        let state = state.unwrap_or_else(|| TrainingState::first(network.read()));
        network.start_training(&state.velocities);
        let steps = inputs.split.train.len().div_ceil(recipe.batch_size);
        Ok(InProgress {
            inputs,
            network,
            schedule: LearningRates::new(recipe, steps),
            epoch: state.epoch,
            step: state.step,
            digest: state.digest,
            digest_before: state.digest_before,
            order: Vec::new(),
            totals: EpochTotals::default(),
        })
    }

    /// Number of finished epochs.
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Number of finished steps since the start of the training.
    pub(crate) fn steps(&self) -> u64 {
        let recipe = self.inputs.recipe;
        let each = self.inputs.split.train.len().div_ceil(recipe.batch_size);
        u64::from(self.epoch) * each as u64 + self.step as u64
    }

    /// Computes the next step; after the last step of an epoch also the next link of the digest
    /// chain.
    pub(crate) fn step(&mut self) -> Result<StepReport, Error> {
        let (recipe, epoch) = (self.inputs.recipe, self.epoch + 1);
        if self.order.is_empty() {
            self.order = self.inputs.split.order(recipe.seed, epoch);
        }
        let mut batches = self.order.chunks(recipe.batch_size);
        let steps = batches.len();
        let indices = batches.nth(self.step).unwrap_or_default();
        let rate = self.schedule.rate(self.epoch as usize * steps + self.step);
        let batch = self.inputs.batch(indices, epoch, self.network.paths())?;
        let loss = self.network.step(&batch, recipe, rate);
        if !loss.sum.is_finite() {
            return Err(Error::Diverged {
                epoch,
                what: format!("the loss of epoch {epoch}, step {}", self.step + 1),
                found: loss.sum,
            });
        }
        self.totals.add(&loss, indices.len(), rate);
        let mean = loss.sum / indices.len() as f64;
        self.step += 1;
        let ended = self.step == steps;
        let epoch = ended.then(|| self.end_epoch()).transpose()?;
        Ok(StepReport { loss: mean, epoch })
    }

    fn end_epoch(&mut self) -> Result<Epoch, Error> {
        let number = self.epoch + 1;
        let weights = self.network.read();
        check_finite(&weights, number, &format!("epoch {number}"))?;
        self.digest_before = self.digest;
        self.digest = weights.chain_digest(self.digest);
        (self.epoch, self.step) = (number, 0);
        self.order.clear();
        std::mem::take(&mut self.totals).report(number, self.digest)
    }

    /// The state after the steps so far.
    pub(crate) fn state(&self) -> Result<TrainingState, Error> {
        let weights = self.network.read();
        if self.step > 0 {
            let number = self.epoch + 1;
            let when = format!("epoch {number}, step {}", self.step);
            check_finite(&weights, number, &when)?;
        }
        Ok(TrainingState {
            epoch: self.epoch,
            step: self.step,
            digest: self.digest,
            digest_before: self.digest_before,
            weights,
            velocities: self.network.read_velocities(),
        })
    }
}

/// The loss alone does not show every non-finite weight: ReLU turns NaN into 0. A weight that is not
/// finite stays so, and a velocity that is not finite makes its weight so in the same step; thus a
/// training that ends with a digest had finite weights, statistics and velocities after every step.
fn check_finite(weights: &Weights, epoch: u32, when: &str) -> Result<(), Error> {
    match weights.not_finite() {
        None => Ok(()),
        Some((tensor, value)) => Err(Error::Diverged {
            epoch,
            what: format!("a value of {} after {when}", tensor.name),
            found: f64::from(value),
        }),
    }
}

#[derive(Default)]
struct EpochTotals {
    loss: f64,
    correct: u64,
    images: u64,
    rate: f64,
}

impl EpochTotals {
    fn add(&mut self, loss: &Loss, images: usize, rate: f64) {
        self.loss += loss.sum;
        self.correct += loss.correct;
        self.images += images as u64;
        self.rate = rate;
    }

    fn report(&self, number: u32, digest: Digest) -> Result<Epoch, Error> {
        Ok(Epoch {
            number,
            loss: self.loss / self.images as f64,
            train_accuracy: Accuracy::from_counts(self.correct, self.images)?,
            learning_rate: self.rate,
            images: self.images,
            digest,
        })
    }
}
