//! Exported models give the same logits in onnxruntime and PyTorch as here: 30 random genomes of the macro
//! space, 6 of the micro space and 6 of the mobile space, 1,000 images each.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use naschain_core::{
    Genome, MacroSpace, MicroSpace, MobileSpace, Purpose, Recipe, SearchSpace, Stream,
};
use naschain_train::{
    Dataset, Images, Model, NamedTensor, Options, Weights, probabilities, read_picture, train,
};

use crate::python;

const GENOMES: u64 = 30;
/// Those of the micro and the mobile space.
const GENES: u64 = 12;
const ALL: u64 = GENOMES + GENES;
const IMAGES: usize = 1000;

fn space(phases: usize, nodes: usize, input: &str, init_channels: usize) -> SearchSpace {
    SearchSpace::Macro(MacroSpace {
        phases,
        nodes,
        input: input.parse().unwrap(),
        init_channels,
        classes: 10,
    })
}

fn cells(blocks: usize, layers: usize, input: &str, init_channels: usize) -> SearchSpace {
    SearchSpace::Micro(MicroSpace {
        blocks,
        layers,
        input: input.parse().unwrap(),
        init_channels,
        classes: 10,
    })
}

fn stages(stages: usize, depth: usize, input: &str, init_channels: usize) -> SearchSpace {
    SearchSpace::Mobile(MobileSpace {
        stages,
        depth,
        input: input.parse().unwrap(),
        init_channels,
        classes: 10,
    })
}

/// The digits, or noise of another shape.
fn dataset(space: &SearchSpace) -> Dataset {
    let digits = Dataset::digits();
    if space.input() == digits.shape {
        return digits;
    }
    let part = |images: usize, index: u64| {
        let mut stream = Stream::new(1, Purpose::Simulation, 0, index);
        let mut below = |bound: u64, count: usize| -> Vec<u8> {
            (0..count).map(|_| stream.below(bound) as u8).collect()
        };
        let pixels = below(256, images * space.input().len());
        let labels = below(space.classes() as u64, images);
        let labels = labels.into_iter().map(u16::from).collect();
        Images::new(space.input(), pixels, labels).unwrap()
    };
    Dataset::new("noise", space.classes(), part(256, 0), part(IMAGES, 1)).unwrap()
}

/// A network after one epoch of many small steps, so that batch norm's statistics fit the data and
/// logits differ between images.
fn model(space: &SearchSpace, genome: &Genome, dataset: &Dataset) -> Model {
    let mut recipe = Recipe::default();
    recipe.epochs = 1;
    recipe.batch_size = 6;
    recipe.train_images = 240;
    recipe.validation_images = 10;
    recipe.learning_rate = 0.05;
    recipe.augmentation = Default::default();
    let architecture = space.decode(genome).unwrap();
    let mut proceed = |_: &_| ControlFlow::Continue(());
    let options = Options::default();
    let trained = train(&architecture, dataset, &recipe, options, &mut proceed).unwrap();
    Model::new(space, genome, dataset, &recipe, trained).unwrap()
}

/// The first images of training and test set, with pixels from 0 to 255.
fn pixels(dataset: &Dataset) -> Vec<f32> {
    let unit = 255.0 / f32::from(dataset.white());
    let part = |images: &Images| {
        let all: Vec<usize> = (0..images.len()).collect();
        images.pixels(&all).unwrap()
    };
    let all = [part(&dataset.train), part(&dataset.test)].concat();
    let pixels = all.into_iter().map(|pixel| f32::from(pixel) * unit);
    pixels.take(IMAGES * dataset.shape.len()).collect()
}

fn write(folder: &Path, number: u64, space: &SearchSpace, genome: &Genome) {
    let dataset = dataset(space);
    let model = model(space, genome, &dataset);
    let file = folder.join(format!("{number:02}.safetensors"));
    model.save(&file).unwrap();
    std::fs::write(file.with_extension("onnx"), model.to_onnx().unwrap()).unwrap();
    let loaded = Model::load(&file).unwrap();
    assert_eq!(Model::load(&file.with_extension("json")).unwrap(), loaded);
    let pixels = pixels(&dataset);
    let logits = loaded.logits(&pixels, Options::default()).unwrap();
    let shape = space.input();
    let tensor = |name: &str, shape: Vec<usize>, values| NamedTensor {
        name: name.to_owned(),
        shape,
        values,
    };
    let images = [IMAGES, shape.channels, shape.height, shape.width];
    let tensors = vec![
        tensor("pixels", images.to_vec(), pixels),
        tensor("logits", vec![IMAGES, space.classes()], logits),
    ];
    let stored = Weights { tensors };
    stored.save(&file.with_extension("logits")).unwrap();
}

