//! Trains a network and writes its initial weights, all input images and the losses, so that
//! `python/check_training.py` can repeat the training in PyTorch:
//!
//!     cargo run --release --example dump_training -- trace.safetensors digits

use std::error::Error;
use std::path::Path;

use naschain_core::{MacroSpace, Recipe, Shape};
use naschain_train::{Batch, DataName, Dataset, NamedTensor, Options, Weights, trace};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(file), Some(name)) = (args.next(), args.next()) else {
        return Err("usage: dump_training FILE digits|fashion-mnist|cifar10 [DATA_DIR]".into());
    };
    let data_dir = args.next();
    let dataset = Dataset::load(&name.parse()?, data_dir.as_deref().map(Path::new))?;
    println!("{}", dump(Path::new(&file), name.parse()?, &dataset)?);
    Ok(())
}

/// Trains, writes `file` and a JSON description beside it, and returns a summary.
pub(crate) fn dump(
    file: &Path,
    name: DataName,
    dataset: &Dataset,
) -> Result<String, Box<dyn Error>> {
    let (space, genome, recipe) = preset(name, dataset);
    let architecture = space.decode(&genome.parse()?)?;
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
        tensors.extend(stored(name, batch, space.input));
    }
    Weights { tensors }.save(file)?;
    Ok(format!("{steps} steps, accuracy {accuracy} %"))
}

/// A small network and the default recipe, adapted for the digits' 64 pixels.
fn preset(name: DataName, dataset: &Dataset) -> (MacroSpace, &'static str, Recipe) {
    let space = MacroSpace {
        phases: 2,
        nodes: 4,
        input: dataset.shape,
        init_channels: 8,
        classes: dataset.classes,
    };
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
    (space, "1101011-1011010", recipe)
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
