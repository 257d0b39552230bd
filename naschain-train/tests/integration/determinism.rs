//! Equal seeds give equal bits: in another process, with other numbers of threads, and while other
//! trainings run.

use std::ops::ControlFlow;
use std::process::Command;

use naschain_core::{Architecture, Genome, MacroSpace, Purpose, Recipe, Stream};
use naschain_train::{Dataset, Error, Isa, Options, Trained, Weights, evaluate, train};

fn architecture() -> Architecture {
    let space = MacroSpace {
        phases: 2,
        nodes: 4,
        input: "1x8x8".parse().unwrap(),
        init_channels: 8,
        classes: 10,
    };
    space.decode(&"1101011-1011010".parse().unwrap()).unwrap()
}

fn recipe() -> Recipe {
    let mut recipe = Recipe::default();
    recipe.epochs = 2;
    recipe.batch_size = 48;
    recipe.train_images = 500;
    recipe.validation_images = 397;
    recipe.learning_rate = 0.05;
    recipe.augmentation.crop_padding = 1;
    recipe.augmentation.horizontal_flip = false;
    recipe.augmentation.cutout = 2;
    recipe
}

fn trained(threads: usize) -> Trained {
    let mut options = Options::default();
    options.threads = threads;
    let mut proceed = |_: &_| ControlFlow::Continue(());
    train(
        &architecture(),
        &Dataset::digits(),
        &recipe(),
        options,
        &mut proceed,
    )
    .unwrap()
}

#[test]
fn threads_and_concurrent_trainings_do_not_change_the_result() {
    let alone = trained(1);
    assert_eq!(trained(2), alone);
    assert_eq!(trained(4), alone);
    let together: Vec<_> = (0..3).map(|_| std::thread::spawn(|| trained(1))).collect();
    for other in together {
        assert_eq!(other.join().unwrap(), alone);
    }
}

/// Helper process of [`another_process_gives_the_same_digest`]: prints the digest.
#[test]
fn digest_for_another_process() {
    println!("digest={}", trained(1).measurement.digest);
}

#[test]
fn another_process_gives_the_same_digest() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "determinism::digest_for_another_process",
            "--nocapture",
        ])
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let digest = printed.split("digest=").nth(1).unwrap();
    assert_eq!(digest[..64], trained(1).measurement.digest.to_string());
}

#[test]
fn seeds_and_recipes_change_the_digest() {
    let digest = |change: fn(&mut Recipe)| {
        let mut recipe = recipe();
        recipe.epochs = 1;
        change(&mut recipe);
        let mut proceed = |_: &_| ControlFlow::Continue(());
        let digits = Dataset::digits();
        train(
            &architecture(),
            &digits,
            &recipe,
            Options::default(),
            &mut proceed,
        )
        .unwrap()
        .measurement
        .digest
    };
    let base = digest(|_| {});
    assert_ne!(base, digest(|recipe| recipe.seed = 2));
    assert_ne!(base, digest(|recipe| recipe.weight_decay = 0.0));
    assert_ne!(base, digest(|recipe| recipe.augmentation.cutout = 0));
}

#[test]
fn stored_weights_give_the_same_accuracy() {
    let trained = trained(1);
    let digits = Dataset::digits();
    let path = std::env::temp_dir().join(format!("naschain-weights-{}", std::process::id()));
    trained.weights.save(&path).unwrap();
    let loaded = Weights::load(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let test = |weights: &Weights| {
        let options = Options::default();
        evaluate(&architecture(), weights, &digits, &digits.test, options)
    };
    assert_eq!(test(&loaded).unwrap(), test(&trained.weights).unwrap());

    let mut missing = loaded.clone();
    let name = missing.tensors.remove(3).name;
    let error = test(&missing).unwrap_err().to_string();
    assert!(error.ends_with(&format!("{name} is missing")), "{error}");
    let mut extra = loaded.clone();
    extra.tensors[0].name = "other".to_owned();
    assert!(matches!(test(&extra), Err(Error::Weights { .. })));
}

#[test]
fn stopping_divergence_and_mismatched_data_are_errors() {
    let digits = Dataset::digits();
    let run = |recipe: &Recipe, proceed: bool| {
        let mut on_epoch = |_: &_| {
            if proceed {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        };
        train(
            &architecture(),
            &digits,
            recipe,
            Options::default(),
            &mut on_epoch,
        )
    };
    assert!(matches!(
        run(&recipe(), false),
        Err(Error::Stopped { epoch: 1 })
    ));
    let mut wild = recipe();
    wild.learning_rate = 100.0;
    wild.weight_decay = 1.0;
    wild.epochs = 30;
    assert!(matches!(run(&wild, true), Err(Error::Diverged { .. })));
    // ReLU hides these non-finite values from the loss.
    let mut hidden = wild;
    hidden.epochs = 3;
    hidden.batch_size = 700;
    hidden.train_images = 1000;
    let error = run(&hidden, true).unwrap_err().to_string();
    assert!(
        error.starts_with("the training diverged: a value of "),
        "{error}"
    );
    let mut greedy = recipe();
    greedy.train_images = 2000;
    assert!(matches!(
        run(&greedy, true),
        Err(Error::TooFewImages { .. })
    ));
    let mut other = architecture();
    other.classes = 11;
    let mut proceed = |_: &_| ControlFlow::Continue(());
    let result = train(&other, &digits, &recipe(), Options::default(), &mut proceed);
    assert!(matches!(result, Err(Error::DataMismatch { .. })));
}

/// Ten random genomes, fifty steps each, with every instruction set that this processor has.
#[test]
fn instruction_sets_and_threads_do_not_change_ten_random_networks() {
    let digits = Dataset::digits();
    for seed in 0..10 {
        let mut stream = Stream::new(seed, Purpose::Simulation, 0, 50);
        let space = MacroSpace {
            phases: 1 + stream.index(3),
            nodes: 2 + stream.index(3),
            input: digits.shape,
            init_channels: 1 + stream.index(20),
            classes: 10,
        };
        let bits: Vec<bool> = (0..space.genome_len())
            .map(|_| stream.below(3) > 0)
            .collect();
        let architecture = space.decode(&Genome::from_bits(bits)).unwrap();
        let mut recipe = recipe();
        recipe.seed = seed;
        recipe.epochs = 2;
        recipe.batch_size = 4;
        recipe.train_images = 100;
        recipe.validation_images = 50;
        let digest = |options: Options| {
            let mut proceed = |_: &_| ControlFlow::Continue(());
            let trained = train(&architecture, &digits, &recipe, options, &mut proceed).unwrap();
            trained.measurement.digest
        };
        let alone = digest(Options::default());
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            // The portable kernels are slow, so they run only once.
            let threads = if isa == Isa::Portable {
                &[3][..]
            } else {
                &[1, 2, 4]
            };
            for &threads in threads {
                let mut options = Options::default();
                (options.isa, options.threads) = (Some(isa), threads);
                let other = digest(options);
                assert_eq!(other, alone, "seed {seed}, {isa:?}, {threads} threads");
            }
        }
    }
}
