//! What a training and an evaluation need of a network, whatever computes it.

use naschain_core::{Architecture, Recipe};

use crate::Error;
use crate::loss::Loss;
use crate::weights::{Source, Weights};

/// A network on a device: one on the CPU, one on GPUs.
pub(crate) trait Engine: Sized {
    /// Where it is computed.
    type Place;

    /// Builds the network with tensors from `source`.
    fn build(
        architecture: &Architecture,
        source: Source,
        place: &Self::Place,
    ) -> Result<Self, Error>;

    /// Prepares for [`Engine::step`], with the velocities that [`Engine::read_velocities`]
    /// returned, or with none.
    fn start_training(&mut self, velocities: &[Option<Vec<f32>>]);

    /// How many paths can be dropped.
    fn paths(&self) -> usize;

    /// Every tensor on the host, in declaration order.
    fn read(&self) -> Weights;

    /// The velocity of each parameter in declaration order; none before its first gradient.
    fn read_velocities(&self) -> Vec<Option<Vec<f32>>>;

    /// One training step: forward, loss, backward, gradient clipping, SGD. Label smoothing,
    /// clipping, momentum and weight decay are those of `recipe`; `rate` is the learning rate.
    fn step(&mut self, batch: &Batch, recipe: &Recipe, rate: f64) -> Loss;

    /// Images × classes logits of normalised images, by the running statistics.
    fn logits(&mut self, pixels: Vec<f32>) -> Vec<f32>;
}

/// One step's images as the network sees them.
pub(crate) struct Batch {
    /// Images × channels × height × width.
    pub(crate) pixels: Vec<f32>,
    pub(crate) labels: Vec<u16>,
    /// For each path one factor an image; empty where nothing is dropped.
    pub(crate) factors: Vec<Vec<f32>>,
}
