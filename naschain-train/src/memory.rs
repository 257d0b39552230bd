//! Estimate of the memory that a training needs, computed before it starts.

use naschain_core::{Architecture, LayerGraph, LayerOperation, NetworkRef, Phase, Recipe, Shape};

use crate::evaluation::BATCH as EVALUATION_BATCH;
use crate::kernels::{BLOCK, chunk};
use crate::layers::layer_graph;
use crate::layers::plan::Wiring;
use crate::{Error, Options};

/// Bytes of an f32.
const FLOAT_BYTES: u128 = 4;
/// Bytes per thread in addition to the network: its stack and images in preparation.
const THREAD_BYTES: u128 = 1 << 20;

/// Estimates the peak memory of [`train`](crate::train) in bytes, without the data set.
///
/// The estimate is the sum of the CPU network's buffers: a mini-batch's feature maps, the gradients
/// with respect to those that are needed at a time, the parameters with their gradients and velocities, and one
/// MiB per thread. Measured peaks on the CPU are 50 to 100 % of the estimate; CUDA's allocator
/// reserves memory in larger pieces.
pub fn training_memory_bytes<'n>(
    network: impl Into<NetworkRef<'n>>,
    recipe: &Recipe,
    threads: usize,
) -> u64 {
    let network = network.into();
    let images = wide(recipe.batch_size.min(recipe.train_images));
    let batch = BatchSize {
        images,
        blocks: images.div_ceil(wide(BLOCK)),
        drops_paths: recipe.drop_path > 0.0,
    };
    let numbers = match network {
        NetworkRef::Macro(architecture) => of_phases(architecture, batch),
        other => of_layers(&layer_graph(other), batch),
    };
    // Pixels exist in the network and, for training or validation, in the mini-batch passed to it.
    let input = wide(network.input().len());
    let validated = match recipe.validation_images {
        // The test images, whose number the recipe does not say.
        0 => EVALUATION_BATCH,
        images => images.min(EVALUATION_BATCH),
    };
    let pixels = images * input + (2 * images).max(wide(validated)) * input;
    let bytes = FLOAT_BYTES * (numbers + pixels) + wide(threads.max(1)) * THREAD_BYTES;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Sizes of a mini-batch.
#[derive(Clone, Copy)]
struct BatchSize {
    images: u128,
    /// Blocks of images.
    blocks: u128,
    drops_paths: bool,
}

/// Numbers of a network of the macro space, without its input.
fn of_phases(architecture: &Architecture, batch: BatchSize) -> u128 {
    let layers: Vec<Layers> = architecture.phases.iter().map(Layers::new).collect();
    let most = |of: &dyn Fn(&Layers) -> u128| layers.iter().map(of).max().unwrap_or(0);
    let maps: u128 = layers.iter().map(|l| l.maps + l.sums).sum();
    let gradients = most(&|l| (l.nodes + 2) * l.map);
    let in_chunk = most(&|l| l.chunk * (1 + u128::from(batch.drops_paths) * l.widest) * l.map);
    let sums = most(&|l| 9 * 16 * l.channels);
    let parameters: u128 = layers.iter().map(|l| l.parameters).sum();
    batch.images * (maps + gradients) + of_parameters(parameters, in_chunk + sums, batch)
}

/// Parameters, velocities, gradients and transposed weights; on the host, before the first step or
/// after an epoch, parameters and velocities with the copies made to check or to store them;
/// gradients of each block, and its `scratch` numbers.
fn of_parameters(parameters: u128, scratch: u128, batch: BatchSize) -> u128 {
    (9 + batch.blocks) * parameters + batch.blocks * scratch
}

/// Numbers of a network of layers, without its input.
fn of_layers(graph: &LayerGraph, batch: BatchSize) -> u128 {
    let wiring = Wiring::new(graph, &|_| 8);
    let (mut maps, mut parameters, mut in_chunk) = (0, 0, 0);
    for layer in &graph.layers {
        let read = layer.inputs.iter().map(|map| graph.shape(*map).channels);
        let (read, channels) = (wide(read.sum()), wide(layer.output.channels));
        let padded = channels.next_multiple_of(8);
        let pixels = layer.output.height * layer.output.width;
        maps += padded * wide(pixels);
        match layer.operation {
            LayerOperation::Convolution { kernel, .. } => {
                let taps = wide(kernel[0] * kernel[1]);
                parameters += padded * read * taps;
                // Convolutions with several taps copy what each of them reads.
                let copied = read.next_multiple_of(8) * wide(pixels * chunk(pixels));
                in_chunk = in_chunk.max((taps + 1) * copied);
            }
            LayerOperation::Depthwise { kernel, .. } => {
                parameters += padded * wide(kernel * kernel);
            }
            LayerOperation::Bias => parameters += padded,
            // Parameters and statistics; sums over each image.
            LayerOperation::BatchNorm => {
                parameters += 4 * padded;
                maps += 2 * padded;
            }
            _ => {}
        }
    }
    let gradients: u128 = wiring.slot_sizes.iter().map(|size| wide(*size)).sum();
    let largest = wiring.slot_sizes.iter().max().copied().unwrap_or(0);
    // Images with their border, and one gradient before it is added to others.
    let images = (0..wiring.maps.len()).filter(|map| wiring.is_image[*map]);
    for image in images.map(|map| graph.shape(map)) {
        let border = Shape {
            height: image.height + 2,
            width: image.width + 2,
            ..image
        };
        maps += wide(border.len());
    }
    maps += wide(largest);
    let outputs = graph.outputs.iter().map(|map| graph.shape(*map).channels);
    parameters += wide(outputs.sum()) * wide(graph.classes.next_multiple_of(8));
    batch.images * (maps + gradients) + of_parameters(parameters, in_chunk, batch)
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
    network: NetworkRef<'_>,
    recipe: &Recipe,
    options: Options,
) -> Result<(), Error> {
    let Some(limit_bytes) = options.memory_limit_bytes else {
        return Ok(());
    };
    let needed_bytes = training_memory_bytes(network, recipe, options.threads);
    if needed_bytes <= limit_bytes {
        return Ok(());
    }
    Err(Error::MemoryLimit {
        batch_size: recipe.batch_size,
        needed_bytes,
        limit_bytes,
    })
}
