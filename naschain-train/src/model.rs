//! A trained network with everything that another program needs to use it.

use std::path::Path;

use naschain_core::{Accuracy, Digest, Genome, Network, Recipe, SearchSpace};
use serde::{Deserialize, Serialize};

use crate::backend::Options;
use crate::evaluation::logits;
use crate::onnx::int8_accuracy::{self, Int8Test};
use crate::received::in_declaration_order;
use crate::weights::{chain_digest, metadata, write_safetensors};
use crate::{Dataset, Error, Trained, Weights, onnx};

/// Version of the model file format.
const FORMAT: u32 = 2;
/// Metadata key of the description in a safetensors file.
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
/// let mut recipe = Recipe::default();
/// (recipe.epochs, recipe.train_images, recipe.validation_images) = (1, 64, 64);
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
    /// The search space of the genome.
    pub space: SearchSpace,
    /// The network that the genome decodes to.
    #[serde(rename = "architecture")]
    pub network: Network,
    /// Scaling of pixels at the network's input.
    pub normalisation: Scaling,
    /// Class names in the order of the outputs; empty if classes only have numbers.
    pub class_names: Vec<String>,
    /// The name of the training data set.
    pub data: String,
    /// That data set's content digest.
    pub data_digest: Digest,
    /// The recipe of the training.
    pub recipe: Recipe,
    /// The training digest: BLAKE3 of `digest_before` and all tensors, so a loaded model is the one
    /// that miners agreed on if this is the digest in the journal.
    pub digest: Digest,
    /// The digest chain before the last epoch.
    pub digest_before: Digest,
    /// The accuracy on the test images in percent, if it was measured.
    pub test_accuracy: Option<Accuracy>,
    /// The tensors.
    #[serde(skip)]
    pub weights: Weights,
}

/// Scaling of pixels from 0 (black) to 255 (white) at a network's input: (pixel − mean) ÷ deviation
/// in each colour plane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scaling {
    /// One mean per plane.
    pub mean: Vec<f64>,
    /// One standard deviation per plane.
    pub deviation: Vec<f64>,
}

