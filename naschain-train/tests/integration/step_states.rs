//! Digests of the states after single steps: golden values, which an implementation in C and Python
//! that was written from docs/arithmetic.md (python/independent) gives too.

use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;

use naschain_core::{Architecture, MacroSpace, Purpose, Recipe, Stream};
use naschain_train::{Dataset, Images, Options, step_states, steps};

/// Two phases, of which the first convolution of the first is not applied; the second has a node that
/// reads two maps, so drop-path has something to drop.
fn architecture() -> Architecture {
    let space = MacroSpace {
        phases: 2,
        nodes: 3,
        input: "3x9x8".parse().unwrap(),
        init_channels: 3,
        classes: 10,
    };
    space.decode(&"1010-1111".parse().unwrap()).unwrap()
}

/// Three steps an epoch, of which the last has fewer images, with every option enabled.
fn recipe() -> Recipe {
    let mut recipe = Recipe::default();
    recipe.seed = 17;
    recipe.epochs = 2;
    recipe.batch_size = 35;
    recipe.train_images = 80;
    recipe.validation_images = 10;
    recipe.learning_rate = 0.05;
    recipe.augmentation.crop_padding = 1;
    recipe.augmentation.horizontal_flip = true;
    recipe.augmentation.cutout = 2;
    recipe.label_smoothing = 0.1;
    recipe.warmup_epochs = 1;
    recipe.drop_path = 0.3;
    recipe.nesterov = true;
    recipe
}

/// The images of `miner selftest --random`, which python/independent makes too.
fn dataset(architecture: &Architecture, recipe: &Recipe) -> Dataset {
    let count = recipe.train_images + recipe.validation_images;
    let mut stream = Stream::new(1, Purpose::Simulation, 0, 0);
    let shape = architecture.input;
    let pixels = (0..count * shape.len()).map(|_| stream.below(256) as u8);
    let pixels: Vec<u8> = pixels.collect();
    let labels: Vec<u16> = (0..count).map(|image| image as u16 % 10).collect();
    let train = Images::new(shape, pixels, labels).unwrap();
    let test = Images::new(shape, vec![0; shape.len()], vec![0]).unwrap();
    Dataset::new("synthetic", 10, train, test).unwrap()
}

/// A line `STEP CHAIN STATE` for each state, as python/independent/states.py prints them.
fn lines() -> Vec<String> {
    let (architecture, recipe) = (architecture(), recipe());
    let dataset = dataset(&architecture, &recipe);
    let all: Vec<u64> = (0..=steps(&recipe)).collect();
    let mut proceed = |_| ControlFlow::Continue(());
    let options = Options::default();
    let states = step_states(
        &architecture,
        &dataset,
        &recipe,
        options,
        None,
        &all,
        &mut proceed,
    );
    let states = states.unwrap().into_iter().zip(all);
    let lines = states.map(|(state, step)| format!("{step} {} {}", state.chain, state.state));
    lines.collect()
}

/// Made by python/independent/states.py, called as in the test below.
const GOLDEN: [&str; 7] = [
    "0 2c0abd448099d0c4641e4e1fdc3c9d7f1b1331cd170bd9830a2c7d07f69ba35c 178b6e3b4502c2702614f2293001aa8a0cd13f8140a4b1f617d130d76804ddb4",
    "1 2c0abd448099d0c4641e4e1fdc3c9d7f1b1331cd170bd9830a2c7d07f69ba35c c8a0ef2e85b4c573e30aa56af48138667e0345c4e099342243e3672722f8d232",
    "2 2c0abd448099d0c4641e4e1fdc3c9d7f1b1331cd170bd9830a2c7d07f69ba35c 2f1c16c6c2abe48d151e98bfe1264d1a6d225f1ef4ec1b7687c36dc9808416e7",
    "3 09ada20da17b4fbae212cdcb5349128d43b60a546d460ad185828ba08beef360 4e866920fd19d872fce763d1b501074102d2f4502438bfbe8cb8767dd413782b",
    "4 09ada20da17b4fbae212cdcb5349128d43b60a546d460ad185828ba08beef360 92efa4edc64f2a15a9b9e23cbb3c181b69c153ae2cb5fad6c1a54a40646dfc9c",
    "5 09ada20da17b4fbae212cdcb5349128d43b60a546d460ad185828ba08beef360 0318ccaf10439f3bef9e009d0cc4ebe7dcfb1b8e2930d3578035157a9c86f7b3",
    "6 24eb3143bc710fa3643e0b9f454b333892b259b41354feb507c65f0861314b1b 3870867f995678825ed00d3b5899044957893e0ce5b1f6570cc8702ba97e79d5",
];

#[test]
fn states_have_their_golden_digests() {
    assert_eq!(lines(), GOLDEN);
}

#[test]
fn an_independent_implementation_gives_the_same_digests() {
    if !crate::python::has("numpy") {
        return;
    }
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let library = dir.join("operations.so");
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../python/independent");
    let mut cc = Command::new("cc"); // rustc needs it too
    cc.args("-std=c99 -O2 -ffp-contract=off -shared -fPIC".split(' '));
    cc.args(["operations.c", "loss.c", "update.c", "-lm", "-o"]);
    let compiled = cc.arg(&library).current_dir(&sources).status();
    assert!(compiled.unwrap().success());
    let training = dir.join("training.json");
    let description = serde_json::json!({ "architecture": architecture(), "recipe": recipe() });
    std::fs::write(&training, description.to_string()).unwrap();
    let [library, training] = [&library, &training].map(|path| path.to_str().unwrap());
    let args = ["--operations", library, training];
    let printed = crate::python::run("independent/states.py", &args);
    assert_eq!(printed.lines().collect::<Vec<_>>(), GOLDEN);
}
