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
//! - [`Split`]: which images are trained and validated on;
//! - [`train`]: the whole training, from seed to digest, epoch by [`Epoch`];
//! - [`Weights`]: the trained network on the host and as a safetensors file;
//! - [`evaluate`]: the accuracy of stored weights;
//! - [`Device`] and [`Options`]: where it runs.
//!
//! burn lives in this crate and nowhere else; none of its types is public here. On the CPU,
//! digests were measured equal between processes, with 1, 2 and 4 threads and for several
//! trainings at once (grades D0 and D1), on one build and kind of machine.

mod backend;
mod batches;
mod clipping;
mod data;
mod device;
mod error;
mod evaluation;
mod layers;
mod loss;
mod math;
mod network;
mod training;
mod weights;

pub use backend::{BURN_VERSION, Options};
pub use batches::Split;
pub use data::{DataName, Dataset, Images};
pub use device::Device;
pub use error::Error;
pub use evaluation::evaluate;
pub use training::{Epoch, Trained, train};
pub use weights::{NamedTensor, Weights};