impl Model {
    /// Combines the result of [`crate::train`] with its inputs.
    ///
    /// # Errors
    /// [`Error::Core`] when the genome is not of this space.
    pub fn new(
        space: impl Into<SearchSpace>,
        genome: &Genome,
        dataset: &Dataset,
        recipe: &Recipe,
        trained: Trained,
    ) -> Result<Model, Error> {
        let space = space.into();
        Ok(Model {
            format: FORMAT,
            genome: genome.clone(),
            network: space.decode(genome)?,
            space,
            normalisation: Scaling::new(dataset),
            class_names: dataset.class_names().to_vec(),
            data: dataset.name.clone(),
            data_digest: dataset.digest(),
            recipe: recipe.clone(),
            digest: trained.measurement.digest,
            digest_before: trained.digest_before,
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
        write_atomically(&path.with_extension("json"), pretty.as_bytes())?;
        write_safetensors(
            path,
            self.weights.tensor_refs(),
            Some((METADATA_KEY, compact)),
        )
    }

    /// Reads what [`Model::save`] wrote. `path` names the safetensors file, or the JSON description
    /// with the safetensors file beside it.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Malformed`] for files that are not a model.
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
                .map_or_else(|| read_description(path), |text| Ok(text.into_bytes()))?
        };
        let invalid = |error| malformed(path, format!("not a valid model description: {error}"));
        let version: Version = serde_json::from_slice(&json).map_err(invalid)?;
        version
            .check()
            .map_err(|problem| malformed(path, problem))?;
        let model: Model = serde_json::from_slice(&json).map_err(invalid)?;
        let model = Model { weights, ..model };
        model.check().map_err(|problem| malformed(path, problem))?;
        model
            .check_weights()
            .map_err(|problem| malformed(&tensors, problem))?;
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

    /// The network in eight bits as an ONNX file with the same input and output, in QDQ form
    /// (`QuantizeLinear` and `DequantizeLinear` around float operators, which runtimes replace by
    /// integer kernels). Batch norm and biases are folded into convolutions; weights have a scale for each
    /// output channel, activations one for each map, measured on 256 training images of `dataset`.
    /// Equal models and data sets give equal files.
    ///
    /// # Errors
    /// As [`Model::to_onnx`]; [`Error::DataMismatch`] when the network does not take these images,
    /// [`Error::Io`] and [`Error::Malformed`] when image files have changed since they were listed.
    pub fn to_onnx_int8(&self, dataset: &Dataset) -> Result<Vec<u8>, Error> {
        onnx::int8_file(self, dataset)
    }

    /// Tests what [`Model::to_onnx_int8`] writes, on at most 2,000 test images of `dataset`, and the
    /// network itself on the same images.
    ///
    /// # Errors
    /// As [`Model::to_onnx_int8`] and [`Model::logits`].
    pub fn test_int8(&self, dataset: &Dataset, options: Options) -> Result<Int8Test, Error> {
        int8_accuracy::test(self, dataset, options)
    }

    /// Images × classes logits for `pixels`, images × channels × height × width values from 0 to
    /// 255.
    ///
    /// # Errors
    /// [`Error::PixelCount`] when `pixels` is not a whole number of images, [`Error::Weights`], or
    /// [`Error::DeviceUnavailable`].
    pub fn logits(&self, pixels: &[f32], options: Options) -> Result<Vec<f32>, Error> {
        logits(self, pixels, options)
    }

    /// The name of a class, or its number if classes have no names.
    pub fn class_name(&self, class: usize) -> String {
        let named = self.class_names.get(class).cloned();
        named.unwrap_or_else(|| class.to_string())
    }

    /// Checks that the weights are numbers, fit the architecture and have the digest of the
    /// description.
    fn check_weights(&self) -> Result<(), String> {
        if let Some((tensor, value)) = self.weights.not_finite() {
            let name = &tensor.name;
            return Err(format!("{name} has the value {value}; all must be finite"));
        }
        // The digest is over the tensors in declaration order; a file has them in another one.
        let declared = in_declaration_order(self.network.view(), &self.weights);
        let declared = declared.map_err(|error| error.to_string())?;
        let found = chain_digest(self.digest_before, declared.into_iter());
        if found == self.digest {
            return Ok(());
        }
        Err(format!(
            "the weights have the digest {found}; their description says {}: one of the two was changed",
            self.digest
        ))
    }

    /// Checks that the redundant parts of the description agree.
    pub(crate) fn check(&self) -> Result<(), String> {
        let decoded = self.space.decode(&self.genome);
        if self.network != decoded.map_err(|error| error.to_string())? {
            let genome = &self.genome;
            return Err(format!(
                "the architecture is not the one that genome {genome} decodes to"
            ));
        }
        self.normalisation.check(self.space.input().channels)?;
        let (names, classes) = (self.class_names.len(), self.space.classes());
        if names != 0 && names != classes {
            return Err(format!(
                "there are {names} class names for {classes} classes"
            ));
        }
        Ok(())
    }
}

/// The part of a description that every version has.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

impl Version {
    fn check(&self) -> Result<(), String> {
        match self.format {
            FORMAT => Ok(()),
            found => Err(format!(
                "format is {found}; this version reads {FORMAT}; write the model again with genomaster export"
            )),
        }
    }
}

impl Scaling {
    fn new(dataset: &Dataset) -> Scaling {
        let moments = dataset.train.moments();
        // Converted from the data set's grey levels to the 256 of an image file.
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

    /// Scales images × planes × pixels values from 0 to 255.
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

/// Reads the JSON description beside a safetensors file without one in its metadata.
fn read_description(path: &Path) -> Result<Vec<u8>, Error> {
    let json = path.with_extension("json");
    std::fs::read(&json).map_err(|source| {
        malformed(path, format!(
            "no description of the network was found in its metadata or in {} ({source}); genomaster export writes both",
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

/// Writes a file atomically.
fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let partial = path.with_extension("partial");
    let written = std::fs::write(&partial, bytes);
    let renamed = written.and_then(|()| std::fs::rename(&partial, path));
    renamed.map_err(|source| {
        let _ = std::fs::remove_file(&partial);
        Error::Io {
            path: path.to_owned(),
            source,
        }
    })
}

fn malformed(path: &Path, problem: String) -> Error {
    Error::Malformed {
        path: path.to_owned(),
        problem,
    }
}
