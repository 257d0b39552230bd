//! Buffers of a network of layers for up to [`BLOCK`](crate::kernels::BLOCK) images.

use std::ops::Range;

use naschain_core::{LayerOperation, Shape};

use super::plan::LayersPlan;
use crate::kernels::chunk;
use crate::kernels::norm::Affine;
use crate::kernels::simd::Isa;
use crate::plan::BatchNorm;

/// The parts of a network that all blocks share, read-only during a pass.
pub(super) struct LayerPass<'a> {
    pub(super) isa: Isa,
    pub(super) plan: &'a LayersPlan,
    pub(super) norms: &'a [BatchNorm],
    pub(super) parameters: &'a [f32],
    /// The transposed weights; empty when not training.
    pub(super) backward: &'a [f32],
    /// For each path one factor per image of the batch; empty if nothing is dropped.
    pub(super) factors: &'a [Vec<f32>],
}

impl LayerPass<'_> {
    pub(super) fn affine(&self, norm: usize) -> Affine<'_> {
        self.norms[norm].affine(self.parameters, false)
    }

    /// The drop-path factors of a block's images.
    pub(super) fn factors_of(&self, path: Option<usize>, images: Range<usize>) -> Option<&[f32]> {
        self.factors.get(path?).map(|factors| &factors[images])
    }
}

/// Buffers for the images of one block.
#[derive(Debug)]
pub(super) struct LayerBlock {
    /// Index of the block's first image in the batch.
    pub(super) first: usize,
    pub(super) images: usize,
    /// Capacity in images.
    pub(super) capacity: usize,
    /// The image, `[image][channel][row][column]` with a border of one pixel of 0, and the output of each
    /// layer; a resized image is as the image is.
    pub(super) maps: Vec<Vec<f32>>,
    /// For each batch norm, two sums per image and channel.
    pub(super) sums: Vec<[Vec<f32>; 2]>,
    /// Inputs of the linear layer.
    pub(super) features: Vec<Vec<f32>>,
    pub(super) logits: Vec<f32>,
    pub(super) dlogits: Vec<f32>,
    /// Gradients summed over this block's images, in the layout of the parameters.
    pub(super) gradients: Vec<f32>,
    /// For one chunk: the maps that the taps of a convolution read.
    pub(super) taps: Vec<Vec<f32>>,
    pub(super) scratch: LayerScratch,
}

/// Temporary buffers of the backward pass.
#[derive(Debug, Default)]
pub(super) struct LayerScratch {
    /// Gradients with respect to maps, by slot.
    pub(super) dmaps: Vec<Vec<f32>>,
    /// One gradient before it is added to that of its map.
    pub(super) part: Vec<f32>,
    /// For one chunk: the gradient of what a tap reads.
    pub(super) tap: Vec<f32>,
    /// Partial sums of the gradient with respect to a 3×3 convolution's weights.
    pub(super) sums: Vec<f32>,
    pub(super) dfeatures: Vec<f32>,
}

impl LayerBlock {
    /// Allocates buffers for `images`, those of the backward pass only if `training`.
    pub(super) fn new(plan: &LayersPlan, images: usize, training: bool) -> LayerBlock {
        let mut maps: Vec<Vec<f32>> = vec![Vec::new(); plan.maps.len()];
        maps[0] = vec![0.0; images * plan.elements(0)];
        let mut sums = Vec::new();
        for layer in &plan.layers {
            let dims = plan.maps[layer.output];
            maps[layer.output] = vec![0.0; images * plan.elements(layer.output)];
            if layer.norm.is_some() {
                sums.push([0, 1].map(|_| vec![0.0; images * dims.padded()]));
            }
        }
        let back = |numbers: usize| vec![0.0; if training { numbers } else { 0 }];
        let parameters = plan.bias.range.end;
        let features = || vec![0.0; images * plan.features().padded()];
        let (taps, tap) = tap_sizes(plan, images);
        LayerBlock {
            first: 0,
            images: 0,
            capacity: images,
            maps,
            sums,
            features: plan.outputs.iter().map(|_| features()).collect(),
            logits: vec![0.0; images * plan.classes().padded()],
            dlogits: back(images * plan.classes().padded()),
            gradients: back(parameters),
            taps: vec![vec![0.0; tap]; taps],
            scratch: if training {
                LayerScratch::new(plan, images, tap)
            } else {
                LayerScratch::default()
            },
        }
    }

    /// Copies images into the bordered image.
    pub(super) fn load(&mut self, pixels: &[f32], shape: Shape) {
        self.images = pixels.len() / shape.len();
        let wide = shape.width + 2;
        let planes = self.maps[0].chunks_exact_mut((shape.height + 2) * wide);
        for (to, from) in planes.zip(pixels.chunks_exact(shape.height * shape.width)) {
            let rows = to[wide..].chunks_exact_mut(wide);
            for (to, from) in rows.zip(from.chunks_exact(shape.width)) {
                to[1..=shape.width].copy_from_slice(from);
            }
        }
    }
}

impl LayerScratch {
    fn new(plan: &LayersPlan, images: usize, tap: usize) -> LayerScratch {
        let buffer = |size: &usize| vec![0.0; images * size];
        let largest = plan.slot_sizes.iter().max().copied().unwrap_or(0);
        let widest = plan.maps.iter().map(|dims| dims.padded()).max();
        // Planes of pixels are few; `Conv3Weights` needs room for one block of output channels.
        let planes = plan.maps[0].channels;
        LayerScratch {
            dmaps: plan.slot_sizes.iter().map(buffer).collect(),
            part: buffer(&largest),
            tap: vec![0.0; tap],
            sums: vec![0.0; 9 * planes.max(widest.unwrap_or(0)) * 16],
            dfeatures: vec![0.0; images * plan.features().padded()],
        }
    }
}

/// The largest number of taps of a convolution with several, and the elements of the map that one reads,
/// for a chunk.
fn tap_sizes(plan: &LayersPlan, images: usize) -> (usize, usize) {
    let (mut most, mut size) = (0, 0);
    for layer in &plan.layers {
        let LayerOperation::Convolution { kernel, .. } = layer.operation else {
            continue;
        };
        if kernel == [1, 1] || kernel == [3, 3] {
            continue;
        }
        let (from, to) = (plan.maps[layer.inputs[0].map], plan.maps[layer.output]);
        let in_chunk = chunk(to.pixels()).min(images);
        most = most.max(kernel[0] * kernel[1]);
        size = size.max(in_chunk * from.padded() * to.pixels());
    }
    (most, size)
}
