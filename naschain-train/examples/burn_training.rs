//! A training loop of burn, written by hand, that reaches the digest of a miner:
//!
//!     cargo run --release -p naschain-train --features burn --example burn_training

use std::error::Error;
use std::ops::ControlFlow;

use burn::backend::{Autodiff, Flex};
use burn::lr_scheduler::LrScheduler;
use burn::module::AutodiffModule;
use burn::optim::{GradientsParams, Optimizer};
use naschain_core::{Architecture, Augmentation, Digest, MacroSpace, Recipe};
use naschain_train::burn::{BurnNetwork, ExactSchedule, ExactSgd, MiniBatches, cross_entropy};
use naschain_train::{Dataset, Isa, Options, train};

type Backend = Autodiff<Flex>;

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let digits = Dataset::digits();
    let (architecture, recipe) = problem(&digits)?;
    let by_burn = train_by_burn(&architecture, &digits, &recipe)?;
    let mut proceed = |_: &_| ControlFlow::Continue(());
    let options = Options::default();
    let by_miner = train(&architecture, &digits, &recipe, options, &mut proceed)?;
    let digest = by_miner.measurement.digest;
    println!("burn   {by_burn}\nminer  {digest}");
    if by_burn != digest {
        return Err("the digests differ".into());
    }
    Ok(())
}

/// A network that joins several maps, and a recipe with every option.
fn problem(digits: &Dataset) -> Result<(Architecture, Recipe), Box<dyn Error>> {
    let space = MacroSpace {
        phases: 2,
        nodes: 4,
        input: digits.shape,
        init_channels: 8,
        classes: digits.classes,
    };
    let architecture = space.decode(&"1101011-1011010".parse()?)?;
    let mut recipe = Recipe::default();
    recipe.epochs = 3;
    recipe.batch_size = 64;
    recipe.train_images = 1000;
    recipe.validation_images = 397;
    recipe.warmup_epochs = 1;
    recipe.label_smoothing = 0.1;
    recipe.drop_path = 0.1;
    recipe.augmentation = Augmentation::default();
    recipe.augmentation.crop_padding = 1;
    Ok((architecture, recipe))
}

fn train_by_burn(
    architecture: &Architecture,
    digits: &Dataset,
    recipe: &Recipe,
) -> Result<Digest, Box<dyn Error>> {
    let device = Default::default();
    let isa = Isa::best();
    let mut network = BurnNetwork::<Backend>::new(architecture, recipe.seed, &device)?;
    let mut digest = network.digest(None);
    let mini_batches = MiniBatches::new(digits, recipe)?;
    let mut optimizer = ExactSgd::<Flex>::new(recipe);
    let mut schedule = ExactSchedule::new(recipe, mini_batches.steps());
    for epoch in 1..=recipe.epochs {
        let (mut loss, mut correct, mut images) = (0.0, 0, 0);
        for batch in mini_batches.epoch(epoch, network.paths()) {
            let batch = batch?;
            let pixels = batch.images(&device);
            let logits = network.exact_training(pixels, &batch.factors, isa);
            let found = cross_entropy(logits, &batch.labels, recipe.label_smoothing);
            let gradients = GradientsParams::from_grads(found.mean.backward(), &network);
            network = optimizer.step(schedule.step(), network, gradients);
            loss += found.sum;
            correct += found.correct;
            images += batch.labels.len();
        }
        digest = network.digest(Some(digest));
        let (loss, part) = (loss / images as f64, 100.0 * correct as f64 / images as f64);
        println!("epoch {epoch}: loss {loss:.4}, {part:.1} % correct, digest {digest}");
    }
    // Inference without gradients: the logits are those that a miner computes from these weights.
    let first = mini_batches
        .epoch(1, 0)
        .next()
        .ok_or("there is no mini-batch")??;
    let logits = network.valid().exact_logits(first.images(&device), isa);
    println!("logits of the first mini-batch: {:?}", logits.dims());
    Ok(digest)
}
