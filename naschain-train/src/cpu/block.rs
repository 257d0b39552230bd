//! Buffers of a network for up to [`BLOCK`](crate::kernels::BLOCK) images.

use std::ops::Range;

use crate::kernels::norm::Affine;
use crate::kernels::simd::Isa;
use crate::kernels::{BLOCK, chunk};
use crate::plan::{BatchNorm, MapDims, NetworkPlan, OWN_OUTPUT, PhasePlan};

/// The parts of a network that all blocks share, read-only during a step of a pass.
pub(super) struct Pass<'a> {
    pub(super) isa: Isa,
    pub(super) plan: &'a NetworkPlan,
    pub(super) norms: &'a [BatchNorm],
    pub(super) parameters: &'a [f32],
    /// The transposed weights; empty when not training.
    pub(super) backward: &'a [f32],
    /// For each path one factor per image of the batch; empty if nothing is dropped.
    pub(super) factors: &'a [Vec<f32>],
}

impl Pass<'_> {
    pub(super) fn affine(&self, norm: usize) -> Affine<'_> {
        self.norms[norm].affine(self.parameters, true)
    }
}

/// Buffers for the images of one block.
#[derive(Debug)]
pub(super) struct Block {
    /// Index of the block's first image in the batch.
    pub(super) first: usize,
    pub(super) images: usize,
    /// Capacity in images.
    pub(super) capacity: usize,
    /// `[image][channel][row][column]`
    pub(super) input: Vec<f32>,
    pub(super) phases: Vec<PhaseBuffers>,
    /// Input and output of the linear layer.
    pub(super) features: Vec<f32>,
    pub(super) logits: Vec<f32>,
    pub(super) dlogits: Vec<f32>,
    /// Gradients summed over this block's images, in the layout of the parameters.
    pub(super) gradients: Vec<f32>,
    pub(super) scratch: Scratch,
}

/// The maps of one phase.
#[derive(Debug)]
pub(super) struct PhaseBuffers {
    /// The pooled output of the previous phase, if the phase's entry convolution reads it.
    pub(super) pooled: Vec<f32>,
    /// The phase's input and the output of each node.
    pub(super) maps: Vec<Vec<f32>>,
    /// The inputs of the nodes' convolutions, for nodes that join several maps.
    pub(super) joined: Vec<Vec<f32>>,
    /// The outputs of the nodes' convolutions, and last the joined output.
    pub(super) z: Vec<Vec<f32>>,
    /// The phase's output.
    pub(super) out: Vec<f32>,
    /// For each batch norm, two sums per image and channel.
    pub(super) sums: Vec<[Vec<f32>; 2]>,
}

/// Temporary buffers.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Gradients with respect to maps, indexed by slot; [`OWN_OUTPUT`] is empty between phases.
    pub(super) dmaps: Vec<Vec<f32>>,
    /// For one chunk: the gradient with respect to a joined or pooled map.
    pub(super) dx: Vec<f32>,
    pub(super) join: JoinBuffers,
    /// Partial sums of the gradient with respect to a convolution's weights.
    pub(super) sums: Vec<f32>,
    pub(super) dfeatures: Vec<f32>,
    /// The input in blocked layout, for a network without phases.
    pub(super) entered: Vec<f32>,
}

/// Temporary buffers of a join.
#[derive(Debug, Default)]
pub(super) struct JoinBuffers {
    /// For one chunk: maps multiplied by drop-path's factors.
    pub(super) scaled: Vec<Vec<f32>>,
    /// Always empty: kept for its capacity, see [`emptied`].
    pub(super) maps: Vec<&'static [f32]>,
}

