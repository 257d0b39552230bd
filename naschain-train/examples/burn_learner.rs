//! burn's Learner, which reaches the digest of a miner: in one go, and continued from its checkpoint:
//!
//!     cargo run --release -p naschain-train --features burn-learner --example burn_learner

use std::error::Error;
use std::ops::{ControlFlow, RangeInclusive};
use std::path::Path;
use std::sync::{Arc, Mutex};

use burn::backend::{Autodiff, Flex};
use burn::module::{AutodiffModule, Module};
use burn::optim::{GradientsParams, Optimizer};
use burn::record::{DefaultFileRecorder, FullPrecisionSettings};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Int, Tensor};
use burn_train::metric::{AccuracyMetric, LossMetric};
use burn_train::{
    ClassificationOutput, InferenceStep, Learner, SupervisedTraining, TrainOutput, TrainStep,
};
use naschain_core::{Architecture, Augmentation, Digest, MacroSpace, Recipe};
use naschain_train::burn::{
    BurnNetwork, ExactSchedule, ExactSgd, MiniBatch, MiniBatchLoader, MiniBatches, cross_entropy,
};
use naschain_train::{Dataset, Isa, Options, train};

type Training = Autodiff<Flex>;

/// The network, the option of its loss, and the digest chain, which is no part of a record.
#[derive(Module, Debug)]
struct Classifier<B: Backend> {
    network: BurnNetwork<B>,
    label_smoothing: f64,
    chain: Arc<Mutex<Chain>>,
}

/// The digest after the last epoch that has ended.
#[derive(Debug)]
struct Chain {
    digest: Digest,
    steps: usize,
    steps_an_epoch: usize,
}

impl TrainStep for Classifier<Training> {
    type Input = MiniBatch;
    type Output = ClassificationOutput<Training>;

    fn step(&self, batch: MiniBatch) -> TrainOutput<Self::Output> {
        let pixels = batch.images(&Default::default());
        let logits = self
            .network
            .exact_training(pixels, &batch.factors, Isa::best());
        let loss = cross_entropy(logits.clone(), &batch.labels, self.label_smoothing).mean;
        let gradients = loss.backward();
        let output = ClassificationOutput::new(loss, logits, targets(&batch));
        TrainOutput::new(self, gradients, output)
    }

    fn optimize<B, O>(self, optimizer: &mut O, rate: f64, gradients: GradientsParams) -> Self
    where
        B: AutodiffBackend,
        O: Optimizer<Self, B>,
        Self: AutodiffModule<B>,
    {
        let trained = optimizer.step(rate, self, gradients);
        let mut chain = trained.chain.lock().expect("no thread panics with it");
        chain.steps += 1;
        if chain.steps.is_multiple_of(chain.steps_an_epoch) {
            chain.digest = trained.network.digest(Some(chain.digest));
        }
        drop(chain);
        trained
    }
}

impl InferenceStep for Classifier<Flex> {
    type Input = MiniBatch;
    type Output = ClassificationOutput<Flex>;

    fn step(&self, batch: MiniBatch) -> Self::Output {
        let pixels = batch.images(&Default::default());
        let logits = self.network.exact_logits(pixels, Isa::best());
        let loss = cross_entropy(logits.clone(), &batch.labels, self.label_smoothing).mean;
        ClassificationOutput::new(loss, logits, targets(&batch))
    }
}

/// The labels for burn's metrics.
fn targets<B: Backend>(batch: &MiniBatch) -> Tensor<B, 1, Int> {
    let labels: Vec<i32> = batch.labels.iter().copied().map(i32::from).collect();
    Tensor::from_ints(&labels[..], &Default::default())
}

