//! The crate's error type.

use std::path::{Path, PathBuf};

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something works with networks of some spaces only.
    #[error("{what} works with networks of {spaces}; this one is of the {space} space")]
    OtherSpace {
        /// What it is.
        what: &'static str,
        /// The spaces.
        spaces: &'static str,
        /// The name of the network's space.
        space: &'static str,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", shown(path))]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file violates its format.
    #[error("{}: {problem}", shown(path))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was found and what is required.
        problem: String,
    },
    /// A picture in memory cannot be read or written.
    #[error("the picture cannot be used: {problem}")]
    Picture {
        /// What was found and what is required.
        problem: String,
    },
    /// Pictures of a folder cannot be read.
    #[error("{}", bad_pictures(dir, *pictures, bad))]
    BadPictures {
        /// The folder.
        dir: PathBuf,
        /// Number of pictures in it, with the bad ones.
        pictures: usize,
        /// Those that cannot be read, sorted by path.
        bad: Vec<crate::BadPicture>,
    },
    /// The name of a data set is unknown.
    #[error(
        "unknown data set {found:?}{}; use digits, fashion-mnist, mnist, emnist-balanced, emnist-byclass, emnist-bymerge, emnist-digits, emnist-letters, emnist-mnist, cifar10, cifar100, a folder of pictures or an .npz file",
        similar.as_ref().map(|name| format!(" (did you mean {name}?)")).unwrap_or_default()
    )]
    UnknownData {
        /// The name found.
        found: String,
        /// The known name that is most like it, if one is.
        similar: Option<String>,
    },
    /// A data set's files were not found.
    #[error(
        "data set {name} was not found: looked for {file} in {}; {hint}",
        searched.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    DataNotFound {
        /// The data set's name.
        name: String,
        /// The file that was searched.
        file: String,
        /// The folders that were searched.
        searched: Vec<PathBuf>,
        /// What the data set's files are, or where to get them.
        hint: &'static str,
    },
    /// A shape to which image files cannot be resized.
    #[error(
        "images cannot be resized to {found:?}; use 1 or 3 channels and sides of 1 to 4096, such as 3x32x32"
    )]
    PictureShape {
        /// The shape found.
        found: String,
    },
    /// The numbers of images and labels differ.
    #[error("there are {labels} labels for {images} images")]
    LabelCount {
        /// Number of labels.
        labels: usize,
        /// Number of images.
        images: usize,
    },
    /// A label is not a class.
    #[error("{name} has the label {found}; with {classes} classes labels are 0 to {}", classes.saturating_sub(1))]
    LabelRange {
        /// The data set's name.
        name: String,
        /// The largest label.
        found: u16,
        /// The number of classes.
        classes: usize,
    },
    /// Training and test images have different shapes.
    #[error("the training images of {name} are {train}, the test images {test}")]
    PartShapes {
        /// The data set's name.
        name: String,
        /// Shape of the training images.
        train: naschain_core::Shape,
        /// Shape of the test images.
        test: naschain_core::Shape,
    },
    /// The number of class names is not the number of classes.
    #[error("there are {names} class names for {classes} classes")]
    ClassNames {
        /// Number of names.
        names: usize,
        /// Number of classes.
        classes: usize,
    },
    /// The index of an image is out of range.
    #[error("there is no image {index}; there are {images}, counted from 0")]
    NoSuchImage {
        /// The index.
        index: usize,
        /// Number of images.
        images: usize,
    },
    /// A recipe requires more images than the data set has.
    #[error(
        "the recipe requires {train} training and {validation} validation images; the training set of {name} has {available}"
    )]
    TooFewImages {
        /// The data set's name.
        name: String,
        /// Training images required.
        train: usize,
        /// Validation images required.
        validation: usize,
        /// Images in the training set.
        available: usize,
    },
    /// A recipe without validation images does not train on the whole training set.
    #[error(
        "with 0 validation images all {available} training images of {name} are trained on; train-images is {train}, it must be {available}"
    )]
    ImagesLeftOut {
        /// The data set's name.
        name: String,
        /// Training images required.
        train: usize,
        /// Images in the training set.
        available: usize,
    },
    /// An architecture does not fit the data set.
    #[error(
        "the architecture takes {architecture} with {classes} classes; {name} is {shape} with {data_classes} classes"
    )]
    DataMismatch {
        /// Input shape of the architecture.
        architecture: naschain_core::Shape,
        /// Classes of the architecture.
        classes: usize,
        /// The data set's name.
        name: String,
        /// Image shape of the data set.
        shape: naschain_core::Shape,
        /// Classes of the data set.
        data_classes: usize,
    },
    /// A genome, space or recipe is invalid.
    #[error(transparent)]
    Core(#[from] naschain_core::Error),
    /// A device is not `cpu`, `cuda:N`, `cuda-direct:N` or `wgpu:N`.
    #[error("unknown device {found:?}; use cpu, cuda:N, cuda-direct:N or wgpu:N, such as cuda:0")]
    UnknownDevice {
        /// The text.
        found: String,
    },
    /// A device cannot be used on this machine or by this build.
    #[error("device {device} cannot be used: {reason}")]
    DeviceUnavailable {
        /// The device.
        device: crate::Device,
        /// The reason and, if there is one, the remedy.
        reason: String,
    },
    /// The name of an instruction set is unknown.
    #[error("unknown instruction set {found:?}; use avx512, avx2 or portable")]
    UnknownIsa {
        /// The text.
        found: String,
    },
    /// This processor lacks an instruction set.
    #[error(
        "this processor does not support {isa}; omit the choice to use the fastest supported set, or use portable"
    )]
    IsaUnavailable {
        /// The instruction set.
        isa: crate::Isa,
    },
    /// The worker threads could not be started.
    #[error("{threads} training threads could not be started: {reason}")]
    Threads {
        /// Number of threads.
        threads: usize,
        /// The system's error.
        reason: String,
    },
    /// The loss or a weight is no longer finite.
    #[error("the training diverged: {what} is {found}")]
    Diverged {
        /// The epoch, counted from 1.
        epoch: u32,
        /// Which value is not finite, and when this was detected.
        what: String,
        /// The value.
        found: f64,
    },
    /// The caller's callback stopped the training.
    #[error("the training was stopped after epoch {epoch}")]
    Stopped {
        /// The last finished epoch, counted from 1.
        epoch: u32,
    },
    /// A training needs more memory than the limit.
    #[error(
        "training this network in batches of {batch_size} needs about {} MiB of memory; the limit is {} MiB",
        needed_bytes.div_ceil(1 << 20), limit_bytes >> 20
    )]
    MemoryLimit {
        /// Images per step.
        batch_size: usize,
        /// The estimated need in bytes.
        needed_bytes: u64,
        /// The limit in bytes.
        limit_bytes: u64,
    },
    /// A recipe requires an arithmetic version that this build does not implement.
    #[error(
        "the recipe requires arithmetic version {found}; this build implements version {}",
        crate::ARITHMETIC_VERSION
    )]
    OtherArithmetic {
        /// The required version.
        found: u32,
    },
    /// A checkpoint belongs to another training.
    #[error(
        "the checkpoint belongs to a training with a different {what}; it can only be resumed by the same training"
    )]
    OtherTraining {
        /// The part that differs: architecture, recipe or data set.
        what: &'static str,
    },
    /// A training cannot end after this epoch.
    #[error("the training cannot end after epoch {found}; it can after epochs {first} to {last}")]
    NoSuchEpoch {
        /// The epoch, counted from 1.
        found: u32,
        /// The first possible epoch: the checkpoint's.
        first: u32,
        /// The last epoch of the recipe.
        last: u32,
    },
    /// The state after this step cannot be computed.
    #[error(
        "the state after step {found} cannot be computed: it must be from {first} (the start, the checkpoint or the step before it in the list) to {last} (the training's last)"
    )]
    NoSuchStep {
        /// The step; 0 is the state before the first.
        found: u64,
        /// The first possible step.
        first: u64,
        /// The last step of the training.
        last: u64,
    },
    /// What another party sent is not what it must be.
    #[error("the {what} cannot be used: {problem}")]
    Received {
        /// What was sent, such as a checkpoint.
        what: &'static str,
        /// What was found and what is required.
        problem: String,
    },
    /// Stored weights do not fit the architecture.
    #[error("weights do not fit the architecture: {problem}")]
    Weights {
        /// What was found and what is required.
        problem: String,
    },
    /// Pixels are not a whole number of images.
    #[error("{found} pixels are not a whole number of images of {shape}, {} pixels each", shape.len())]
    PixelCount {
        /// Number of pixels.
        found: usize,
        /// The shape of one image.
        shape: naschain_core::Shape,
    },
    /// A network is too large for an ONNX file.
    #[error("the ONNX file would have {bytes} bytes; the format allows at most 2147483647")]
    TooLargeForOnnx {
        /// The size in bytes.
        bytes: usize,
    },
}

/// A path with control characters escaped: file names come with the data, and a line end in one could
/// forge a line of a log.
fn shown(path: &Path) -> String {
    let mut text = String::new();
    for c in path.display().to_string().chars() {
        if c.is_control() {
            text.extend(c.escape_default());
        } else {
            text.push(c);
        }
    }
    text
}

/// How many bad pictures an error names.
const MAX_NAMED: usize = 1000;

fn bad_pictures(dir: &Path, pictures: usize, bad: &[crate::BadPicture]) -> String {
    let count = bad.len();
    let mut text = format!(
        "{}: {count} of {pictures} pictures cannot be read; remove them, or leave them out with --skip-bad:",
        shown(dir)
    );
    for bad in bad.iter().take(MAX_NAMED) {
        text += &format!("\n  {}: {}", shown(&bad.path), bad.problem);
    }
    if count > MAX_NAMED {
        text += &format!("\n  and {} more", count - MAX_NAMED);
    }
    text
}
