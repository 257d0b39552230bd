//! The training loop, the same for all devices.

use std::ops::ControlFlow;
use std::time::Duration;

use naschain_core::{Accuracy, Architecture, Digest, Measurement, Recipe};

use crate::backend::{self, Computation, Options};
use crate::batches::{Normalisation, Split};
use crate::checkpoint::{Checkpoint, TrainingIdentity, TrainingState};
use crate::engine::{Engine, StepInput};
use crate::evaluation::count_correct;
use crate::kernels::ARITHMETIC_VERSION;
use crate::loss::Loss;
use crate::schedule::LearningRates;
use crate::weights::{TensorSource, Weights};
use crate::{Dataset, Error, drop_path, memory};

/// Summary of one epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epoch {
    /// Its number, counted from 1.
    pub number: u32,
    /// The mean loss over the training images, each at the time of its step.
    pub loss: f64,
    /// The accuracy on the training images, each at the time of its step.
    pub train_accuracy: Accuracy,
    /// The learning rate of its last step.
    pub learning_rate: f64,
    /// Number of images trained on.
    ///
    /// This crate reads no clock; divide this by the time that you measured.
    pub images: u64,
    /// The digest chain after this epoch.
    pub digest: Digest,
}

impl Epoch {
    /// Images per second of this epoch, which took `elapsed`. The caller measures the time, because
    /// this crate reads no clock.
    pub fn images_per_second(&self, elapsed: Duration) -> f64 {
        self.images as f64 / elapsed.as_secs_f64()
    }
}

/// A finished training.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// What a miner reports: accuracy, costs and digest.
    pub measurement: Measurement,
    /// The digest chain before the last epoch: the digest follows from it and from the weights.
    pub digest_before: Digest,
    /// The trained network.
    pub weights: Weights,
}

/// Trains `architecture` on the images that `recipe` draws from `dataset`, then measures its
/// accuracy on the validation images.
///
/// Equal arguments give equal bits, whatever the number of threads. `on_epoch` is called after each
/// epoch and may stop the training.
///
/// # Errors
/// [`Error::DataMismatch`], [`Error::TooFewImages`], [`Error::MemoryLimit`] or [`Error::Core`]
/// before anything is computed; [`Error::DeviceUnavailable`]; [`Error::Io`] and
/// [`Error::Malformed`] when image files have changed since they were listed; [`Error::Diverged`]
/// when the loss or a weight is no longer finite; [`Error::Stopped`] when `on_epoch` breaks before
/// the last epoch.
pub fn train(
    architecture: &Architecture,
    dataset: &Dataset,
    recipe: &Recipe,
    options: Options,
    on_epoch: &mut (dyn FnMut(&Epoch) -> ControlFlow<()> + Send),
) -> Result<Trained, Error> {
    let mut report = |epoch: &Epoch, state: TrainingState| (on_epoch(epoch), state);
    let split = Split::draw(dataset, recipe)?;
    let training = TrainingTask::new(architecture, dataset, recipe, split, &mut report);
    training.start(options)
}

/// Trains the network that a search selected: like [`train`], but on every image of the training
/// set, with the accuracy measured on the test set. The recipe's numbers of images are ignored.
///
/// # Errors
/// Those of [`train`], except [`Error::TooFewImages`].
pub fn train_on_all(
    architecture: &Architecture,
    dataset: &Dataset,
    recipe: &Recipe,
    options: Options,
    on_epoch: &mut (dyn FnMut(&Epoch) -> ControlFlow<()> + Send),
) -> Result<Trained, Error> {
    let mut report = |epoch: &Epoch, state: TrainingState| (on_epoch(epoch), state);
    let split = Split::all(dataset);
    let training = TrainingTask::new(architecture, dataset, recipe, split, &mut report);
    training.start(options)
}

