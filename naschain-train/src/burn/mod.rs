#![doc = include_str!("README.md")]

mod autodiff;
#[cfg(test)]
mod clipping;
#[cfg(feature = "cuda")]
mod cube;
mod exact;
#[cfg(test)]
mod exact_tests;
mod flex;
mod layer_network;
#[cfg(test)]
mod layer_network_tests;
mod layers;
#[cfg(feature = "burn-learner")]
mod loader;
mod map;
mod mini_batches;
mod modules;
mod network;
#[cfg(test)]
mod operations;
mod ops;
mod optim;
#[cfg(test)]
mod optimizer;
mod phase;
mod recycle;
mod running;
mod shapes;
#[cfg(test)]
mod stock_training;
#[cfg(test)]
mod tests;
mod training;

#[cfg(feature = "cuda")]
pub use self::cube::{Cuda, CudaAutodiff};
pub use self::layer_network::BurnLayers;
pub use self::layers::{Linear, NormRelu};
#[cfg(feature = "burn-learner")]
pub use self::loader::MiniBatchLoader;
pub use self::map::Map;
pub use self::mini_batches::{MiniBatch, MiniBatches};
pub use self::modules::{Conv3, ExactInitializer, GlobalAverage, Join, MaxPool2, PixelConv3};
pub use self::network::BurnNetwork;
pub use self::ops::{
    Conv1Shape, Conv3Shape, ConvNormGradients, ConvNormRead, ConvNormed, CrossEntropyOutput,
    ExactOps, Factors, MapShape, NormParameters, Normed, SavedNorm, SgdStep,
};
pub use self::optim::{ExactSchedule, ExactSgd};
pub use self::recycle::release_memory;
#[cfg(test)]
pub(crate) use self::stock_training::StockTraining;
#[cfg(any(test, feature = "cuda"))]
pub(crate) use self::training::BurnTraining;
pub use self::training::{BatchLoss, CpuAutodiff, ExactDevice, cross_entropy, digest, train};
