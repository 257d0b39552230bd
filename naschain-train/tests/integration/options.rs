//! The recipe's options: each changes the training, and determinism holds with all of them.

use std::ops::ControlFlow;

use naschain_core::{Augmentation, Digest, MacroSpace, Recipe};
use naschain_train::{Dataset, Options, train};

/// Nodes and outputs join several maps.
const JOINED: &str = "1101111-1011011";
/// Two phases of four nodes in a chain, without joins.
const CHAIN: &str = "1010010-1010010";

fn recipe() -> Recipe {
    let mut recipe = Recipe::default();
    recipe.epochs = 2;
    recipe.batch_size = 32;
    recipe.train_images = 128;
    recipe.validation_images = 100;
    recipe.learning_rate = 0.05;
    recipe.augmentation = Augmentation::default();
    recipe
}

fn digest(genome: &str, threads: usize, change: fn(&mut Recipe)) -> Digest {
    let digits = Dataset::digits();
    let space = MacroSpace {
        phases: 2,
        nodes: 4,
        input: digits.shape,
        init_channels: 4,
        classes: digits.classes,
    };
    let architecture = space.decode(&genome.parse().unwrap()).unwrap();
    let mut recipe = recipe();
    change(&mut recipe);
    let mut options = Options::default();
    options.threads = threads;
    let mut proceed = |_: &_| ControlFlow::Continue(());
    let trained = train(&architecture, &digits, &recipe, options, &mut proceed).unwrap();
    trained.measurement.digest
}

#[test]
fn each_option_changes_the_training() {
    let mut found = vec![
        digest(JOINED, 1, |_| {}),
        digest(JOINED, 1, |recipe| recipe.label_smoothing = 0.1),
        digest(JOINED, 1, |recipe| recipe.warmup_epochs = 1),
        digest(JOINED, 1, |recipe| recipe.drop_path = 0.2),
        digest(JOINED, 1, |recipe| recipe.nesterov = true),
    ];
    found.sort_by_key(Digest::to_string);
    found.dedup();
    assert_eq!(found.len(), 5);
}

#[test]
fn drop_path_does_nothing_without_joins() {
    let dropping = digest(CHAIN, 1, |recipe| recipe.drop_path = 0.5);
    assert_eq!(dropping, digest(CHAIN, 1, |_| {}));
}

#[test]
fn threads_do_not_change_the_result_with_all_options() {
    let all = |recipe: &mut Recipe| {
        recipe.label_smoothing = 0.1;
        recipe.warmup_epochs = 1;
        recipe.drop_path = 0.2;
        recipe.nesterov = true;
    };
    assert_eq!(digest(JOINED, 1, all), digest(JOINED, 3, all));
}
