//! Estimate of the memory that a training needs, computed before it starts.

use naschain_core::{Architecture, Phase, Recipe};

use crate::evaluation::BATCH as EVALUATION_BATCH;
use crate::kernels::{BLOCK, chunk};
use crate::{Error, Options};

/// Bytes of an f32.
const FLOAT_BYTES: u128 = 4;
/// Bytes per thread in addition to the network: its stack and images in preparation.
const THREAD_BYTES: u128 = 1 << 20;

/// Estimates the peak memory of [`train`](crate::train) in bytes, without the data set.
///
/// The estimate is the sum of the CPU network's buffers: a mini-batch's feature maps, the gradients
/// with respect to one phase's maps, the parameters with their gradients and velocities, and one
/// MiB per thread. Measured peaks on the CPU are 50 to 100 % of the estimate; CUDA's allocator
/// reserves memory in larger pieces.
pub fn training_memory_bytes(architecture: &Architecture, recipe: &Recipe, threads: usize) -> u64 {
    let batch = wide(recipe.batch_size.min(recipe.train_images));
    let blocks = batch.div_ceil(wide(BLOCK));
    let layers: Vec<Layers> = architecture.phases.iter().map(Layers::new).collect();
    let most = |of: &dyn Fn(&Layers) -> u128| layers.iter().map(of).max().unwrap_or(0);
    let input = wide(architecture.input.len());
    let maps: u128 = layers.iter().map(|l| l.maps + l.sums).sum();
    let gradients = most(&|l| (l.nodes + 2) * l.map);
    // Pixels exist in the network and, for training or validation, in the mini-batch passed to it.
    let validated = match recipe.validation_images {
        // The test images, whose number the recipe does not say.
        0 => EVALUATION_BATCH,
        images => images.min(EVALUATION_BATCH),
    };
    let validated = wide(validated);
    let images = batch * (maps + gradients + input) + (2 * batch).max(validated) * input;
    let in_chunk = most(&|l| l.chunk * (1 + u128::from(recipe.drop_path > 0.0) * l.widest) * l.map);
    let sums = most(&|l| 9 * 16 * l.channels);
    let parameters: u128 = layers.iter().map(|l| l.parameters).sum();
    // Parameters, velocities, gradients and transposed weights; on the host, before the first step or
    // after an epoch, parameters and velocities with the copies made to check or to store them;
    // gradients of each block.
    let all = images + (9 + blocks) * parameters + blocks * (in_chunk + sums);
    let bytes = FLOAT_BYTES * all + wide(threads.max(1)) * THREAD_BYTES;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Sizes of one phase in elements per image, except `parameters`.
struct Layers {
    /// Channels, padded to whole blocks.
    channels: u128,
    /// Elements of a feature map.
    map: u128,
    nodes: u128,
    /// Elements of all maps that the backward pass needs.
    maps: u128,
    /// Elements of the batch norms' sums.
    sums: u128,
    /// Maximum number of maps that one join reads.
    widest: u128,
    /// Images per chunk.
    chunk: u128,
    parameters: u128,
}

impl Layers {
    fn new(phase: &Phase) -> Layers {
        let pixels = phase.height * phase.width;
        let channels = wide(phase.channels.next_multiple_of(8));
        let map = wide(pixels) * channels;
        let nodes = wide(phase.nodes.len());
        let read = phase.nodes.iter().map(|node| &node.inputs);
        let read = read.chain([&phase.output]).map(|inputs| wide(inputs.len()));
        let joins = wide(read.clone().filter(|&inputs| inputs > 1).count());
        let joined: u128 = read.clone().filter(|&inputs| inputs > 1).sum();
        let entry = &phase.entry;
        let pooled = match entry.kernel {
            1 => wide(entry.in_channels.next_multiple_of(8) * pixels),
            _ => 0,
        };
        let entry = wide(entry.kernel * entry.kernel * entry.in_channels);
        let inside = wide(phase.channels) * (9 * nodes + joined);
        Layers {
            channels,
            map,
            nodes,
            maps: (2 * nodes + 2 + joins) * map + pooled,
            sums: 2 * (nodes + 1) * channels,
            widest: read.max().unwrap_or(1),
            chunk: wide(chunk(pixels)),
            parameters: channels * (entry + inside + 4 * (nodes + 1)),
        }
    }
}

fn wide(number: usize) -> u128 {
    number as u128
}

/// Returns [`Error::MemoryLimit`] for a network that needs more than the limit.
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