/// Like [`train`], but resumes from `checkpoint` if there is one, and passes a checkpoint to
/// `on_epoch` after each epoch.
///
/// On the same device an interrupted and resumed training ends with the same bits as an
/// uninterrupted one.
///
/// ```
/// use std::ops::ControlFlow::{Break, Continue};
/// use naschain_core::{Augmentation, MacroSpace, Recipe};
/// use naschain_train::{Dataset, Options, train_from};
///
/// let digits = Dataset::digits();
/// let space = MacroSpace { phases: 1, nodes: 2, input: digits.shape, init_channels: 2, classes: 10 };
/// let architecture = space.decode(&"11".parse()?)?;
/// let mut recipe = Recipe::default();
/// recipe.epochs = 2;
/// recipe.train_images = 64;
/// recipe.validation_images = 100;
/// recipe.augmentation = Augmentation::default();
/// let options = Options::default();
/// let mut stored = None;
/// let stopped = train_from(&architecture, &digits, &recipe, options, None, &mut |_, checkpoint| {
///     stored = Some(checkpoint.clone());
///     Break(())
/// });
/// assert_eq!(stopped.unwrap_err().to_string(), "the training was stopped after epoch 1");
/// let mut proceed = |_: &_, _: &_| Continue(());
/// let resumed = train_from(&architecture, &digits, &recipe, options, stored, &mut proceed)?;
/// let whole = train_from(&architecture, &digits, &recipe, options, None, &mut proceed)?;
/// assert_eq!(resumed, whole);
/// # Ok::<(), naschain_train::Error>(())
/// ```
///
/// # Errors
/// Those of [`train`], and [`Error::OtherTraining`] for a checkpoint of another architecture,
/// recipe or data set.
pub fn train_from(
    architecture: &Architecture,
    dataset: &Dataset,
    recipe: &Recipe,
    options: Options,
    checkpoint: Option<Checkpoint>,
    on_epoch: &mut (dyn FnMut(&Epoch, &Checkpoint) -> ControlFlow<()> + Send),
) -> Result<Trained, Error> {
    let identity = TrainingIdentity::new(architecture, dataset, recipe);
    if let Some(checkpoint) = &checkpoint {
        checkpoint.identity.check(&identity)?;
    }
    let state = checkpoint.map(|checkpoint| checkpoint.state);
    // The state is moved in and out, not cloned: it is as large as the network.
    let mut report = |epoch: &Epoch, state: TrainingState| {
        let checkpoint = Checkpoint {
            identity: identity.clone(),
            state,
        };
        (on_epoch(epoch, &checkpoint), checkpoint.state)
    };
    let split = Split::draw(dataset, recipe)?;
    let training = TrainingTask::new(architecture, dataset, recipe, split, &mut report);
    TrainingTask { state, ..training }.start(options)
}

/// A build implements one version of the arithmetic only.
pub(crate) fn check_arithmetic(recipe: &Recipe) -> Result<(), Error> {
    match recipe.arithmetic {
        ARITHMETIC_VERSION => Ok(()),
        found => Err(Error::OtherArithmetic { found }),
    }
}

pub(crate) fn check(architecture: &Architecture, dataset: &Dataset) -> Result<(), Error> {
    if architecture.input == dataset.shape && architecture.classes == dataset.classes {
        return Ok(());
    }
    Err(Error::DataMismatch {
        architecture: architecture.input,
        classes: architecture.classes,
        name: dataset.name.clone(),
        shape: dataset.shape,
        data_classes: dataset.classes,
    })
}

/// Takes the training's state and returns it, so that a caller can store it without a copy.
type OnEpoch<'a> =
    &'a mut (dyn FnMut(&Epoch, TrainingState) -> (ControlFlow<()>, TrainingState) + Send);

/// A training that has not started.
pub(crate) struct TrainingTask<'a> {
    architecture: &'a Architecture,
    dataset: &'a Dataset,
    recipe: &'a Recipe,
    split: Split,
    normalisation: Normalisation,
    /// The state to resume from; `None` starts afresh.
    state: Option<TrainingState>,
    on_epoch: OnEpoch<'a>,
    /// Called with the mean loss of each step.
    pub(crate) on_step: Option<&'a mut (dyn FnMut(f64) + Send)>,
}

