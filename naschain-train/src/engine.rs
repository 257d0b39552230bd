//! The operations that training and evaluation need from a network, implemented for CPU and GPU, so
//! that the plan of a network, the training loop and checkpoints exist once.

use naschain_core::{Architecture, NetworkRef, Recipe};

use crate::Error;
use crate::loss::Loss;
use crate::weights::{TensorSource, Weights};

/// A network on a device.
pub(crate) trait Engine: Sized {
    /// What a network is built on: the instruction set of the CPU, or a GPU.
    type Target;

    /// Builds the network with tensors from `source`.
    fn build(
        network: NetworkRef<'_>,
        source: TensorSource,
        target: &Self::Target,
    ) -> Result<Self, Error>;

    /// Prepares for [`Engine::step`], with the velocities that [`Engine::read_velocities`]
    /// returned, or with none.
    fn start_training(&mut self, velocities: &[Option<Vec<f32>>]);

    /// Number of paths that drop-path can drop.
    fn paths(&self) -> usize;

    /// Copies every tensor to the host, in declaration order.
    fn read(&self) -> Weights;

    /// The velocity of each parameter in declaration order; `None` before its first gradient.
    fn read_velocities(&self) -> Vec<Option<Vec<f32>>>;

    /// One training step: forward, loss, backward, gradient clipping, SGD. Label smoothing,
    /// clipping, momentum and weight decay are those of `recipe`; `rate` is the learning rate.
    fn step(&mut self, batch: &StepInput, recipe: &Recipe, rate: f64) -> Loss;

    /// Returns images × classes logits of normalised images, with batch norm's running statistics.
    fn logits(&mut self, pixels: Vec<f32>) -> Vec<f32>;
}

/// The input of one training step: a mini-batch after augmentation and normalisation.
pub(crate) struct StepInput {
    /// Images × channels × height × width.
    pub(crate) pixels: Vec<f32>,
    pub(crate) labels: Vec<u16>,
    /// For each path one factor per image; empty if nothing is dropped.
    pub(crate) factors: Vec<Vec<f32>>,
}

/// The network of an engine for the macro space.
///
/// # Panics
/// For a network of another space: [`crate::backend::run`] chooses the engine by the space.
pub(crate) fn macro_network(network: NetworkRef<'_>) -> &Architecture {
    match network {
        NetworkRef::Macro(architecture) => architecture,
        other => panic!("the engine of the macro space got {other:?}"),
    }
}
