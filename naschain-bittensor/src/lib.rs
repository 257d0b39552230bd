#![doc = include_str!("../README.md")]

mod call;
mod client;
mod due;
mod error;
mod events;
mod extrinsic;
mod metadata;
mod metagraph;
mod nesting;
mod plan;
mod rpc;
mod schedule;
mod setter;
mod state_file;
mod storage;
pub mod timelock;

// What `Runtime` decodes to: a stored value by a Rust type, any other by its type in the metadata.
pub use parity_scale_codec::Decode;
pub use scale_value;

pub use call::Argument;
pub use client::{BlockRef, ChainClient};
pub use due::{Due, due};
pub use error::{Error, Remedy};
pub use events::Execution;
pub use extrinsic::{ERA_BLOCKS, Extrinsic, SigningTerms};
pub use metadata::Runtime;
pub use metagraph::Metagraph;
pub use plan::Plan;
pub use schedule::{Reveal, Schedule};
pub use setter::{NextStep, Notice, Setter, Turn};
pub use state_file::{Commit, Sent};
pub use storage::blake2_256;