impl<'a> TrainingTask<'a> {
    pub(crate) fn new(
        architecture: &'a Architecture,
        dataset: &'a Dataset,
        recipe: &'a Recipe,
        split: Split,
        on_epoch: OnEpoch<'a>,
    ) -> TrainingTask<'a> {
        TrainingTask {
            architecture,
            dataset,
            recipe,
            split,
            normalisation: Normalisation::new(dataset),
            state: None,
            on_epoch,
            on_step: None,
        }
    }

    pub(crate) fn start(self, options: Options) -> Result<Trained, Error> {
        self.check(options)?;
        backend::run(options, self)
    }

    /// Checks everything that can be checked before a training starts.
    pub(crate) fn check(&self, options: Options) -> Result<(), Error> {
        self.recipe.validate()?;
        check_arithmetic(self.recipe)?;
        check(self.architecture, self.dataset)?;
        memory::check(self.architecture, &self.sizes(), options)
    }

    /// The recipe with the numbers of images that are actually used.
    fn sizes(&self) -> Recipe {
        let mut recipe = self.recipe.clone();
        recipe.train_images = self.split.train.len();
        recipe.validation_images = self.split.evaluation_images(self.dataset).1.len();
        recipe
    }
}

impl Computation for TrainingTask<'_> {
    type Output = Trained;

    fn run<E: Engine>(mut self, target: &E::Target) -> Result<Trained, Error> {
        let recipe = self.recipe;
        let costs = self.architecture.costs()?;
        let source = match &self.state {
            None => TensorSource::drawn(recipe.seed),
            Some(state) => TensorSource::stored(state.weights.clone()),
        };
        let mut network = E::build(self.architecture, source, target)?;
        let mut state = match self.state.take() {
            None => TrainingState::first(network.read()),
            Some(state) => state,
        };
        network.start_training(&state.velocities);
        let steps = self.split.train.len().div_ceil(recipe.batch_size);
        let schedule = LearningRates::new(recipe, steps);
        for number in state.epoch + 1..=recipe.epochs {
            let mut epoch = EpochTotals::default();
            let order = self.split.order(recipe.seed, number);
            for (step, indices) in order.chunks(recipe.batch_size).enumerate() {
                let rate = schedule.rate((number - 1) as usize * steps + step);
                let batch = self.batch(indices, number, network.paths())?;
                let loss = network.step(&batch, recipe, rate);
                if !loss.sum.is_finite() {
                    return Err(Error::Diverged {
                        epoch: number,
                        what: format!("the loss of epoch {number}, step {}", step + 1),
                        found: loss.sum,
                    });
                }
                epoch.add(&loss, rate);
                if let Some(on_step) = &mut self.on_step {
                    on_step(loss.sum / indices.len() as f64);
                }
            }
            let weights = network.read();
            check_finite(&weights, number)?;
            state = state.next(weights, network.read_velocities());
            let report = epoch.report(number, order.len() as u64, state.digest)?;
            let last = number == recipe.epochs;
            let answer;
            (answer, state) = (self.on_epoch)(&report, state);
            if answer.is_break() && !last {
                return Err(Error::Stopped { epoch: number });
            }
        }
        let (images, indices) = self.split.evaluation_images(self.dataset);
        let correct = count_correct(&mut network, &self.normalisation, images, &indices)?;
        let measurement = Measurement {
            accuracy: Accuracy::from_counts(correct, indices.len() as u64)?,
            params: costs.params,
            flops: costs.flops,
            digest: state.digest,
        };
        Ok(Trained {
            measurement,
            digest_before: state.digest_before,
            weights: state.weights,
        })
    }
}

impl TrainingTask<'_> {
    /// The mini-batch of one step, augmented and normalised.
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

/// The loss alone does not show every non-finite weight: ReLU turns NaN into 0.
fn check_finite(weights: &Weights, epoch: u32) -> Result<(), Error> {
    match weights.not_finite() {
        None => Ok(()),
        Some((tensor, value)) => Err(Error::Diverged {
            epoch,
            what: format!("a value of {} after epoch {epoch}", tensor.name),
            found: f64::from(value),
        }),
    }
}

#[derive(Default)]
struct EpochTotals {
    loss: f64,
    correct: u64,
    rate: f64,
}

impl EpochTotals {
    fn add(&mut self, loss: &Loss, rate: f64) {
        self.loss += loss.sum;
        self.correct += loss.correct;
        self.rate = rate;
    }

    fn report(&self, number: u32, images: u64, digest: Digest) -> Result<Epoch, Error> {
        Ok(Epoch {
            number,
            loss: self.loss / images as f64,
            train_accuracy: Accuracy::from_counts(self.correct, images)?,
            learning_rate: self.rate,
            images,
            digest,
        })
    }
}
