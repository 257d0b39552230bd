#![doc = include_str!("../README.md")]

mod architecture;
mod canonical;
mod cost;
mod error;
mod genome;
mod measurement;
mod micro;
mod recipe;
mod space;
mod step_state;
mod stream;

pub use architecture::{Architecture, EntryConvolution, Node, Phase};
pub use cost::{Costs, Layer};
pub use error::Error;
pub use genome::Genome;
pub use measurement::{Accuracy, Digest, Measurement};
pub use micro::{
    MicroArchitecture, MicroCell, MicroEdge, MicroOperation, MicroSpace, Preprocessing,
};
pub use recipe::{Augmentation, Recipe};
pub use space::{MacroSpace, Shape};
pub use step_state::StepState;
pub use stream::{Purpose, Stream};
