//! Reading of and training on real data sets, if their files are found.

use std::io::{Write, stderr};
use std::ops::ControlFlow;

use naschain_core::{Augmentation, MacroSpace, Recipe};
use naschain_train::{DataName, Dataset, Epoch, Error, Images, Options, train};

/// The data set, or `None` and a message on standard error if its files are not found.
fn found(name: DataName) -> Option<Dataset> {
    match Dataset::load(&name, None) {
        Ok(dataset) => Some(dataset),
        Err(error @ Error::DataNotFound { .. }) => {
            // Bypasses the test harness, which hides the output of passing tests.
            let skipped = format!("SKIPPED the test on {name}: {error}\n");
            stderr().write_all(skipped.as_bytes()).unwrap();
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Number of images per class.
fn counts(images: &Images) -> Vec<usize> {
    let mut counts = vec![0; 10];
    for &label in images.labels() {
        counts[usize::from(label)] += 1;
    }
    counts
}

/// Asserts that a tiny network's loss falls from the first to the second epoch of sixteen steps.
fn learns(dataset: &Dataset) {
    let space = MacroSpace {
        phases: 2,
        nodes: 3,
        input: dataset.shape,
        init_channels: 4,
        classes: dataset.classes,
    };
    let architecture = space.decode(&"1010-1010".parse().unwrap()).unwrap();
    let mut recipe = Recipe::default();
    recipe.epochs = 2;
    recipe.batch_size = 16;
    recipe.learning_rate = 0.1;
    recipe.train_images = 256;
    recipe.validation_images = 100;
    recipe.augmentation = Augmentation::default();
    let mut losses = Vec::new();
    let mut note = |epoch: &Epoch| {
        losses.push(epoch.loss);
        ControlFlow::Continue(())
    };
    let options = Options::default();
    train(&architecture, dataset, &recipe, options, &mut note).unwrap();
    assert!(losses[1] < losses[0], "{losses:?}");
}

#[test]
fn fashion_mnist() {
    let Some(dataset) = found(DataName::FashionMnist) else {
        return;
    };
    assert_eq!(dataset.shape.to_string(), "1x28x28");
    assert_eq!(counts(&dataset.train), [6000; 10]);
    assert_eq!(counts(&dataset.test), [1000; 10]);
    learns(&dataset);
}

#[test]
fn cifar10() {
    let Some(dataset) = found(DataName::Cifar10) else {
        return;
    };
    assert_eq!(dataset.shape.to_string(), "3x32x32");
    for part in [&dataset.train, &dataset.test] {
        // A part of the data set is accepted; the whole is balanced.
        let counts = counts(part);
        assert!(counts.iter().all(|&count| count > 0), "{counts:?}");
    }
    if dataset.train.len() == 50_000 {
        assert_eq!(counts(&dataset.train), [5000; 10]);
        assert_eq!(counts(&dataset.test), [1000; 10]);
    }
    learns(&dataset);
}
