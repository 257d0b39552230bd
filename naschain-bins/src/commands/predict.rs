//! `genomaster predict`: classifies images.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use naschain_train::{Model, probabilities, read_picture};
use serde::Serialize;

use crate::artifacts::models::{MODEL_FILE, Member};
use crate::cli::genome_args::GenomeArgs;
use crate::cli::printable::printable;
use crate::cli::run_args::DeviceArgs;

/// Flags of the command.
#[derive(Args, Debug)]
pub struct PredictArgs {
    /// Model: a safetensors file, the JSON description beside it, a folder of a run's models, or
    /// the folder of a run, of which --genome chooses a network
    model: PathBuf,
    #[command(flatten)]
    genome: GenomeArgs,
    /// PNG or JPEG files; each is cropped around its centre and resized to the input of the model
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Number of classes to print for each image, most probable first
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    top: u16,
    /// Print a JSON array with one object per image
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Serialize)]
struct Prediction<'a> {
    image: &'a PathBuf,
    #[serde(flatten)]
    best: Guess,
    top: Vec<Guess>,
}

#[derive(Clone, Serialize)]
struct Guess {
    /// Index of the model's output, from 0.
    class: usize,
    name: String,
    probability: f64,
}

/// Returns what the command prints.
pub fn predict(args: &PredictArgs) -> Result<String> {
    let options = args.device.options();
    options.device.check()?;
    let file = model_file(args)?;
    let model = Model::load(&file)?;
    let mut pixels = Vec::new();
    for image in &args.images {
        let bytes = read_picture(image, model.architecture.input)?;
        pixels.extend(bytes.into_iter().map(f32::from));
    }
    let logits = model.logits(&pixels, options)?;
    let rows = logits.chunks_exact(model.architecture.classes);
    let predictions = args.images.iter().zip(rows).map(|(image, logits)| {
        let top = guesses(&model, logits, usize::from(args.top));
        Prediction {
            image,
            best: top[0].clone(),
            top,
        }
    });
    let predictions: Vec<Prediction> = predictions.collect();
    if args.json {
        Ok(serde_json::to_string_pretty(&predictions)? + "\n")
    } else {
        Ok(predictions.iter().map(line).collect())
    }
}

/// The file of the model that the arguments name.
fn model_file(args: &PredictArgs) -> Result<PathBuf> {
    if !args.model.is_dir() {
        return Ok(args.model.clone());
    }
    if !args.model.join("run.json").is_file() {
        return Ok(args.model.join(MODEL_FILE));
    }
    let member = Member::find(&args.model, &args.genome.choose(&args.model)?)?;
    Ok(member.path(MODEL_FILE))
}

/// The `count` most probable classes; among equal ones, lower indices first.
fn guesses(model: &Model, logits: &[f32], count: usize) -> Vec<Guess> {
    let mut ranked: Vec<(usize, f64)> = probabilities(logits).into_iter().enumerate().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    let guess = |(class, probability)| Guess {
        class,
        name: model.class_name(class),
        probability,
    };
    ranked.into_iter().take(count).map(guess).collect()
}

fn line(prediction: &Prediction) -> String {
    // Class names are the model author's.
    let guess = |guess: &Guess| {
        let name = printable(&guess.name);
        format!("{name} {:.2} %", guess.probability * 100.0)
    };
    let top: Vec<String> = prediction.top.iter().map(guess).collect();
    let image = prediction.image.display().to_string();
    format!("{}: {}\n", printable(&image), top.join(", "))
}
