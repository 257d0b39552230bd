//! The training loop, the same for all devices.

use std::ops::ControlFlow;
use std::time::Duration;

use naschain_core::{Accuracy, Digest, Measurement, NetworkRef, Recipe};

use crate::backend::{self, Computation, Options};
use crate::batches::Split;
use crate::checkpoint::{Checkpoint, TrainingIdentity, TrainingState};
use crate::engine::Engine;
use crate::evaluation::accuracy;
use crate::kernels::ARITHMETIC_VERSION;
use crate::progress::{InProgress, TrainingInputs};
use crate::weights::Weights;
use crate::{Dataset, Error};

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
    /// Number of images trained on. After a start within an epoch, this and the numbers above are
    /// those of the steps from there.
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
    /// The digest chain before the last epoch: the digest of a finished training follows from it and
    /// from the weights.
    pub digest_before: Digest,
    /// The trained network.
    pub weights: Weights,
}

/// Trains a network on the images that `recipe` draws from `dataset`, then measures its
/// accuracy on the validation images, or on the test images if the recipe has none.
///
/// Equal arguments give equal bits, whatever the number of threads. `on_epoch` is called after each
/// epoch and may stop the training.
///
/// # Errors
/// [`Error::DataMismatch`], [`Error::TooFewImages`], [`Error::ImagesLeftOut`],
/// [`Error::MemoryLimit`] or [`Error::Core`] before anything is computed; [`Error::DeviceUnavailable`]; [`Error::Io`] and
/// [`Error::Malformed`] when image files have changed since they were listed; [`Error::Diverged`]
/// when the loss or a weight is no longer finite; [`Error::Stopped`] when `on_epoch` breaks before
/// the last epoch.
pub fn train<'n>(
    network: impl Into<NetworkRef<'n>>,
    dataset: &Dataset,
    recipe: &Recipe,
    options: Options,
    on_epoch: &mut (dyn FnMut(&Epoch) -> ControlFlow<()> + Send),
) -> Result<Trained, Error> {
    let mut report = |epoch: &Epoch, _: TrainingState| on_epoch(epoch);
    let split = Split::draw(dataset, recipe)?;
    let training = TrainingTask::new(network.into(), dataset, recipe, split, &mut report);
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
pub fn train_from<'n>(
    network: impl Into<NetworkRef<'n>>,
    dataset: &Dataset,
    recipe: &Recipe,
    options: Options,
    checkpoint: Option<Checkpoint>,
    on_epoch: &mut (dyn FnMut(&Epoch, &Checkpoint) -> ControlFlow<()> + Send),
) -> Result<Trained, Error> {
    let last = recipe.epochs;
    train_until(
        network, dataset, recipe, options, checkpoint, last, on_epoch,
    )
}

/// Like [`train_from`], but pauses after epoch `last` of the recipe's epochs, and measures the accuracy
/// there. The training is the recipe's all the same: from the checkpoint after this epoch it continues
/// to the bits of a training that did not pause.
///
/// The digest of a training that pauses is that of its whole state,
/// [`StepState::state`](naschain_core::StepState::state): parties that agree about it continue to the
/// same bits, and [`Checkpoint::check_pause`] tells whether a checkpoint has it.
///
/// # Errors
/// Those of [`train_from`], and [`Error::NoSuchEpoch`] when `last` is before the checkpoint's epoch
/// or after the recipe's last.
pub fn train_until<'n>(
    network: impl Into<NetworkRef<'n>>,
    dataset: &Dataset,
    recipe: &Recipe,
    options: Options,
    checkpoint: Option<Checkpoint>,
    last: u32,
    on_epoch: &mut (dyn FnMut(&Epoch, &Checkpoint) -> ControlFlow<()> + Send),
) -> Result<Trained, Error> {
    let network = network.into();
    let first = match &checkpoint {
        None => 0,
        Some(checkpoint) => {
            checkpoint.check(network, dataset, recipe)?;
            checkpoint.first_epoch_end()
        }
    };
    if !(first..=recipe.epochs).contains(&last) {
        return Err(Error::NoSuchEpoch {
            found: last,
            first,
            last: recipe.epochs,
        });
    }
    let identity = TrainingIdentity::new(network, dataset, recipe);
    let state = checkpoint.map(|checkpoint| checkpoint.state);
    let mut report = |epoch: &Epoch, state: TrainingState| {
        let identity = identity.clone();
        on_epoch(epoch, &Checkpoint { identity, state })
    };
    let split = Split::draw(dataset, recipe)?;
    let training = TrainingTask::new(network, dataset, recipe, split, &mut report);
    TrainingTask {
        state,
        last,
        ..training
    }
    .start(options)
}