/// All models, made once for all tests.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("export");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let spaces = [
            space(2, 4, "1x8x8", 8),
            space(3, 5, "3x11x9", 4),
            space(3, 3, "1x8x8", 4),
            // The first phase's channels already match, so its entry is not applied.
            space(2, 6, "4x9x10", 4),
        ];
        for number in 0..GENOMES {
            let space = &spaces[number as usize % spaces.len()];
            let mut stream = Stream::new(number, Purpose::Simulation, 0, 0);
            let bits = (0..space.genome_len()).map(|_| stream.chance(0.5));
            // One network has no phase.
            let genome = match number {
                0 => Genome::zeros(space.genome_len()),
                _ => Genome::from_bits(bits),
            };
            write(&folder, number, space, &genome);
        }
        let spaces = [
            cells(5, 3, "1x8x8", 4),
            cells(2, 5, "3x12x8", 5),
            stages(2, 2, "1x8x8", 6),
            stages(3, 3, "3x28x20", 3),
        ];
        for number in GENOMES..ALL {
            let space = &spaces[number as usize % spaces.len()];
            let mut stream = Stream::new(number, Purpose::Simulation, 0, 0);
            let genome = space.random_genome(&mut stream).unwrap();
            write(&folder, number, space, &genome);
        }
        folder
    })
}

fn compare_with(peer: &str) {
    if !python::has(&format!("{peer}, blake3")) {
        return;
    }
    let folder = folder().to_str().unwrap();
    let printed = python::run("check_export.py", &[peer, folder]);
    println!("{printed}");
    let checked = format!("{} models, {} images", ALL, ALL * IMAGES as u64);
    assert!(printed.contains(&checked), "{printed}");
}

#[test]
fn onnxruntime_gives_the_same_logits() {
    compare_with("onnxruntime");
}

