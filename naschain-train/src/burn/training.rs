//! Training by burn, with the loop, the batches and the digest of [`crate::train`].

use std::ops::ControlFlow;

use burn::backend::{Autodiff, Flex};
use burn::module::{AutodiffModule, Module, ModuleVisitor, Param};
use burn::optim::{GradientsParams, Optimizer};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};
use naschain_core::{Architecture, Digest, NetworkRef, Recipe, Shape};

use super::layers::values;
use super::map::{primitive, tensor};
use super::network::BurnNetwork;
use super::ops::{CrossEntropyOutput, ExactOps};
use super::optim::ExactSgd;
use crate::backend::Computation;
use crate::batches::Split;
use crate::checkpoint::TrainingState;
use crate::engine::{Engine, StepInput, macro_network};
use crate::evaluation::BATCH;
use crate::loss::Loss;
use crate::training::TrainingTask;
use crate::weights::{TensorSource, Weights, little_endian};
use crate::{Dataset, Epoch, Error, Isa, Options, Trained};

/// Tensors of a [`BurnNetwork`] before those that are trained: the normalisation of its images.
const SCALING_TENSORS: usize = 2;

/// burn's autodiff on its CPU backend.
pub type CpuAutodiff = Autodiff<Flex>;

/// The device of a training and the instruction set of its kernels.
#[derive(Clone, Debug)]
pub struct ExactDevice<B: Backend> {
    /// burn's device.
    pub device: B::Device,
    /// The CPU instruction set, which changes no bit of the result.
    pub isa: Isa,
}

/// A [`BurnNetwork`] with its optimiser, for the training loop.
pub(crate) struct BurnTraining<B: AutodiffBackend> {
    /// `None` only during a step, which consumes it.
    module: Option<BurnNetwork<B>>,
    sgd: Option<ExactSgd<B::InnerBackend>>,
    velocities: Vec<Option<Vec<f32>>>,
    input: Shape,
    place: ExactDevice<B>,
}

impl<B> Engine for BurnTraining<B>
where
    B: AutodiffBackend + ExactOps,
    B::InnerBackend: ExactOps,
{
    type Target = ExactDevice<B>;

    fn build(
        network: NetworkRef<'_>,
        source: TensorSource,
        place: &ExactDevice<B>,
    ) -> Result<Self, Error> {
        let device = &place.device;
        Ok(BurnTraining {
            module: Some(BurnNetwork::build(macro_network(network), source, device)?),
            sgd: None,
            velocities: Vec::new(),
            input: network.input(),
            place: place.clone(),
        })
    }

    fn start_training(&mut self, velocities: &[Option<Vec<f32>>]) {
        self.sgd = None;
        self.velocities = velocities.to_vec();
    }

    fn paths(&self) -> usize {
        self.module().paths()
    }

    fn read(&self) -> Weights {
        self.module().weights()
    }

    fn read_velocities(&self) -> Vec<Option<Vec<f32>>> {
        match &self.sgd {
            None => self.velocities.clone(),
            Some(sgd) => sgd.read(&self.places()),
        }
    }

    fn step(&mut self, batch: &StepInput, recipe: &Recipe, rate: f64) -> Loss {
        let sgd = self.sgd.take();
        let mut sgd = sgd.unwrap_or_else(|| {
            let mut sgd = ExactSgd::new(recipe);
            sgd.resume(&self.places(), &self.velocities, &self.place.device);
            sgd
        });
        let module = self.module.take().expect("it is put back below");
        let pixels = images(batch.pixels.clone(), self.input, &self.place.device);
        let logits = module.exact_training(pixels, &batch.factors, self.place.isa);
        let loss = cross_entropy(logits, &batch.labels, recipe.label_smoothing);
        let gradients = GradientsParams::from_grads(loss.mean.backward(), &module);
        self.module = Some(sgd.step(rate, module, gradients));
        self.sgd = Some(sgd);
        loss.loss
    }

    fn logits(&mut self, pixels: Vec<f32>) -> Vec<f32> {
        let module = self.module().valid();
        let mut all = Vec::new();
        for pixels in pixels.chunks(BATCH * self.input.len()) {
            let x = images(pixels.to_vec(), self.input, &self.place.device);
            all.extend(values(module.exact_logits(x, self.place.isa)));
        }
        all
    }
}

impl<B: AutodiffBackend> BurnTraining<B> {
    fn module(&self) -> &BurnNetwork<B> {
        self.module.as_ref().expect("it is out during a step only")
    }