impl Block {
    /// Allocates buffers for `images`, those of the backward pass only if `training`.
    pub(super) fn new(
        plan: &NetworkPlan,
        input: usize,
        classes: MapDims,
        images: usize,
        training: bool,
    ) -> Block {
        let mut before: Option<MapDims> = None;
        let phases = plan.phases.iter().map(|phase| {
            let pooled = match (before, &phase.entry) {
                (Some(dims), Some(_)) => dims.padded() * phase.dims.pixels(),
                _ => 0,
            };
            before = Some(phase.dims);
            PhaseBuffers::new(phase, pooled, images)
        });
        let phases = phases.collect();
        let back = |numbers: usize| vec![0.0; if training { numbers } else { 0 }];
        Block {
            first: 0,
            images: 0,
            capacity: images,
            input: vec![0.0; images * input],
            phases,
            features: vec![0.0; images * plan.head.padded()],
            logits: vec![0.0; images * classes.padded()],
            dlogits: back(images * classes.padded()),
            gradients: back(plan.parameters),
            scratch: if training {
                Scratch::new(plan, images)
            } else {
                Scratch::default()
            },
        }
    }
}

impl PhaseBuffers {
    fn new(phase: &PhasePlan, pooled: usize, images: usize) -> PhaseBuffers {
        let image = phase.dims.image();
        let map = || vec![0.0; images * image];
        let nodes = phase.nodes.len();
        let joined = phase.nodes.iter().map(|node| &node.input.conv);
        let joined = joined.map(|conv| vec![0.0; conv.as_ref().map_or(0, |_| images * image)]);
        let mut z: Vec<_> = (0..nodes).map(|_| map()).collect();
        z.push(vec![
            0.0;
            phase.output.conv.as_ref().map_or(0, |_| images * image)
        ]);
        let sums = || vec![0.0; images * phase.dims.padded()];
        PhaseBuffers {
            pooled: vec![0.0; images * pooled],
            maps: (0..=nodes).map(|_| map()).collect(),
            joined: joined.collect(),
            z,
            out: map(),
            sums: (0..=nodes).map(|_| [sums(), sums()]).collect(),
        }
    }
}

impl Scratch {
    fn new(plan: &NetworkPlan, images: usize) -> Scratch {
        let widest = |number: &dyn Fn(&PhasePlan) -> usize| {
            let numbers = plan.phases.iter().map(number);
            numbers.max().unwrap_or(0)
        };
        let slots = widest(&|phase| phase.slots.iter().max().map_or(0, |slot| slot + 1));
        let dmap = |slot: usize| {
            widest(&|phase| {
                if slot != OWN_OUTPUT && phase.slots.contains(&slot) {
                    images * phase.dims.image()
                } else {
                    0
                }
            })
        };
        let in_chunk = widest(&|phase| {
            let dims = phase.dims;
            // Large enough for the pooled map too, which may have wider lanes than this phase.
            let image = (dims.padded() + 8) * dims.pixels();
            chunk(dims.pixels()).min(images) * image
        });
        Scratch {
            dmaps: (0..slots).map(|slot| vec![0.0; dmap(slot)]).collect(),
            dx: vec![0.0; in_chunk],
            join: JoinBuffers::default(),
            sums: vec![0.0; widest(&|phase| 9 * phase.dims.padded() * 16)],
            dfeatures: vec![0.0; images * plan.head.padded()],
            entered: Vec::new(),
        }
    }
}

/// The chunks of a block's images, for maps of `pixels` pixels.
pub(crate) fn chunks(images: usize, pixels: usize) -> impl Iterator<Item = Range<usize>> {
    let step = chunk(pixels).min(BLOCK);
    (0..images)
        .step_by(step)
        .map(move |first| first..(first + step).min(images))
}

/// The elements of some images, of `image` elements each.
pub(crate) fn part<'a>(numbers: &'a [f32], images: &Range<usize>, image: usize) -> &'a [f32] {
    &numbers[images.start * image..images.end * image]
}

/// The same, mutable.
pub(crate) fn part_mut<'a>(
    numbers: &'a mut [f32],
    images: &Range<usize>,
    image: usize,
) -> &'a mut [f32] {
    &mut numbers[images.start * image..images.end * image]
}

/// Turns a list of slices into an empty list with another lifetime, and keeps its allocation: each
/// step needs a list of the maps that a join reads, and must not allocate one.
pub(super) fn emptied<'a>(mut list: Vec<&[f32]>) -> Vec<&'a [f32]> {
    list.clear();
    // Collecting a vector's iterator into a vector of the same layout reuses the memory.
    let none = |_| unreachable!("the list is empty");
    list.into_iter().map(none).collect()
}
