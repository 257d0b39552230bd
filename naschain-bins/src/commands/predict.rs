//! `genomaster predict`: classifies images.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use naschain_train::{Model, pictures_in, probabilities, read_picture};
use serde::Serialize;

use crate::artifacts::models::{MODEL_FILE, Member, RETRAINED_FILE};
use crate::cli::genome_args::GenomeArgs;
use crate::cli::program::print;
use crate::cli::run_args::DeviceArgs;
use crate::printable::printable;

/// How many images are read and classified at a time.
const AT_ONCE: usize = 256;

/// Flags of the command.
#[derive(Args, Debug)]
pub struct PredictArgs {
    /// Model: a safetensors file, the JSON description beside it, a folder of a run's models, or
    /// the folder of a run, of which --genome chooses a network
    model: PathBuf,
    #[command(flatten)]
    genome: GenomeArgs,
    /// With a folder, use the model of `genomaster retrain` instead of that of the search
    #[arg(long)]
    retrained: bool,
    /// PNG, JPEG, WebP, GIF or BMP files, and folders of them; each is cropped around its centre and
    /// resized to the input of the model. One that cannot be read is reported, and the exit code is
    /// then 2
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
struct Prediction {
    image: PathBuf,
    #[serde(flatten)]
    answer: Reading,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Reading {
    Classes {
        #[serde(flatten)]
        best: Guess,
        top: Vec<Guess>,
    },
    Unreadable {
        error: String,
    },
}

#[derive(Clone, Serialize)]
struct Guess {
    /// Index of the model's output, from 0.
    class: usize,
    name: String,
    probability: f64,
}

/// Prints the classes of every image that can be read, and fails if another cannot.
pub fn predict(args: &PredictArgs) -> Result<()> {
    let options = args.device.options();
    options.device.check()?;
    let file = model_file(args)?;
    let model = Model::load(&file)?;
    let images = images(&args.images)?;
    let mut predictions = Vec::new();
    // The pixels of all pictures of a folder might not fit into memory.
    for part in images.chunks(AT_ONCE) {
        predictions.extend(predicted(&model, part, args)?);
    }
    if args.json {
        print(&(serde_json::to_string_pretty(&predictions)? + "\n"))?;
    } else {
        print(&predictions.iter().filter_map(line).collect::<String>())?;
    }
    let errors = predictions.iter().filter_map(|one| match &one.answer {
        Reading::Unreadable { error } => Some(error.as_str()),
        Reading::Classes { .. } => None,
    });
    let errors: Vec<&str> = errors.collect();
    ensure!(
        errors.is_empty(),
        "{} of {} images cannot be read:\n  {}",
        errors.len(),
        predictions.len(),
        errors.join("\n  ")
    );
    Ok(())
}

/// The files that the arguments name: of a folder all pictures in it.
fn images(named: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut images = Vec::new();
    for path in named {
        if path.is_dir() {
            images.extend(pictures_in(path)?);
        } else {
            images.push(path.clone());
        }
    }
    Ok(images)
}

fn predicted(model: &Model, images: &[PathBuf], args: &PredictArgs) -> Result<Vec<Prediction>> {
    let (shape, classes) = (model.space.input(), model.space.classes());
    let mut read = Vec::new();
    let mut pixels = Vec::new();
    for image in images {
        read.push(match read_picture(image, shape) {
            Ok(bytes) => {
                pixels.extend(bytes.into_iter().map(f32::from));
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        });
    }
    let logits = if pixels.is_empty() {
        Vec::new()
    } else {
        model.logits(&pixels, args.device.options())?
    };
    let mut rows = logits.chunks_exact(classes);
    let answered = images.iter().zip(read).map(|(image, read)| {
        let answer = match read {
            Err(error) => Reading::Unreadable { error },
            Ok(()) => {
                let row = rows
                    .next()
                    .context("the model returned fewer results than there are images")?;
                let top = guesses(model, row, usize::from(args.top));
                let best = top[0].clone();
                Reading::Classes { best, top }
            }
        };
        let image = image.clone();
        Ok(Prediction { image, answer })
    });
    answered.collect()
}

/// The file of the model that the arguments name.
fn model_file(args: &PredictArgs) -> Result<PathBuf> {
    let model = &args.model;
    if !model.is_dir() {
        check_is_model(model)?;
        ensure!(
            !args.retrained && args.genome.max_params.is_none(),
            "--retrained and --max-params choose among the models of a run; {} is one model",
            model.display()
        );
        return Ok(model.clone());
    }
    if !model.join("run.json").is_file() {
        let name = if args.retrained {
            RETRAINED_FILE
        } else {
            MODEL_FILE
        };
        let file = model.join(name);
        ensure!(
            file.is_file(),
            "{} is neither the folder of a run nor one of its models: it has no run.json and no {name}; the model comes before the images: genomaster predict MODEL IMAGE...",
            model.display()
        );
        return Ok(file);
    }
    let member = Member::find(&args.model, &args.genome.choose(&args.model)?)?;
    if args.retrained {
        return member.retrained();
    }
    if member.retrained().is_ok() {
        tracing::info!("the network was retrained; --retrained uses that model");
    }
    Ok(member.path(MODEL_FILE))
}

/// Refuses files that are no model, and says what is right.
fn check_is_model(file: &Path) -> Result<()> {
    let ending = file.extension().and_then(|ending| ending.to_str());
    let ending = ending.unwrap_or_default().to_ascii_lowercase();
    let shown = file.display();
    ensure!(
        file.exists(),
        "there is no model {shown}; give the folder of a run, such as runs/digits-seed1, or a safetensors file of `genomaster export`"
    );
    ensure!(
        ending != "onnx",
        "{shown} is an ONNX file, which other programs run (README.md shows onnxruntime); predict reads the folder of the run, or the safetensors file that `genomaster export RUN --out model.safetensors` writes"
    );
    let picture = ["png", "jpg", "jpeg", "webp", "gif", "bmp"];
    ensure!(
        !picture.contains(&ending.as_str()),
        "{shown} is a picture; the model comes before the images: genomaster predict MODEL {shown}"
    );
    Ok(())
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

/// The line of an image; an error is printed at the end instead.
fn line(prediction: &Prediction) -> Option<String> {
    let Reading::Classes { top, .. } = &prediction.answer else {
        return None;
    };
    // Class names are the model author's.
    let guess = |guess: &Guess| {
        let name = printable(&guess.name);
        format!("{name} {:.2} %", guess.probability * 100.0)
    };
    let top: Vec<String> = top.iter().map(guess).collect();
    let image = prediction.image.display().to_string();
    Some(format!("{}: {}\n", printable(&image), top.join(", ")))
}
