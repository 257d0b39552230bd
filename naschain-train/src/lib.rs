#![doc = include_str!("../README.md")]

#[cfg(test)]
#[path = "../tests/allocations/mod.rs"]
mod allocations;
#[cfg(feature = "ndarray")]
mod arrays;
mod backend;
mod batches;
#[cfg(any(test, feature = "burn"))]
pub mod burn;
mod checkpoint;
mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
mod data;
mod device;
mod drop_path;
mod engine;
mod error;
mod evaluation;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
mod gpu;
mod kernels;
mod layers;
mod loss;
mod math;
mod memory;
mod model;
mod onnx;
mod plan;
mod progress;
mod received;
mod schedule;
mod states;
#[cfg(test)]
mod test_folder;
#[cfg(test)]
mod test_models;
mod trace;
mod training;
mod weights;
#[cfg(feature = "wgpu")]
mod wgpu;

pub use backend::Options;
pub use batches::Split;
#[cfg(any(test, feature = "burn"))]
pub use burn::BurnNetwork;
pub use checkpoint::Checkpoint;
pub use data::{
    BadPicture, DataName, Dataset, Emnist, Images, Moments, PackedDataset, picture_from_bytes,
    pictures_in, png_of, read_picture,
};
pub use device::Device;
pub use error::Error;
pub use evaluation::{evaluate, measure_accuracy, repeat_inference};
pub use kernels::ARITHMETIC_VERSION;
pub use kernels::simd::Isa;
pub use loss::probabilities;
pub use memory::training_memory_bytes;
pub use model::{Model, Scaling};
pub use onnx::int8_accuracy::Int8Test;
pub use progress::{steps, steps_an_epoch};
pub use received::{CurvePoint, LinkedWeights};
pub use states::{replay_step, state_at, step_states};
pub use trace::{Batch, Trace, trace};
pub use training::{Epoch, Trained, train, train_from, train_until};
pub use weights::{NamedTensor, Weights};
