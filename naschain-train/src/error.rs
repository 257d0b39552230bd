use std::path::PathBuf;

/// What can go wrong between a data set's files and a trained network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file does not hold what its format says.
    #[error("{}: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was found and what would be right.
        problem: String,
    },
    /// A data set's name is not known.
    #[error(
        "data set {found:?} is not known; use digits, fashion-mnist, mnist, emnist-balanced, emnist-byclass, emnist-bymerge, emnist-digits, emnist-letters, emnist-mnist, cifar10, cifar100, folder or the name of an .npz file"
    )]
    UnknownData {
        /// The name found.
        found: String,
    },
    /// A data set's files are nowhere to be found.
    #[error(
        "data set {name} was not found: looked for {file} in {}; {hint}",
        looked.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    DataNotFound {
        /// The data set's name.
        name: String,
        /// The file that would have to be there.
        file: String,
        /// The folders that were tried.
        looked: Vec<PathBuf>,
        /// How to get the data set.
        hint: &'static str,
    },
    /// A shape that pictures cannot have.
    #[error(
        "pictures cannot be brought to {found:?}; 1 or 3 channels and sides of 1 to 4096 are right, such as 3x32x32"
    )]
    PictureShape {
        /// The shape found.
        found: String,
    },
    /// Images and labels that are not equally many.
    #[error("there are {labels} labels for {images} images")]
    LabelCount {
        /// Labels given.
        labels: usize,
        /// Images given.
        images: usize,
    },
    /// A label that is no class.
    #[error("{name} has the label {found}; with {classes} classes labels are 0 to {}", classes.saturating_sub(1))]
    LabelRange {
        /// The data set's name.
        name: String,
        /// The largest label.
        found: u16,
        /// The number of classes.
        classes: usize,
    },
    /// Training and test images of different shapes.
    #[error("the training images of {name} are {train}, the test images {test}")]
    PartShapes {
        /// The data set's name.
        name: String,
        /// Of each training image.
        train: naschain_core::Shape,
        /// Of each test image.
        test: naschain_core::Shape,
    },
    /// Names that are not one for each class.
    #[error("{names} class names; there are {classes} classes")]
    ClassNames {
        /// Names given.
        names: usize,
        /// Classes there are.
        classes: usize,
    },
    /// An image that is not there.
    #[error("image {index} is asked for; there are {images}, counted from 0")]
    NoSuchImage {
        /// The index asked for.
        index: usize,
        /// The images there are.
        images: usize,
    },
    /// A recipe asks for more images than the data set has.
    #[error(
        "the recipe asks for {train} training and {validation} validation images; {name} has {available} in its training part"
    )]
    TooFewImages {
        /// The data set's name.
        name: String,
        /// Training images asked for.
        train: usize,
        /// Validation images asked for.
        validation: usize,
        /// Images there are.
        available: usize,
    },
    /// An architecture was made for other data.
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
    /// A genome, space or recipe is wrong.
    #[error(transparent)]
    Core(#[from] naschain_core::Error),
    /// A device is not written as `cpu` or `cuda:N`.
    #[error("device {found:?} is not known; use cpu or cuda:N, such as cuda:0")]
    UnknownDevice {
        /// The text found.
        found: String,
    },
    /// A device is known, but cannot be used here.
    #[error("device {device} cannot be used: {reason}")]
    DeviceUnavailable {
        /// The device asked for.
        device: crate::Device,
        /// Why not, and what would help.
        reason: String,
    },
    /// Instructions of the processor are not written as they are called.
    #[error("instructions {found:?} are not known; use avx512, avx2 or portable")]
    UnknownIsa {
        /// The text found.
        found: String,
    },
    /// This processor lacks the instructions asked for.
    #[error("this processor has no {isa}; leave the choice to the program, or use portable")]
    IsaUnavailable {
        /// The instructions asked for.
        isa: crate::Isa,
    },
    /// The worker threads could not be started.
    #[error("{threads} training threads could not be started: {reason}")]
    Threads {
        /// Threads asked for.
        threads: usize,
        /// What the system said.
        reason: String,
    },
    /// The loss or a weight is no longer a finite number.
    #[error("the training diverged: {what} is {found}")]
    Diverged {
        /// The epoch, counted from 1.
        epoch: u32,
        /// What is not finite, and when that was found.
        what: String,
        /// The number.
        found: f64,
    },
    /// The caller's callback stopped the training.
    #[error("the training was stopped after epoch {epoch}")]
    Stopped {
        /// The last finished epoch, counted from 1.
        epoch: u32,
    },
    /// A network would need more memory than it is allowed.
    #[error(
        "training this network in batches of {batch_size} needs about {} MiB of memory; the limit is {} MiB",
        needed_bytes.div_ceil(1 << 20), limit_bytes >> 20
    )]
    MemoryLimit {
        /// Images a step.
        batch_size: usize,
        /// The estimate.
        needed_bytes: u64,
        /// The limit that was given.
        limit_bytes: u64,
    },
    /// A recipe asks for an arithmetic that this build does not have.
    #[error(
        "the recipe asks for version {found} of the arithmetic; this build computes by version {}",
        crate::ARITHMETIC_VERSION
    )]
    OtherArithmetic {
        /// The version asked for.
        found: u32,
    },
    /// A checkpoint was made by a training that is not this one.
    #[error("the checkpoint is of another {what}; only the same training can go on from it")]
    OtherTraining {
        /// What differs: architecture, recipe or data set.
        what: &'static str,
    },
    /// Stored weights do not fit the architecture.
    #[error("weights do not fit the architecture: {problem}")]
    Weights {
        /// What was found and what would be right.
        problem: String,
    },
    /// Pixels that are no whole number of images.
    #[error("{found} pixels are not a whole number of images of {shape}, {} pixels each", shape.len())]
    PixelCount {
        /// Numbers given.
        found: usize,
        /// The shape of one image.
        shape: naschain_core::Shape,
    },
    /// A network does not fit into an ONNX file.
    #[error("the network would take {bytes} bytes as ONNX; a file holds at most 2147483647")]
    TooLargeForOnnx {
        /// What it would take.
        bytes: usize,
    },
}
