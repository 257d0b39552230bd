//! A trained network with all that is needed to use it elsewhere.

use std::path::Path;

use naschain_core::{Accuracy, Architecture, Digest, Genome, MacroSpace, Recipe};
use serde::{Deserialize, Serialize};

use crate::backend::Options;
use crate::evaluation::logits;
use crate::weights::{metadata, write_safetensors};
use crate::{Dataset, Error, Trained, Weights, onnx};

/// The one format of model files so far.
const FORMAT: u32 = 1;
/// Where a safetensors file's own metadata holds the description.
const METADATA_KEY: &str = "naschain";

/// A trained network: its weights and, as JSON, everything that another program needs to rebuild
/// and feed it.
///
/// ```
/// use std::ops::ControlFlow;
/// use naschain_core::{MacroSpace, Recipe};
/// use naschain_train::{Dataset, Model, Options, probabilities, train};
///
/// let digits = Dataset::digits();
/// let space = MacroSpace {
///     phases: 1,
///     nodes: 2,
///     input: digits.shape,
///     init_channels: 4,
///     classes: digits.classes,
/// };
/// let recipe = Recipe { epochs: 1, train_images: 64, validation_images: 64, ..Recipe::default() };
/// let genome = "10".parse()?;
/// let mut proceed = |_: &_| ControlFlow::Continue(());
/// let trained = train(&space.decode(&genome)?, &digits, &recipe, Options::default(), &mut proceed)?;
/// let model = Model::new(&space, &genome, &digits, &recipe, trained)?;
///
/// let file = std::env::temp_dir().join("naschain-doc-model.safetensors");
/// model.save(&file)?;
/// let grey_image = [128.0; 64];
/// let logits = Model::load(&file)?.logits(&grey_image, Options::default())?;
/// assert!((probabilities(&logits).iter().sum::<f64>() - 1.0).abs() < 1e-9);
/// # std::fs::remove_file(file.with_extension("json")).unwrap();
/// # std::fs::remove_file(file).unwrap();
/// # Ok::<(), naschain_train::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    format: u32,
    /// The genome.
    pub genome: Genome,
    /// The space that the genome is of.
    pub space: MacroSpace,
    /// The network that it stands for.
    pub architecture: Architecture,
    /// What is done to pixels before the network sees them.
    pub normalisation: Scaling,
    /// The classes' names in the order of the outputs; empty where they are just numbers.
    pub class_names: Vec<String>,
    /// The name of the data set that it was trained on.
    pub data: String,
    /// That data set's content digest.
    pub data_digest: Digest,
    /// How it was trained.
    pub recipe: Recipe,
    /// The training digest.
    pub digest: Digest,
    /// The accuracy on the test images in percent, where it was measured.
    pub test_accuracy: Option<Accuracy>,
    /// The tensors.
    #[serde(skip)]
    pub weights: Weights,
}

/// What is done to pixels from 0 (black) to 255 (white) before a network sees them: in each colour
/// plane, the mean is subtracted and the difference divided by the deviation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scaling {
    /// One mean a plane.
    pub mean: Vec<f64>,
    /// One standard deviation a plane.
    pub deviation: Vec<f64>,
}

impl Model {
    /// Puts together what [`crate::train`] gave and what it was given.
    ///
    /// # Errors
    /// [`Error::Core`] when genome and space do not fit.
    pub fn new(
        space: &MacroSpace,
        genome: &Genome,
        dataset: &Dataset,
        recipe: &Recipe,
        trained: Trained,
    ) -> Result<Model, Error> {
        Ok(Model {
            format: FORMAT,
            genome: genome.clone(),
            space: space.clone(),
            architecture: space.decode(genome)?,
            normalisation: Scaling::new(dataset),
            class_names: dataset.class_names().to_vec(),
            data: dataset.name.clone(),
            data_digest: dataset.digest(),
            recipe: recipe.clone(),
            digest: trained.measurement.digest,
            test_accuracy: None,
            weights: trained.weights,
        })
    }