/// Networks of the digits of all spaces in eight bits lose at most 0.5 points of test accuracy, and take at
/// most 36 % of the bytes, of the macro space 30 %.
#[test]
fn eight_bits_lose_little_in_onnxruntime() {
    if !python::has("onnxruntime, onnx") {
        return;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("int8");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let of_phases: Genome = "1101011-1010110".parse().unwrap();
    let mut stream = Stream::new(1, Purpose::Simulation, 0, 0);
    let random = |space: &SearchSpace, stream: &mut _| space.random_genome(stream).unwrap();
    let (micro, mobile) = (cells(3, 3, "1x8x8", 12), stages(2, 3, "1x8x8", 24));
    let genes = [&micro, &mobile].map(|space| random(space, &mut stream));
    let [of_cells, of_stages] = genes;
    let networks = [
        ("macro", space(2, 4, "1x8x8", 16), of_phases),
        ("micro", micro, of_cells),
        ("mobile", mobile, of_stages),
    ];
    for (name, space, genome) in networks {
        write_in_eight_bits(&folder.join(format!("{name}.onnx")), &space, &genome);
    }
    let printed = python::run("check_int8.py", &[folder.to_str().unwrap()]);
    println!("{printed}");
    assert!(printed.contains("3 models"), "{printed}");
}

/// A trained network in floats and in eight bits, and the test images.
fn write_in_eight_bits(file: &Path, space: &SearchSpace, genome: &Genome) {
    let digits = Dataset::digits();
    let mut recipe = Recipe::default();
    // Cutout would erase such small images.
    recipe.augmentation = Default::default();
    (recipe.epochs, recipe.batch_size, recipe.learning_rate) = (6, 32, 0.05);
    (recipe.train_images, recipe.validation_images) = (1200, 100);
    let architecture = space.decode(genome).unwrap();
    let mut proceed = |_: &_| ControlFlow::Continue(());
    let options = Options::default();
    let trained = train(&architecture, &digits, &recipe, options, &mut proceed).unwrap();
    let model = Model::new(space, genome, &digits, &recipe, trained).unwrap();
    std::fs::write(file, model.to_onnx().unwrap()).unwrap();
    let small = file.with_extension("int8.onnx");
    std::fs::write(small, model.to_onnx_int8(&digits).unwrap()).unwrap();
    let all: Vec<usize> = (0..digits.test.len()).collect();
    let unit = 255.0 / f32::from(digits.white());
    let pixels = digits.test.pixels(&all).unwrap();
    let tensors = vec![
        NamedTensor {
            name: "pixels".to_owned(),
            shape: vec![all.len(), 1, 8, 8],
            values: pixels.into_iter().map(|p| f32::from(p) * unit).collect(),
        },
        NamedTensor {
            name: "labels".to_owned(),
            shape: vec![all.len()],
            values: digits
                .test
                .labels()
                .iter()
                .map(|&label| f32::from(label))
                .collect(),
        },
    ];
    Weights { tensors }
        .save(&file.with_extension("images"))
        .unwrap();
}

/// Pictures of several sizes, grey and in colour, and fixtures.
fn pictures() -> Vec<PathBuf> {
    let mut stream = Stream::new(1, Purpose::Simulation, 0, 0);
    let mut paths: Vec<PathBuf> = (0..6)
        .map(|number| {
            let [width, height] = [8 + number * 7, 8 + number * number];
            let path = folder().join(format!("picture-{number}.png"));
            let mut noise = |_, _| image::Rgb([0; 3].map(|_: u8| stream.below(256) as u8));
            let colour = image::RgbImage::from_fn(width, height, &mut noise);
            let colour = image::DynamicImage::from(colour);
            if number % 2 == 0 {
                colour.to_luma8().save(&path).unwrap();
            } else {
                colour.save(&path).unwrap();
            }
            path
        })
        .collect();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data");
    let names = [
        "picture.png",
        "picture.bmp",
        "lossless.webp",
        "grey.png",
        "picture.jpg",
        "progressive.jpg",
    ];
    paths.extend(names.map(|name| fixtures.join(name)));
    paths
}

/// The example loader `python/load_model.py`, run as a command, resizes and classifies pictures like
/// `read_picture` and [`Model::logits`], and goes on after one that cannot be read.
#[test]
fn the_python_loader_classifies_pictures() {
    if !python::has("torch, blake3, PIL") {
        return;
    }
    let file = folder().join("04.safetensors");
    let model = Model::load(&file).unwrap();
    let pictures = pictures();
    let paths = pictures.iter().map(|path| path.to_str().unwrap());
    let flags = [file.to_str().unwrap(), "--json", "--top=10"];
    let args: Vec<&str> = flags.into_iter().chain(paths).collect();
    let printed = python::run("load_model.py", &args);
    let answers: serde_json::Value = serde_json::from_str(&printed).unwrap();
    for (index, picture) in pictures.iter().enumerate() {
        let pixels = read_picture(picture, model.space.input()).unwrap();
        let pixels: Vec<f32> = pixels.into_iter().map(f32::from).collect();
        let expected = probabilities(&model.logits(&pixels, Options::default()).unwrap());
        let top = answers[index]["top"].as_array().unwrap();
        assert_eq!(top.len(), 10, "{printed}");
        for guess in top {
            let class = guess["class"].as_u64().unwrap() as usize;
            let difference = guess["probability"].as_f64().unwrap() - expected[class];
            // Decoders of JPEG round differently where colours are subsampled.
            let is_jpeg = picture.extension().is_some_and(|ending| ending == "jpg");
            let limit = if is_jpeg { 1e-2 } else { 1e-3 };
            assert!(difference.abs() < limit, "{}: {guess}", picture.display());
        }
    }
    let words = folder().join("words.png");
    std::fs::write(&words, "words").unwrap();
    let args = [&file, &words, &pictures[0]].map(|path| path.to_str().unwrap());
    assert!(python::fails("load_model.py", &args).contains("words.png"));
    let help = python::run("load_model.py", &["--help"]);
    assert!(help.contains("--top"), "{help}");
    let wrong = python::fails("load_model.py", &[args[0], args[2], "--top=0"]);
    assert!(wrong.contains("--top is 0"), "{wrong}");
}

/// Both loaders refuse a model whose weights are not those of its digest, or are not numbers.
#[test]
fn changed_weights_are_refused() {
    let model = Model::load(&folder().join("04.safetensors")).unwrap();
    let with = |value: f32| {
        let mut changed = model.clone();
        changed.weights.tensors[0].values[1] = value;
        let file = folder().join("changed.safetensors");
        changed.save(&file).unwrap();
        file
    };
    // The bits of the file are those of the training.
    let before = model.weights.tensors[0].values[1];
    assert_eq!(Model::load(&with(before)).unwrap(), model);
    let cases = [
        (before + 1e-6, "have the digest"),
        (f32::NAN, "finite"),
        (f32::INFINITY, "finite"),
    ];
    for (value, problem) in cases {
        let file = with(value);
        let error = Model::load(&file).unwrap_err().to_string();
        assert!(error.contains(problem), "{value}: {error}");
        assert!(error.contains("changed.safetensors"), "{value}: {error}");
        if python::has("torch, blake3") {
            let printed = python::fails("load_model.py", &[file.to_str().unwrap(), "no image"]);
            assert!(printed.contains(problem), "{value}: {printed}");
        }
    }
    // Equal values under other names are another network.
    let mut swapped = model.clone();
    let norms: Vec<usize> = (0..swapped.weights.tensors.len())
        .filter(|&at| swapped.weights.tensors[at].name.contains("norm.running"))
        .collect();
    let names = [norms[0], norms[1]].map(|at| swapped.weights.tensors[at].name.clone());
    let [first, second] = names;
    swapped.weights.tensors[norms[0]].name = second;
    swapped.weights.tensors[norms[1]].name = first;
    let file = folder().join("changed.safetensors");
    swapped.save(&file).unwrap();
    let error = Model::load(&file).unwrap_err().to_string();
    assert!(error.contains("have the digest"), "{error}");
    for extension in ["safetensors", "json"] {
        std::fs::remove_file(file.with_extension(extension)).unwrap();
    }
}

#[test]
fn torch_gives_the_same_logits() {
    compare_with("torch");
}
