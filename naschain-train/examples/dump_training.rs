//! Trains a network and writes its initial weights, all input images and the losses, so that
//! `python/check_training.py` can repeat the training in PyTorch:
//!
//!     cargo run --release --example dump_training -- trace.safetensors digits [macro|micro|mobile]

use std::error::Error;
use std::path::Path;

use naschain_core::{
    Augmentation, GeneSpace, Genome, MacroSpace, MicroSpace, MobileSpace, Purpose, Recipe,
    SearchSpace, Shape, Stream,
};
use naschain_train::{Batch, DataName, Dataset, Images, NamedTensor, Options, Weights, trace};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(file), Some(name)) = (args.next(), args.next()) else {
        return Err(
            "usage: dump_training FILE digits|fashion-mnist|cifar10 [macro|micro|mobile [DATA_DIR]]"
                .into(),
        );
    };
    let (space, data_dir) = (args.next(), args.next());
    let dataset = Dataset::load(&name.parse()?, data_dir.as_deref().map(Path::new))?;
    println!(
        "{}",
        dump(Path::new(&file), name.parse()?, space.as_deref(), &dataset)?
    );
    Ok(())
}

/// Trains, writes `file` and a JSON description beside it, and returns a summary.
pub(crate) fn dump(
    file: &Path,
    name: DataName,
    space: Option<&str>,
    dataset: &Dataset,
) -> Result<String, Box<dyn Error>> {
    let mut recipe = recipe(name);
    let with_noise;
    let dataset = match space {
        Some("micro" | "mobile") => {
            // Rounding decides which of equal values max pooling selects, and which side of a jump a gradient is
            // on: noise makes equal values rare, and a low learning rate keeps differences small.
            recipe.augmentation = Augmentation::default();
            recipe.learning_rate = 0.01;
            recipe.warmup_epochs = 4;
            with_noise = noisy(dataset)?;
            &with_noise
        }
        _ => dataset,
    };
    let (space, genome) = match space {
        Some("micro") => cells(dataset)?,
        Some("mobile") => stages(dataset)?,
        _ => phases(dataset)?,
    };
    let architecture = space.decode(&genome)?;
    let trace = trace(&architecture, dataset, &recipe, Options::default())?;
    let (steps, accuracy) = (trace.losses.len(), trace.trained.measurement.accuracy);
    let description = serde_json::json!({
        "architecture": architecture,
        "recipe": recipe,
        "losses": trace.losses,
        "accuracy": accuracy,
    });
    std::fs::write(file.with_extension("json"), description.to_string())?;
    let mut tensors = trace.initial.tensors;
    for (name, batch) in [("inputs", trace.inputs), ("evaluated", trace.evaluated)] {
        tensors.extend(stored(name, batch, space.input()));
    }
    Weights { tensors }.save(file)?;
    Ok(format!("{steps} steps, accuracy {accuracy} %"))
}

/// The same images with noise, so that adjacent pixels differ.
fn noisy(dataset: &Dataset) -> Result<Dataset, Box<dyn Error>> {
    let mut stream = Stream::new(1, Purpose::Simulation, 0, 0);
    let mut part = |images: &Images| {
        let all: Vec<usize> = (0..images.len()).collect();
        let mut pixels = images.pixels(&all)?;
        let white = u32::from(dataset.white());
        for pixel in &mut pixels {
            *pixel = (u32::from(*pixel) * 191 / white) as u8 + stream.below(64) as u8;
        }
        Images::new(dataset.shape, pixels, images.labels().to_vec())
    };
    let (train, test) = (part(&dataset.train)?, part(&dataset.test)?);
    Ok(Dataset::new("noisy", dataset.classes, train, test)?)
}

/// A small network of the macro space.
fn phases(dataset: &Dataset) -> Result<(SearchSpace, Genome), Box<dyn Error>> {
    let space = MacroSpace {
        phases: 2,
        nodes: 4,
        input: dataset.shape,
        init_channels: 8,
        classes: dataset.classes,
    };
    Ok((space.into(), "1101011-1011010".parse()?))
}

/// A network of the micro space with all of its operations.
fn cells(dataset: &Dataset) -> Result<(SearchSpace, Genome), Box<dyn Error>> {
    let space = MicroSpace {
        blocks: 5,
        layers: 3,
        input: dataset.shape,
        init_channels: 4,
        classes: dataset.classes,
    };
    let genes = [0, 0, 3, 1, 1, 1, 4, 0, 5, 0, 2, 1, 6, 2, 7, 1, 8, 0, 3, 3];
    let genome = space.genome_of(&genes.repeat(2))?;
    Ok((space.into(), genome))
}

/// A network of the mobile space with all of its layers.
fn stages(dataset: &Dataset) -> Result<(SearchSpace, Genome), Box<dyn Error>> {
    let space = MobileSpace {
        stages: 2,
        depth: 2,
        input: dataset.shape,
        init_channels: 8,
        classes: dataset.classes,
    };
    // Two blocks each, one stage with squeeze-and-excitation; a smaller image.
    let genes = [1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1];
    let genome = space.genome_of(&genes)?;
    Ok((space.into(), genome))
}

/// The default recipe, adapted for the digits' 64 pixels.
fn recipe(name: DataName) -> Recipe {
    let mut recipe = Recipe::default();
    if name == DataName::Digits {
        recipe.epochs = 24;
        recipe.batch_size = 32;
        recipe.train_images = 1000;
        recipe.validation_images = 397;
        recipe.augmentation.crop_padding = 1;
        recipe.augmentation.horizontal_flip = false;
        recipe.augmentation.cutout = 2;
    } else {
        recipe.epochs = 5;
        recipe.train_images = 4000;
        recipe.validation_images = 1000;
    }
    recipe
}

fn stored(name: &str, batch: Batch, shape: Shape) -> [NamedTensor; 2] {
    let images = batch.labels.len();
    let tensor = |part: &str, shape: Vec<usize>, values: Vec<f32>| NamedTensor {
        name: format!("{name}.{part}"),
        shape,
        values,
    };
    let sizes = vec![images, shape.channels, shape.height, shape.width];
    let labels = batch.labels.into_iter().map(f32::from).collect();
    [
        tensor("pixels", sizes, batch.pixels),
        tensor("labels", vec![images], labels),
    ]
}
