//! The programs of the project's README for naschain-train: those in Rust are here to the letter,
//! which `benches/tests/readme.rs` checks, and run; the one in Python is run as it is in README.md.

use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;

use naschain_core::{MacroSpace, Purpose, Recipe, Stream};
use naschain_train::{Dataset, Images, Model, Options, read_picture, train};

use crate::python;

#[test]
#[rustfmt::skip]
fn training_and_training_by_burn() -> Result<(), Box<dyn Error>> {
    use naschain_core::{Genome, MacroSpace, Recipe};
    use naschain_nsga::{Objective, Outcome, Search, SearchConfig};
    use naschain_train::{Dataset, Options, train};
    use std::ops::ControlFlow;

    let digits = Dataset::digits();
    let space = MacroSpace { phases: 2, nodes: 3, input: digits.shape, init_channels: 4, classes: 10 };
    let mut recipe = Recipe::default();
    recipe.epochs = 1;
    recipe.train_images = 128;
    recipe.validation_images = 100;
    let trained = |genome: &Genome| {
        let mut each_epoch = |_: &_| ControlFlow::Continue(());
        train(&space.decode(genome)?, &digits, &recipe, Options::default(), &mut each_epoch)
    };
    let objectives = vec![Objective::maximize("accuracy"), Objective::minimize("parameters")];
    let mut config = SearchConfig::new(space.genome_len(), objectives);
    (config.population, config.generations) = (4, 2);
    let mut search = Search::new(config)?;
    search.run(2, |candidate| match trained(&candidate.genome) {
        Ok(network) => {
            let measured = network.measurement;
            Outcome::objectives([measured.accuracy.percent(), measured.params as f64])
        }
        Err(error) => Outcome::Failed(error.to_string()),
    })?;
    let best = &search.front()[0].genome;
    let trained = trained(best)?;
    println!("{best}: {}, digest {}", trained.measurement.accuracy, trained.measurement.digest);

    use burn::{backend::{Autodiff, Flex}, lr_scheduler::LrScheduler, optim::{GradientsParams, Optimizer}};
    use naschain_train::burn::{BurnNetwork, ExactSchedule, ExactSgd, MiniBatches, cross_entropy};
    use naschain_train::Isa;

    let (device, isa) = (Default::default(), Isa::best());
    let architecture = space.decode(best)?;
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

/// Dark, red, green and blue pictures of 3×12×10 with noise, and their colours.
fn colours() -> Dataset {
    let mut stream = Stream::new(1, Purpose::Simulation, 0, 0);
    let mut part = |images: u16| {
        let labels: Vec<u16> = (0..images).map(|image| image % 4).collect();
        let planes = labels
            .iter()
            .flat_map(|&label| [1, 2, 3].map(|plane| plane == label));
        let pixels = planes.flat_map(|bright| {
            let base = if bright { 150 } else { 0 };
            [base; 120]
        });
        let pixels = pixels.map(|base| base + stream.below(100) as u8).collect();
        Images::new("3x12x10".parse().unwrap(), pixels, labels).unwrap()
    };
    let (train, test) = (part(400), part(40));
    let names = ["dark", "red", "green", "deep blue"].map(str::to_owned);
    let dataset = Dataset::new("colours", 4, train, test).unwrap();
    dataset.with_class_names(names.to_vec()).unwrap()
}

fn trained(dataset: &Dataset) -> Model {
    let (input, classes) = (dataset.shape, dataset.classes);
    let space = MacroSpace {
        phases: 1,
        nodes: 3,
        input,
        init_channels: 4,
        classes,
    };
    let genome = "1010".parse().unwrap();
    let mut recipe = Recipe::default();
    (recipe.epochs, recipe.batch_size, recipe.learning_rate) = (3, 16, 0.05);
    (recipe.train_images, recipe.validation_images) = (380, 10);
    recipe.augmentation = Default::default();
    let architecture = space.decode(&genome).unwrap();
    let mut proceed = |_: &_| ControlFlow::Continue(());
    let trained = train(
        &architecture,
        dataset,
        &recipe,
        Options::default(),
        &mut proceed,
    );
    Model::new(&space, &genome, dataset, &recipe, trained.unwrap()).unwrap()
}

/// A picture of one colour with noise, of another size than the network's input.
fn picture(path: &Path, colour: [u8; 3], number: u32) {
    let mut stream = Stream::new(2, Purpose::Simulation, 0, u64::from(number));
    let noise = |_, _| image::Rgb(colour.map(|base| base + stream.below(60) as u8));
    let sides = (20 + 7 * number, 31);
    image::RgbImage::from_fn(sides.0, sides.1, noise)
        .save(path)
        .unwrap();
}

#[test]
fn the_python_program_gives_the_classes_of_predict() {
    if !python::has("onnxruntime, PIL") {
        return;
    }
    let readme = include_str!("../../../README.md");
    let program = readme.split("```python").nth(1).unwrap();
    let program = program.split("```").next().unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme");
    std::fs::create_dir_all(&folder).unwrap();
    let photo = folder.join("photo.png");
    // Names of classes and three planes; numbers and one plane.
    for dataset in [colours(), Dataset::digits()] {
        let model = trained(&dataset);
        std::fs::write(folder.join("model.onnx"), model.to_onnx().unwrap()).unwrap();
        let shades = [[20; 3], [180, 20, 20], [20, 180, 20], [20, 20, 180]];
        for (number, colour) in (0..).zip(shades) {
            picture(&photo, colour, number);
            let pixels = read_picture(&photo, dataset.shape).unwrap();
            let pixels: Vec<f32> = pixels.into_iter().map(f32::from).collect();
            let logits = model.logits(&pixels, Options::default()).unwrap();
            let best = (0..dataset.classes).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
            let class = model.class_name(best.unwrap());
            if !dataset.class_names().is_empty() {
                assert_eq!(class, dataset.class_names()[number as usize]);
            }
            assert_eq!(python::run_text(program, &folder).trim(), class);
        }
    }
}
