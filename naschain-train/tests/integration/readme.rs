//! The programs of the project's README for naschain-train: they are here to the letter, which
//! `benches/tests/readme.rs` checks, and run.

use std::error::Error;

#[test]
#[rustfmt::skip]
fn training_and_training_by_burn() -> Result<(), Box<dyn Error>> {
    use naschain_core::{MacroSpace, Recipe};
    use naschain_train::{Dataset, Options, train};
    use std::ops::ControlFlow;

    let digits = Dataset::digits();
    let space = MacroSpace { phases: 2, nodes: 3, input: digits.shape, init_channels: 4, classes: 10 };
    let mut recipe = Recipe::default();
    recipe.epochs = 1;
    recipe.train_images = 128;
    recipe.validation_images = 100;
    let architecture = space.decode(&"1010-1010".parse()?)?;
    let trained = train(&architecture, &digits, &recipe, Options::default(), &mut |epoch| {
        println!("epoch {}: loss {:.3}", epoch.number, epoch.loss);
        ControlFlow::Continue(())
    })?;
    println!("{} with digest {}", trained.measurement.accuracy, trained.measurement.digest);

    use burn::{backend::{Autodiff, Flex}, lr_scheduler::LrScheduler, optim::{GradientsParams, Optimizer}};
    use naschain_train::burn::{BurnNetwork, ExactSchedule, ExactSgd, MiniBatches, cross_entropy};
    use naschain_train::Isa;

    let (device, isa) = (Default::default(), Isa::best());
    let mut network = BurnNetwork::<Autodiff<Flex>>::new(&architecture, recipe.seed, &device)?;
    let mut digest = network.digest(None);
    let mini_batches = MiniBatches::new(&digits, &recipe)?;
    let mut optimizer = ExactSgd::<Flex>::new(&recipe);
    let mut schedule = ExactSchedule::new(&recipe, mini_batches.steps());
    for epoch in 1..=recipe.epochs {
        for batch in mini_batches.epoch(epoch, network.paths()) {
            let batch = batch?;
            let logits = network.exact_training(batch.images(&device), &batch.factors, isa);
            let loss = cross_entropy(logits, &batch.labels, recipe.label_smoothing);
            let gradients = GradientsParams::from_grads(loss.mean.backward(), &network);
            network = optimizer.step(schedule.step(), network, gradients);
        }
        digest = network.digest(Some(digest));
    }
    assert_eq!(digest, trained.measurement.digest);
    Ok(())
}
