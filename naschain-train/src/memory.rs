//! How much memory a training needs, known before it is started.

use naschain_core::{Architecture, Phase, Recipe};

use crate::evaluation::BATCH;
use crate::{Error, Options};

/// Bytes of one number.
const FLOAT: u128 = 4;
/// Bytes of buffers that each thread keeps, whatever the network is.
const THREAD: u128 = 2 << 20;
/// Pixels of a feature map whose neighbourhoods a thread gathers at a time.
const TILE: u128 = 512;
/// A convolution reads a neighbourhood of 3×3.
const TAPS: u128 = 9;

/// An estimate of the most memory that [`train`](crate::train) needs at one time, in bytes,
/// beside the data set.
///
/// It adds up what the backward pass keeps of each layer for a batch, what the widest layer needs
/// while it is computed, what each thread works in, and the copies of the parameters; or takes
/// what validation needs, where that is more. Beside 2 MiB a thread, peaks measured on the CPU lie
/// between half of the estimate and all of it; CUDA's allocator takes memory in larger pieces.
pub fn training_memory_bytes(architecture: &Architecture, recipe: &Recipe, threads: usize) -> u64 {
    let batch = wide(recipe.batch_size.min(recipe.train_images));
    let validated = wide(recipe.validation_images.min(BATCH));
    let layers: Vec<Layers> = architecture.phases.iter().map(Layers::new).collect();
    let most = |of: &dyn Fn(&Layers) -> u128| layers.iter().map(of).max().unwrap_or(0);
    let input = wide(architecture.input.len());
    let kept: u128 = layers.iter().map(Layers::kept).sum();
    let training = batch * (kept + most(&|l| l.widest * 3 / 2) + 2 * input);
    let validation = validated * (most(&Layers::forward) + 2 * input);
    // Weights, velocities and gradients; weights and velocities on the host.
    let parameters = 6 * layers.iter().map(|l| l.parameters).sum::<u128>();
    let per_thread = THREAD + FLOAT * most(&|l| l.gathered(batch));
    let all = FLOAT * (training.max(validation) + parameters) + wide(threads.max(1)) * per_thread;
    u64::try_from(all).unwrap_or(u64::MAX)
}

/// The layers of one phase; all but the parameters in numbers of one image.
struct Layers {
    /// Numbers of one channel of a feature map.
    pixels: u128,
    channels: u128,
    /// Numbers of a feature map.
    map: u128,
    nodes: u128,
    /// Of all maps that are read together with others.
    joined: u128,
    /// Of the most that is read at once.
    widest: u128,
    parameters: u128,
}

impl Layers {
    fn new(phase: &Phase) -> Layers {
        let (pixels, channels) = (wide(phase.height * phase.width), wide(phase.channels));
        let map = pixels * channels;
        let nodes = wide(phase.nodes.len());
        let read = phase.nodes.iter().map(|node| &node.inputs);
        let read = read.chain([&phase.output]).map(|inputs| wide(inputs.len()));
        let joined: u128 = read.clone().filter(|&inputs| inputs > 1).sum();
        let entry = &phase.entry;
        let entry = wide(entry.kernel * entry.kernel * entry.in_channels);
        Layers {
            pixels,
            channels,
            map,
            nodes,
            joined: joined * map,
            widest: read.max().unwrap_or(1) * map,
            parameters: channels * (entry + channels * (TAPS * nodes + joined) + 4 * (nodes + 1)),
        }
    }

    /// What the backward pass needs of the forward pass: three maps for each batch norm with
    /// ReLU and what follows it, the phase's input, and what was put together.
    fn kept(&self) -> u128 {
        (3 * (self.nodes + 1) + 1) * self.map + self.joined
    }

    /// What there is at once in a forward pass alone.
    fn forward(&self) -> u128 {
        (self.nodes + 3) * self.map + self.widest * 3 / 2
    }

    /// The neighbourhoods that a thread works on: a tile's in the forward pass, those of two
    /// planes of a batch for the gradient of the weights.
    fn gathered(&self, images: u128) -> u128 {
        TAPS * (TILE.min(self.pixels) * self.channels).max(images * self.pixels)
    }
}

fn wide(number: usize) -> u128 {
    number as u128
}

/// Refuses a network that needs more than the limit.
pub(crate) fn check(
    architecture: &Architecture,
    recipe: &Recipe,
    options: Options,
) -> Result<(), Error> {
    let Some(limit_bytes) = options.memory_limit_bytes else {
        return Ok(());
    };
    let needed_bytes = training_memory_bytes(architecture, recipe, options.threads);
    if needed_bytes <= limit_bytes {
        return Ok(());
    }
    Err(Error::MemoryLimit {
        batch_size: recipe.batch_size,
        needed_bytes,
        limit_bytes,
    })
}