    /// Writes a safetensors file, whose own metadata holds the description under `naschain`, and
    /// the same description beside it with the extension `json`. Equal models give equal files.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let wrong = |error: serde_json::Error| Error::Weights {
            problem: error.to_string(),
        };
        let compact = serde_json::to_string(self).map_err(wrong)?;
        let pretty = serde_json::to_string_pretty(self).map_err(wrong)? + "\n";
        write_whole(&path.with_extension("json"), pretty.as_bytes())?;
        write_safetensors(path, self.weights.lent(), Some((METADATA_KEY, compact)))
    }

    /// Reads what [`Model::save`] wrote, from the safetensors file or from the description with
    /// the safetensors file beside it.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Malformed`] for files that are something else.
    pub fn load(path: &Path) -> Result<Model, Error> {
        let is_json = path
            .extension()
            .is_some_and(|extension| extension == "json");
        let tensors = if is_json {
            path.with_extension("safetensors")
        } else {
            path.to_owned()
        };
        let file = read(&tensors)?;
        let weights =
            Weights::from_safetensors(&file).map_err(|problem| malformed(&tensors, problem))?;
        let json = if is_json {
            read(path)?
        } else {
            metadata(&file, METADATA_KEY)
                .map_or_else(|| beside(path), |text| Ok(text.into_bytes()))?
        };
        let model: Model = serde_json::from_slice(&json)
            .map_err(|error| malformed(path, format!("not the description of a model: {error}")))?;
        let model = Model { weights, ..model };
        model.check().map_err(|problem| malformed(path, problem))?;
        Ok(model)
    }

    /// The network as an ONNX file (opset 17): `pixels`, f32 `[images, channels, height, width]`
    /// of 0 to 255, to `logits`, f32 `[images, classes]`; the normalisation is part of it.
    ///
    /// # Errors
    /// [`Error::Weights`] when the tensors do not fit the architecture, or
    /// [`Error::TooLargeForOnnx`].
    pub fn to_onnx(&self) -> Result<Vec<u8>, Error> {
        onnx::file(self)
    }

    /// What the network says of `pixels`, images × channels × height × width numbers of 0 to 255:
    /// images × classes logits.
    ///
    /// # Errors
    /// [`Error::PixelCount`] when they are no whole number of images, [`Error::Weights`], or
    /// [`Error::DeviceUnavailable`].
    pub fn logits(&self, pixels: &[f32], options: Options) -> Result<Vec<f32>, Error> {
        logits(self, pixels, options)
    }

    /// The name of a class, or its number where classes have no names.
    pub fn class_name(&self, class: usize) -> String {
        let named = self.class_names.get(class).cloned();
        named.unwrap_or_else(|| class.to_string())
    }

    /// Checks that what the description says twice is the same both times.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.format != FORMAT {
            let found = self.format;
            return Err(format!("format is {found}; this version reads {FORMAT}"));
        }
        let decoded = self.space.decode(&self.genome);
        if self.architecture != decoded.map_err(|error| error.to_string())? {
            let genome = &self.genome;
            return Err(format!(
                "the architecture is not what genome {genome} stands for"
            ));
        }
        self.normalisation.check(self.space.input.channels)?;
        let (names, classes) = (self.class_names.len(), self.space.classes);
        if names != 0 && names != classes {
            return Err(format!("{names} class names; there are {classes} classes"));
        }
        Ok(())
    }
}

impl Scaling {
    fn new(dataset: &Dataset) -> Scaling {
        let moments = dataset.train.moments();
        // In units of an image file's 256 grey levels, whatever the data set's own are.
        let unit = 255.0 / f64::from(dataset.white());
        Scaling {
            mean: moments.iter().map(|moments| moments.mean * unit).collect(),
            deviation: moments
                .iter()
                .map(|moments| moments.deviation * unit)
                .collect(),
        }
    }

    fn check(&self, planes: usize) -> Result<(), String> {
        let (means, deviations) = (self.mean.len(), self.deviation.len());
        if means != planes || deviations != planes {
            return Err(format!(
                "the normalisation has {means} means and {deviations} deviations; images have {planes} planes"
            ));
        }
        let usable = |deviation: &f64| deviation.is_normal() && *deviation > 0.0;
        if !self.mean.iter().all(|mean| mean.is_finite()) || !self.deviation.iter().all(usable) {
            return Err(format!(
                "the normalisation is {self:?}; means must be finite, deviations positive"
            ));
        }
        Ok(())
    }

    /// Images × planes × pixels numbers of 0 to 255 as the network sees them.
    pub(crate) fn apply(&self, pixels: &[f32], plane: usize) -> Vec<f32> {
        let numbers = self.mean.iter().zip(&self.deviation).cycle();
        let planes = pixels.chunks_exact(plane).zip(numbers);
        let scaled = planes.flat_map(|(plane, (mean, deviation))| {
            plane
                .iter()
                .map(move |&pixel| ((f64::from(pixel) - mean) / deviation) as f32)
        });
        scaled.collect()
    }
}

/// The description beside a safetensors file that has none in itself.
fn beside(path: &Path) -> Result<Vec<u8>, Error> {
    let json = path.with_extension("json");
    std::fs::read(&json).map_err(|source| {
        malformed(path, format!(
            "there is no description of the network, neither in its metadata nor in {} ({source}); genomaster export writes both",
            json.display()
        ))
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Io {
        path: path.to_owned(),
        source,
    })
}

/// Writes a file so that it is there whole or not at all.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let partial = path.with_extension("partial");
    let written = std::fs::write(&partial, bytes);
    let renamed = written.and_then(|()| std::fs::rename(&partial, path));
    renamed.map_err(|source| Error::Io {
        path: path.to_owned(),
        source,
    })
}

fn malformed(path: &Path, problem: String) -> Error {
    Error::Malformed {
        path: path.to_owned(),
        problem,
    }
}
