//! How much memory a training needs, known before it is started.

use naschain_core::{Architecture, Phase, Recipe};

use crate::evaluation::BATCH as EVALUATED_AT_ONCE;
use crate::kernels::{BLOCK, chunk};
use crate::{Error, Options};

/// Bytes of one number.
const FLOAT: u128 = 4;
/// Bytes that each thread may take beside the network: its stack, and images on their way.
const THREAD: u128 = 1 << 20;

/// An estimate of the most memory that [`train`](crate::train) needs at one time, in bytes,
/// beside the data set.
///
/// It adds up what the network on the CPU allocates: the feature maps of a batch, the gradients by
/// one phase's maps, the parameters with what belongs to them, and a mebibyte a thread. Peaks
/// measured on the CPU lie between half of the estimate and all of it; CUDA's allocator takes
/// memory in larger pieces.
pub fn training_memory_bytes(architecture: &Architecture, recipe: &Recipe, threads: usize) -> u64 {
    let batch = wide(recipe.batch_size.min(recipe.train_images));
    let blocks = batch.div_ceil(wide(BLOCK));
    let layers: Vec<Layers> = architecture.phases.iter().map(Layers::new).collect();
    let most = |of: &dyn Fn(&Layers) -> u128| layers.iter().map(of).max().unwrap_or(0);
    let input = wide(architecture.input.len());
    let maps: u128 = layers.iter().map(|l| l.maps + l.sums).sum();
    let gradients = most(&|l| (l.nodes + 2) * l.map);
    // Pixels are in the network and on their way to it, in training or in validation.
    let validated = wide(recipe.validation_images.min(EVALUATED_AT_ONCE));
    let images = batch * (maps + gradients + input) + (2 * batch).max(validated) * input;
    let in_chunk = most(&|l| l.chunk * (1 + u128::from(recipe.drop_path > 0.0) * l.widest) * l.map);
    let sums = most(&|l| 9 * 16 * l.channels);
    let parameters: u128 = layers.iter().map(|l| l.parameters).sum();
    // Parameters, velocities, gradients and weights that lead back; both twice on the host
    // between two epochs, and on the way into the digest; gradients of each block.
    let all = images + (9 + blocks) * parameters + blocks * (in_chunk + sums);
    let bytes = FLOAT * all + wide(threads.max(1)) * THREAD;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// The layers of one phase; all but the parameters in numbers of one image.
struct Layers {
    /// Channels, with those that fill the last block.
    channels: u128,
    /// Numbers of a feature map.
    map: u128,
    nodes: u128,
    /// All maps that the backward pass needs.
    maps: u128,
    /// Sums that batch norms need.
    sums: u128,
    /// The most maps that are read at once.
    widest: u128,
    /// Images of a chunk.
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