    /// The places of the parameters among the tensors of the module.
    fn places(&self) -> Vec<usize> {
        let tensors = self.module().weights().tensors;
        let places = tensors.iter().zip(SCALING_TENSORS..);
        let trained = places.filter(|(tensor, _)| !tensor.name.contains(".running_"));
        trained.map(|(_, place)| place).collect()
    }
}

/// Normalised images as a tensor of `[images, channels, height, width]`.
pub(super) fn images<B: Backend>(
    pixels: Vec<f32>,
    shape: Shape,
    device: &B::Device,
) -> Tensor<B, 4> {
    let images = pixels.len() / shape.len();
    let shape = [images, shape.channels, shape.height, shape.width];
    // Some backends pad the rows of tensors that come from the host, but not of reshaped ones.
    let numbers = pixels.len();
    let line = Tensor::<B, 1>::from_data(TensorData::new(pixels, [numbers]), device);
    line.reshape(shape)
}

/// The loss of one batch.
#[derive(Clone, Debug)]
pub struct BatchLoss<B: Backend> {
    /// The mean loss, `[1]`, to call `backward` on.
    pub mean: Tensor<B, 1>,
    /// The sum of the images' losses, in full precision.
    pub sum: f64,
    /// Number of images whose largest logit is that of their label.
    pub correct: u64,
    pub(crate) loss: Loss,
}

/// Softmax cross-entropy of `[images, classes]` logits, with the fraction `smoothing` of the target
/// spread over all classes.
pub fn cross_entropy<B: ExactOps>(
    logits: Tensor<B, 2>,
    labels: &[u16],
    smoothing: f64,
) -> BatchLoss<B> {
    let entropy = B::exact_cross_entropy(primitive(logits), labels, smoothing);
    let loss = entropy.loss();
    let CrossEntropyOutput {
        mean, sum, correct, ..
    } = entropy;
    BatchLoss {
        mean: tensor(mean),
        sum,
        correct,
        loss,
    }
}

/// Trains as [`crate::train`] does, on a backend of burn: with the same bits and the same digest.
/// It uses as many threads as the rayon pool in which it is called, in a pool of its own: burn locks
/// graphs during a backward pass, so trainings that shared the threads of one pool could wait for each
/// other for ever.
///
/// # Errors
/// Those of [`crate::train`].
pub fn train<B>(
    architecture: &Architecture,
    dataset: &Dataset,
    recipe: &Recipe,
    place: &ExactDevice<B>,
    on_epoch: &mut (dyn FnMut(&Epoch) -> ControlFlow<()> + Send),
) -> Result<Trained, Error>
where
    B: AutodiffBackend + ExactOps,
    B::InnerBackend: ExactOps,
{
    if !place.isa.is_available() {
        return Err(Error::IsaUnavailable { isa: place.isa });
    }
    let mut report = |epoch: &Epoch, _: TrainingState| on_epoch(epoch);
    let split = Split::draw(dataset, recipe)?;
    let training = TrainingTask::new(architecture.into(), dataset, recipe, split, &mut report);
    training.check(Options::default())?;
    match rayon::current_num_threads() {
        1 => training.run::<BurnTraining<B>>(place),
        threads => {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let pool = pool.map_err(|error| Error::Threads {
                threads,
                reason: error.to_string(),
            })?;
            pool.install(|| training.run::<BurnTraining<B>>(place))
        }
    }
}

/// The next digest of a module's chain: BLAKE3 of the digest before and the little-endian bytes of
/// every float tensor in declaration order, as f32. Equal trainings have equal chains.
///
/// A [`BurnNetwork`] also holds the normalisation of its images, which is no result of training:
/// [`BurnNetwork::digest`] gives the chain of a miner.
pub fn digest<B: Backend, M: Module<B>>(module: &M, before: Digest) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&before.0);
    let mut hashed = Hashed { hasher };
    module.visit(&mut hashed);
    Digest(*hashed.hasher.finalize().as_bytes())
}

struct Hashed {
    hasher: blake3::Hasher,
}

impl<B: Backend> ModuleVisitor<B> for Hashed {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        self.hasher.update(&little_endian(&values(param.val())));
    }
}

impl<B: Backend> BurnNetwork<B> {
    /// The digest chain after one more epoch, or of the untrained network: `before` is that of the
    /// epoch before, and `None` starts the chain. After the last epoch it is the digest that a miner
    /// reports.
    pub fn digest(&self, before: Option<Digest>) -> Digest {
        let weights = self.weights();
        match before {
            None => TrainingState::first(weights).digest,
            Some(before) => weights.chain_digest(before),
        }
    }
}