/// A build implements one version of the arithmetic only.
pub(crate) fn check_arithmetic(recipe: &Recipe) -> Result<(), Error> {
    match recipe.arithmetic {
        ARITHMETIC_VERSION => Ok(()),
        found => Err(Error::OtherArithmetic { found }),
    }
}

pub(crate) fn check(network: NetworkRef<'_>, dataset: &Dataset) -> Result<(), Error> {
    if network.input() == dataset.shape && network.classes() == dataset.classes {
        return Ok(());
    }
    Err(Error::DataMismatch {
        architecture: network.input(),
        classes: network.classes(),
        name: dataset.name.clone(),
        shape: dataset.shape,
        data_classes: dataset.classes,
    })
}

/// Gets the state by value, so that a caller can keep or store it without another copy.
type OnEpoch<'a> = &'a mut (dyn FnMut(&Epoch, TrainingState) -> ControlFlow<()> + Send);

/// A training that has not started.
pub(crate) struct TrainingTask<'a> {
    inputs: TrainingInputs<'a>,
    /// The state to resume from; `None` starts afresh.
    state: Option<TrainingState>,
    /// The epoch after which the accuracy is measured; the recipe's last, or one before it.
    last: u32,
    on_epoch: OnEpoch<'a>,
    /// Called with the mean loss of each step.
    pub(crate) on_step: Option<&'a mut (dyn FnMut(f64) + Send)>,
}

impl<'a> TrainingTask<'a> {
    pub(crate) fn new(
        network: NetworkRef<'a>,
        dataset: &'a Dataset,
        recipe: &'a Recipe,
        split: Split,
        on_epoch: OnEpoch<'a>,
    ) -> TrainingTask<'a> {
        TrainingTask {
            inputs: TrainingInputs::new(network, dataset, recipe, split),
            state: None,
            last: recipe.epochs,
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
        self.inputs.check(options)
    }
}

impl Computation for TrainingTask<'_> {
    type Output = Trained;

    fn network(&self) -> NetworkRef<'_> {
        self.inputs.network
    }

    fn run<E: Engine>(mut self, target: &E::Target) -> Result<Trained, Error> {
        let costs = self.inputs.network.costs()?;
        let mut training = InProgress::<E>::start(&self.inputs, self.state.take(), target)?;
        while training.epoch() < self.last {
            let step = training.step()?;
            if let Some(on_step) = &mut self.on_step {
                on_step(step.loss);
            }
            let Some(epoch) = step.epoch else { continue };
            let answer = (self.on_epoch)(&epoch, training.state()?);
            if answer.is_break() && epoch.number < self.last {
                return Err(Error::Stopped {
                    epoch: epoch.number,
                });
            }
        }
        let (images, indices) = self.inputs.split.evaluation_images(self.inputs.dataset);
        let normalisation = &self.inputs.normalisation;
        let accuracy = accuracy(&mut training.network, normalisation, images, &indices)?;
        let mut digest = training.digest;
        if self.last < self.inputs.recipe.epochs {
            digest = training.state()?.step_state(training.steps()).state;
        }
        Ok(Trained {
            measurement: Measurement {
                accuracy,
                params: costs.params,
                flops: costs.flops,
                digest,
            },
            digest_before: training.digest_before,
            weights: training.network.read(),
        })
    }
}
