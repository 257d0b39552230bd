use std::ops::ControlFlow;

use burn::module::AutodiffModule;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, Optimizer, SgdConfig};
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Tensor, TensorData};
use naschain_core::{Accuracy, Architecture, Digest, Measurement, Recipe};

use crate::backend::{self, Options, Work};
use crate::batches::{Normalisation, Split};
use crate::clipping::clip;
use crate::evaluation::{batch, count_correct};
use crate::layers::values;
use crate::loss::Loss;
use crate::math;
use crate::network::Network;
use crate::weights::{Source, Weights};
use crate::{Dataset, Error};

/// What one epoch did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epoch {
    /// Its number, counted from 1.
    pub number: u32,
    /// The mean loss over the training images, each as it was seen.
    pub loss: f64,
    /// The accuracy on the training images, each as it was seen.
    pub train_accuracy: Accuracy,
    /// The learning rate of its last step.
    pub learning_rate: f64,
    /// The hash chain so far.
    pub digest: Digest,
}

/// A finished training.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// What a miner answers.
    pub measurement: Measurement,
    /// The trained network.
    pub weights: Weights,
}

/// Trains `architecture` on the images that `recipe` draws from `dataset`, then validates it.
///
/// The same arguments give the same bits, with any number of threads. `on_epoch` is called after
/// each epoch and may stop the training.
///
/// # Errors
/// [`Error::DataMismatch`], [`Error::TooFewImages`] or [`Error::Core`] before anything is
/// computed; [`Error::DeviceUnavailable`]; [`Error::Diverged`] when the loss is no longer finite;
/// [`Error::Stopped`] when `on_epoch` breaks.
pub fn train(
    architecture: &Architecture,
    dataset: &Dataset,
    recipe: &Recipe,
    options: Options,
    on_epoch: &mut (dyn FnMut(&Epoch) -> ControlFlow<()> + Send),
) -> Result<Trained, Error> {
    recipe.validate()?;
    check(architecture, dataset)?;
    let split = Split::draw(dataset, recipe)?;
    let work = Training {
        architecture,
        dataset,
        recipe,
        split,
        normalisation: Normalisation::new(dataset),
        on_epoch,
    };
    backend::run(options, work)
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

struct Training<'a> {
    architecture: &'a Architecture,
    dataset: &'a Dataset,
    recipe: &'a Recipe,
    split: Split,
    normalisation: Normalisation,
    on_epoch: &'a mut (dyn FnMut(&Epoch) -> ControlFlow<()> + Send),
}

impl Work for Training<'_> {
    type Output = Trained;

    fn run<B: AutodiffBackend>(self, device: &B::Device) -> Result<Trained, Error> {
        let recipe = self.recipe;
        let costs = self.architecture.costs()?;
        let source = Source::drawn(recipe.seed);
        let mut network = Network::<B>::build(self.architecture, source, device)?;
        let mut optimizer = SgdConfig::new()
            .with_weight_decay(Some(WeightDecayConfig::new(recipe.weight_decay as f32)))
            .with_momentum(Some(MomentumConfig {
                momentum: recipe.momentum,
                dampening: 0.0,
                nesterov: false,
            }))
            .init();
        let steps = self.split.train.len().div_ceil(recipe.batch_size);
        let mut weights = network.read();
        let mut digest = weights.link(Digest([0; 32]));
        for number in 1..=recipe.epochs {
            let mut epoch = Progress::default();
            let order = self.split.order(recipe.seed, number);
            for (step, indices) in order.chunks(recipe.batch_size).enumerate() {
                let done = (number - 1) as usize * steps + step;
                let rate = learning_rate(recipe, done, steps);
                let loss = self.forward_backward(&mut network, device, indices, number);
                if !loss.value.is_finite() {
                    return Err(Error::Diverged {
                        epoch: number,
                        step: step + 1,
                        loss: loss.value,
                    });
                }
                epoch.add(&loss, rate);
                network = optimizer.step(rate, network, loss.gradients);
            }
            weights = network.read();
            digest = weights.link(digest);
            let report = epoch.report(number, order.len() as u64, digest)?;
            let last = number == recipe.epochs;
            if (self.on_epoch)(&report).is_break() && !last {
                return Err(Error::Stopped { epoch: number });
            }
        }
        let mut network = network.valid();
        let indices = &self.split.validation;
        let correct = count_correct(
            &mut network,
            device,
            &self.normalisation,
            &self.dataset.train,
            indices,
        );
        let measurement = Measurement {
            accuracy: Accuracy::from_counts(correct, indices.len() as u64)?,
            params: costs.params,
            flops: costs.flops,
            digest,
        };
        Ok(Trained {
            measurement,
            weights,
        })
    }
}

impl Training<'_> {
    fn forward_backward<B: AutodiffBackend>(
        &self,
        network: &mut Network<B>,
        device: &B::Device,
        indices: &[usize],
        epoch: u32,
    ) -> Step {
        let images = &self.dataset.train;
        let pixels = self
            .normalisation
            .augmented(images, indices, self.recipe, epoch);
        let labels: Vec<u8> = indices.iter().map(|&index| images.labels[index]).collect();
        let x = batch(pixels, indices.len(), self.architecture.input, device);
        let logits = network.forward(x, true);
        let loss = Loss::new(&values(logits.clone().inner()), &labels);
        // The host computed the gradient by the logits; this sum has exactly that gradient.
        let gradient = TensorData::new(loss.gradient, logits.dims());
        let gradient = Tensor::<B, 2>::from_data(gradient, device);
        let root = (logits * gradient).sum_dim(1).sum_dim(0);
        let gradients = GradientsParams::from_grads(root.backward(), network);
        Step {
            value: loss.sum,
            correct: loss.correct,
            gradients: clip(network, gradients, self.recipe.clip_norm),
        }
    }
}

struct Step {
    /// The sum of the images' losses.
    value: f64,
    correct: u64,
    gradients: GradientsParams,
}

#[derive(Default)]
struct Progress {
    loss: f64,
    correct: u64,
    rate: f64,
}

impl Progress {
    fn add(&mut self, step: &Step, rate: f64) {
        self.loss += step.value;
        self.correct += step.correct;
        self.rate = rate;
    }

    fn report(&self, number: u32, images: u64, digest: Digest) -> Result<Epoch, Error> {
        Ok(Epoch {
            number,
            loss: self.loss / images as f64,
            train_accuracy: Accuracy::from_counts(self.correct, images)?,
            learning_rate: self.rate,
            digest,
        })
    }
}

/// Half a cosine from the recipe's rate to 0 (Loshchilov and Hutter 2017), step by step.
fn learning_rate(recipe: &Recipe, done: usize, steps_an_epoch: usize) -> f64 {
    let all = recipe.epochs as usize * steps_an_epoch;
    let part = done as f64 / all as f64;
    recipe.learning_rate * 0.5 * (1.0 + math::cos_pi(part))
}
