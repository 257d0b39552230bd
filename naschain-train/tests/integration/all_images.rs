//! Trainings without validation images: on every training image, measured on the test images.

use std::ops::ControlFlow::{Break, Continue};

use naschain_core::{Architecture, Augmentation, MacroSpace, Recipe};
use naschain_train::{
    Checkpoint, Dataset, Error, Options, evaluate, measure_accuracy, replay_step, state_at,
    step_states, train, train_from,
};

fn architecture() -> Architecture {
    let digits = Dataset::digits();
    let space = MacroSpace {
        phases: 1,
        nodes: 3,
        input: digits.shape,
        init_channels: 4,
        classes: digits.classes,
    };
    space.decode(&"1011".parse().unwrap()).unwrap()
}

fn recipe() -> Recipe {
    let mut recipe = Recipe::default();
    (recipe.epochs, recipe.seed, recipe.batch_size) = (2, 7, 64);
    (recipe.train_images, recipe.validation_images) = (1397, 0);
    recipe.augmentation = Augmentation::default();
    recipe.augmentation.crop_padding = 1;
    recipe
}

/// Of this training in earlier versions, which ignored the recipe's numbers of images.
const DIGEST: &str = "ed9bb72fd0ade7d5fbd81cb4c17605f0c2881b447e414f68a8f6c692a6b68e49";

#[test]
fn the_digest_is_that_of_retrainings_in_earlier_versions() {
    let (digits, architecture) = (Dataset::digits(), architecture());
    let mut recipe = recipe();
    let options = Options::default();
    let trained = train(&architecture, &digits, &recipe, options, &mut |_| {
        Continue(())
    })
    .unwrap();
    let found = trained.measurement;
    assert_eq!(found.digest.to_string(), DIGEST);
    assert_eq!(found.accuracy.to_string(), "14.25");
    let weights = &trained.weights;
    let tested = evaluate(&architecture, weights, &digits, &digits.test, options).unwrap();
    let measured = measure_accuracy(&architecture, weights, &digits, &recipe, options).unwrap();
    assert_eq!((tested, measured), (found.accuracy, found.accuracy));
    // A seed of the split changes nothing, since nothing is split.
    recipe.split_seed = Some(99);
    let other = train(&architecture, &digits, &recipe, options, &mut |_| {
        Continue(())
    })
    .unwrap();
    assert_eq!(other, trained);
    recipe.train_images = 1000;
    let refused = train(&architecture, &digits, &recipe, options, &mut |_| {
        Continue(())
    });
    assert!(matches!(
        refused,
        Err(Error::ImagesLeftOut {
            train: 1000,
            available: 1397,
            ..
        })
    ));
}

#[test]
fn checkpoints_and_repeated_steps_are_those_of_any_training() {
    let (digits, architecture, recipe) = (Dataset::digits(), architecture(), recipe());
    let options = Options::default();
    let train = |stored: Option<Checkpoint>, stops: bool| {
        let mut last = None;
        let mut keep = |_: &_, checkpoint: &Checkpoint| {
            last = Some(checkpoint.clone());
            if stops { Break(()) } else { Continue(()) }
        };
        let trained = train_from(&architecture, &digits, &recipe, options, stored, &mut keep);
        (trained, last)
    };
    let (stopped, after_first) = train(None, true);
    assert!(matches!(stopped, Err(Error::Stopped { epoch: 1 })));
    let (resumed, _) = train(after_first, false);
    assert_eq!(resumed.unwrap(), train(None, false).0.unwrap());
    // 22 steps an epoch.
    let mut proceed = |_| Continue(());
    let wanted = [29, 30];
    let states = step_states(
        &architecture,
        &digits,
        &recipe,
        options,
        None,
        &wanted,
        &mut proceed,
    );
    let states = states.unwrap();
    let before = state_at(
        &architecture,
        &digits,
        &recipe,
        options,
        None,
        29,
        &mut proceed,
    );
    let before = before.unwrap();
    before
        .check_state(&architecture, &digits, &recipe, 29, states[0])
        .unwrap();
    let after = replay_step(&architecture, &digits, &recipe, options, Some(before)).unwrap();
    assert_eq!(after, states[1]);
}
