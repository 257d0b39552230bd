//! A stored model of a run, for those who try it or download it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use naschain_core::{Accuracy, Genome};
use naschain_train::{Dataset, Model, Options, png_of, probabilities};
use serde::{Deserialize, Serialize};

use crate::artifacts::models::{MODEL_FILE, folder};
use crate::files::write_whole;

/// Classes of a prediction, at most.
const MAX_CLASSES: usize = 10;
/// File of the model in eight bits, and what was measured of it.
const INT8_FILE: &str = "model.int8.onnx";
const INT8_ACCURACY_FILE: &str = "model.int8.json";

/// A format of a downloaded model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModelFormat {
    Onnx,
    Int8,
    Safetensors,
    /// The description beside a safetensors file.
    Description,
}

impl ModelFormat {
    /// The format with this ending.
    pub(crate) fn named(ending: &str) -> Option<ModelFormat> {
        Some(match ending {
            "onnx" => ModelFormat::Onnx,
            "int8.onnx" => ModelFormat::Int8,
            "safetensors" => ModelFormat::Safetensors,
            "json" => ModelFormat::Description,
            _ => return None,
        })
    }
}

/// What a network says of a picture.
#[derive(Serialize)]
pub(crate) struct PicturePrediction {
    /// The most probable first.
    pub(crate) classes: Vec<ClassProbability>,
    /// The picture as the network sees it, as a PNG file.
    #[serde(skip)]
    pub(crate) seen: Vec<u8>,
}

/// How probable a class is.
#[derive(Serialize)]
pub(crate) struct ClassProbability {
    name: String,
    probability: f64,
}

/// The accuracy of a network in eight bits, and before.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Int8Accuracy {
    before: Accuracy,
    after: Accuracy,
    images: usize,
}

/// The file of the model of a genome, if the run in `dir` has it.
pub(crate) fn stored_model(dir: &Path, genome: &Genome) -> Option<PathBuf> {
    let file = dir.join(folder(genome)).join(MODEL_FILE);
    file.is_file().then_some(file)
}

/// Classifies a picture, given as pixels from 0 to 255, plane by plane.
pub(crate) fn predicted(
    model: &Path,
    pixels: &[u8],
    options: Options,
) -> Result<PicturePrediction> {
    let model = Model::load(model)?;
    let shape = model.space.input();
    let values: Vec<f32> = pixels.iter().copied().map(f32::from).collect();
    let logits = model.logits(&values, options)?;
    let mut ranked: Vec<(usize, f64)> = probabilities(&logits).into_iter().enumerate().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    let class = |(class, probability)| ClassProbability {
        name: model.class_name(class),
        probability,
    };
    Ok(PicturePrediction {
        classes: ranked.into_iter().take(MAX_CLASSES).map(class).collect(),
        seen: png_of(pixels, shape, u8::MAX)?,
    })
}

/// The bytes of a model in a format. Those in eight bits are made once and stored.
pub(crate) fn model_bytes(
    file: &Path,
    format: ModelFormat,
    dataset: &Dataset,
    options: Options,
) -> Result<Vec<u8>> {
    let read = |file: &Path| {
        std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
    };
    match format {
        ModelFormat::Onnx => Ok(Model::load(file)?.to_onnx()?),
        ModelFormat::Int8 => {
            int8_accuracy(file, dataset, options)?;
            read(&file.with_file_name(INT8_FILE))
        }
        ModelFormat::Safetensors => read(file),
        ModelFormat::Description => read(&file.with_extension("json")),
    }
}

/// The accuracy of a model in eight bits, which is written beside it with what was measured.
pub(crate) fn int8_accuracy(
    file: &Path,
    dataset: &Dataset,
    options: Options,
) -> Result<Int8Accuracy> {
    let (written, measured) = (
        file.with_file_name(INT8_FILE),
        file.with_file_name(INT8_ACCURACY_FILE),
    );
    if let Ok(text) = std::fs::read_to_string(&measured)
        && let Ok(known) = serde_json::from_str(&text)
        && written.is_file()
    {
        return Ok(known);
    }
    let model = Model::load(file)?;
    ensure!(
        !dataset.test.is_empty(),
        "the data set has no test images to measure the model in eight bits on"
    );
    let tested = model.test_int8(dataset, options)?;
    let found = Int8Accuracy {
        before: tested.before,
        after: tested.after,
        images: tested.images,
    };
    write_whole(&written, &model.to_onnx_int8(dataset)?)?;
    write_whole(&measured, &serde_json::to_vec(&found)?)?;
    Ok(found)
}