/// A network that joins several maps, and a recipe with every option.
fn problem(digits: &Dataset, epochs: u32) -> Result<(Architecture, Recipe), Box<dyn Error>> {
    let space = MacroSpace {
        phases: 2,
        nodes: 4,
        input: digits.shape,
        init_channels: 8,
        classes: digits.classes,
    };
    let architecture = space.decode(&"1101011-1011010".parse()?)?;
    let mut recipe = Recipe::default();
    (recipe.epochs, recipe.warmup_epochs, recipe.batch_size) = (epochs, epochs - 1, 64);
    (recipe.train_images, recipe.validation_images) = (500, 397);
    (recipe.label_smoothing, recipe.drop_path) = (0.1, 0.2);
    recipe.augmentation = Augmentation::default();
    recipe.augmentation.crop_padding = 1;
    Ok((architecture, recipe))
}

/// Trains some epochs of a recipe. The first is 1, or one more than a checkpoint in `folder`, with
/// `before` as the digest that it had; returns the digest after the last.
fn learn(
    (architecture, recipe): &(Architecture, Recipe),
    digits: &Dataset,
    epochs: RangeInclusive<u32>,
    before: Option<Digest>,
    folder: &Path,
) -> Result<(Digest, BurnNetwork<Flex>), Box<dyn Error>> {
    let network = BurnNetwork::<Training>::new(architecture, recipe.seed, &Default::default())?;
    let batches = Arc::new(MiniBatches::owned(digits.clone(), recipe.clone())?);
    let loader = MiniBatchLoader::training(batches.clone(), network.paths(), *epochs.start());
    let validation = MiniBatchLoader::validation(batches.clone());
    let chain = Arc::new(Mutex::new(Chain {
        digest: before.unwrap_or_else(|| network.digest(None)),
        steps: 0,
        steps_an_epoch: batches.steps(),
    }));
    let classifier = Classifier {
        network,
        label_smoothing: recipe.label_smoothing,
        chain: chain.clone(),
    };
    let optimizer = ExactSgd::<Flex>::new(recipe);
    let schedule = ExactSchedule::new(recipe, batches.steps());
    let learner = Learner::new(classifier, optimizer, schedule);
    let mut training = SupervisedTraining::new(folder, Arc::new(loader), Arc::new(validation))
        .metrics((AccuracyMetric::<Flex>::new(), LossMetric::<Flex>::new()))
        .with_file_checkpointer(DefaultFileRecorder::<FullPrecisionSettings>::new())
        .with_application_logger(None)
        .num_epochs(*epochs.end() as usize);
    if *epochs.start() > 1 {
        training = training.checkpoint(*epochs.start() as usize - 1);
    }
    let trained = training.launch(learner).model.network;
    let digest = chain.lock().expect("no thread panics with it").digest;
    Ok((digest, trained))
}

/// Compares the Learner's networks with the miner's.
fn compare(digits: &Dataset, epochs: u32, folder: &Path) -> Result<(), Box<dyn Error>> {
    let problem = problem(digits, epochs)?;
    let (architecture, recipe) = &problem;
    let mut proceed = |_: &_| ControlFlow::Continue(());
    let options = Options::default();
    let by_miner = train(architecture, digits, recipe, options, &mut proceed)?;
    let right = by_miner.measurement.digest;
    println!("{epochs} epochs: {right} by the miner");
    let mut trained = vec![learn(&problem, digits, 1..=epochs, None, folder)?];
    if epochs > 1 {
        let (digest, _) = learn(&problem, digits, 1..=1, None, folder)?;
        trained.push(learn(&problem, digits, 2..=epochs, Some(digest), folder)?);
    }
    for ((digest, network), how) in trained.into_iter().zip(["in one go", "continued"]) {
        println!("{epochs} epochs: {digest} by burn's Learner, {how}");
        if digest != right || network.weights() != by_miner.weights {
            return Err("the Learner's network is not the miner's".into());
        }
    }
    Ok(())
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let digits = Dataset::digits();
    let folder = std::env::temp_dir().join(format!("naschain-learner-{}", std::process::id()));
    let mut results = [1, 3]
        .map(|epochs| compare(&digits, epochs, &folder))
        .into_iter();
    std::fs::remove_dir_all(folder)?;
    results.try_for_each(|result| result)
}
