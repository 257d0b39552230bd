//! The exact vocabulary of NASChain: genomes, the networks they stand for, what those cost, how
//! they are trained, and what a training measured.
//!
//! ```
//! use naschain_core::{Genome, MacroSpace};
//!
//! let space = MacroSpace {
//!     phases: 3,
//!     nodes: 4,
//!     input: "1x28x28".parse()?,
//!     init_channels: 16,
//!     classes: 10,
//! };
//! let genome: Genome = "1101010-1001001-0100110".parse()?;
//! let costs = space.decode(&genome)?.costs()?;
//! assert_eq!((costs.params, costs.flops), (201_018, 18_255_712));
//! # Ok::<(), naschain_core::Error>(())
//! ```
//!
//! In reading order:
//! - [`Genome`], a packed bitstring;
//! - [`MacroSpace`], which says how long a genome is, and [`MacroSpace::decode`], which turns it
//!   into an [`Architecture`]: phases, nodes, edges, and what was left out;
//!   [`MacroSpace::canonical`], which finds genomes that stand for the same network;
//! - [`Costs`], parameters and FLOPs counted from the architecture alone;
//! - [`Recipe`], every value that decides a training;
//! - [`Measurement`], the row a miner answers, with its exact [`Accuracy`] and [`Digest`];
//! - [`Stream`], randomness keyed by (seed, [`Purpose`], epoch, index).
//!
//! No IO, no clock, no floats in what is compared.

mod architecture;
mod canonical;
mod cost;
mod error;
mod genome;
mod measurement;
mod recipe;
mod space;
mod stream;

pub use architecture::{Architecture, Entry, Node, Phase};
pub use cost::Costs;
pub use error::Error;
pub use genome::Genome;
pub use measurement::{Accuracy, Digest, Measurement};
pub use recipe::{Augmentation, Recipe};
pub use space::{MacroSpace, Shape};
pub use stream::{Purpose, Stream};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
