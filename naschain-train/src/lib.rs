//! Deterministic training of NASChain architectures: the same genome, data, recipe and seed give
//! the same bits, and a digest that proves it.
//!
//! ```
//! use std::ops::ControlFlow;
//! use naschain_core::{MacroSpace, Recipe};
//! use naschain_train::{Dataset, Options, train};
//!
//! let digits = Dataset::digits();
//! let space = MacroSpace {
//!     phases: 2,
//!     nodes: 3,
//!     input: digits.shape,
//!     init_channels: 4,
//!     classes: digits.classes,
//! };
//! let architecture = space.decode(&"1010-1010".parse()?)?;
//! let recipe = Recipe {
//!     epochs: 1,
//!     train_images: 128,
//!     validation_images: 100,
//!     augmentation: Default::default(),
//!     ..Recipe::default()
//! };
//! let trained = train(&architecture, &digits, &recipe, Options::default(), &mut |epoch| {
//!     println!("epoch {}: loss {:.3}", epoch.number, epoch.loss);
//!     ControlFlow::Continue(())
//! })?;
//! println!("{} % with digest {}", trained.measurement.accuracy, trained.measurement.digest);
//! # Ok::<(), naschain_train::Error>(())
//! ```
//!
//! In reading order:
//! - [`Dataset`]: images and labels, from embedded or downloaded files, with a content digest;
//!   [`Images`]: one part of it, in memory or decoded as it is needed; [`DataName`]: which there
//!   are;
//! - [`Split`]: which images are trained and validated on;
//! - [`train`]: the whole training, from seed to digest, epoch by [`Epoch`]; [`train_from`]: the
//!   same from a [`Checkpoint`]; [`train_on_all`]: once a network is chosen; [`trace`]: for other
//!   programs to follow;
//! - [`Weights`]: the trained network on the host and as a safetensors file;
//! - [`evaluate`]: the accuracy of stored weights;
//! - [`Model`]: weights with all that is needed to use them elsewhere, as safetensors and ONNX;
//!   [`probabilities`] of what it says;
//! - [`Device`], [`Isa`] and [`Options`]: where and how it runs; [`training_memory_bytes`]: what it needs;
//!   [`ARITHMETIC_VERSION`]: which order of arithmetic decides the bits.
//!
//! On the CPU, networks are computed by kernels of this crate, whose every sum has one order
//! (`docs/arithmetic.md`): digests are equal between processes, with any number of threads, for
//! several trainings at once, in builds with and without optimisation, and on processors with
//! AVX-512, with AVX2 and with neither (grades D0 to D2). The kernels for GPUs, compiled by CubeCL,
//! keep the same order. burn lives in this crate and nowhere else: with the feature `burn` a
//! trained network is a burn module (`BurnNetwork`), and in tests that module is what ours is
//! compared with. Nothing here reads a clock.

#[cfg(test)]
#[path = "../tests/allocations/mod.rs"]
mod allocations;
mod backend;
mod batches;
#[cfg(any(test, feature = "burn"))]
mod burn_network;
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
mod kernels;
mod loss;
mod math;
mod memory;
mod model;
mod onnx;
mod plan;
mod schedule;
mod trace;
mod training;
mod weights;

pub use backend::Options;
pub use batches::Split;
#[cfg(any(test, feature = "burn"))]
pub use burn_network::BurnNetwork;
pub use checkpoint::Checkpoint;
pub use data::{DataName, Dataset, Emnist, Images, Moments, read_picture};
pub use device::Device;
pub use error::Error;
pub use evaluation::evaluate;
pub use kernels::ARITHMETIC_VERSION;
pub use kernels::simd::Isa;
pub use loss::probabilities;
pub use memory::training_memory_bytes;
pub use model::{Model, Scaling};
pub use trace::{Batch, Trace, trace};
pub use training::{Epoch, Trained, train, train_from, train_on_all};
pub use weights::{NamedTensor, Weights};
