#![doc = include_str!("../README.md")]

mod call;
mod client;
mod due;
mod error;
mod events;
mod extrinsic;
mod metadata;
mod metagraph;
mod plan;
mod rpc;
mod schedule;
mod setter;
mod state_file;
mod storage;
pub mod timelock;

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
