#![doc = include_str!("../README.md")]

mod architecture;
mod canonical;
mod cost;
mod error;
mod gene_space;
mod genome;
mod layer_graph;
mod measurement;
mod micro;
mod mobile;
mod network;
mod recipe;
mod search_space;
mod space;
mod step_state;
mod stream;

pub use architecture::{Architecture, EntryConvolution, Node, Phase};
pub use cost::{Costs, Layer};
pub use error::Error;
pub use gene_space::GeneSpace;
pub use genome::Genome;
pub use layer_graph::{GraphLayer, LayerGraph, LayerOperation};
pub use measurement::{Accuracy, Digest, Measurement};
pub use micro::{
    MicroArchitecture, MicroCell, MicroEdge, MicroOperation, MicroSpace, Preprocessing,
};
pub use mobile::{Activation, MobileArchitecture, MobileBlock, MobileSpace};
pub use network::{Network, NetworkRef};
pub use recipe::{Augmentation, Recipe};
pub use search_space::SearchSpace;
pub use space::{MacroSpace, Shape};
pub use step_state::StepState;
pub use stream::{Purpose, Stream};
