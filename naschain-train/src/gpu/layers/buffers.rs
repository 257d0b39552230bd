//! Buffers of a network for one batch.

use cubecl::prelude::Runtime;

use crate::gpu::{Buffer, Gpu, View};
use crate::kernels::chunk;
use crate::layers::plan::{LayerInput, LayersPlan};

pub(super) struct LayerBuffers {
    /// Number of images of the batch.
    pub(super) images: usize,
    /// Capacity in images.
    pub(super) capacity: usize,
    /// The image and the output of each layer, `[image][channel][row][column]`; empty ones of layers that the
    /// network's output does not depend on.
    pub(super) maps: Vec<Buffer>,
    /// `[path][image]`; `None` if nothing is dropped.
    pub(super) factors: Option<Buffer>,
    /// Stripes of the sums over planes.
    pub(super) stripes: [Buffer; 2],
    /// Inputs of the linear layer, one for each map that it reads.
    pub(super) features: Vec<Buffer>,
    pub(super) logits: Buffer,
    pub(super) training: Option<LayerTrainingBuffers>,
}

/// Buffers of the backward pass.
pub(super) struct LayerTrainingBuffers {
    /// Gradients with respect to maps, by slot.
    pub(super) dmaps: Vec<Buffer>,
    /// One gradient before it is added to that of its map.
    pub(super) part: Buffer,
    pub(super) dfeatures: Buffer,
    /// Partial sums of the gradient with respect to a weight, one per chunk of images.
    pub(super) partial: Buffer,
}

impl LayerBuffers {
    /// Allocates buffers for up to `capacity` images, those of the backward pass only if `training`.
    pub(super) fn new<R: Runtime>(
        gpu: &Gpu<R>,
        plan: &LayersPlan,
        capacity: usize,
        training: bool,
    ) -> LayerBuffers {
        let mut sizes = vec![0; plan.maps.len()];
        let mut widest = plan.features().channels;
        for layer in &plan.layers {
            let dims = plan.maps[layer.output];
            sizes[layer.output] = capacity * dims.image();
            widest = widest.max(dims.channels);
        }
        let features = || gpu.allocate(capacity * plan.features().channels);
        LayerBuffers {
            images: capacity,
            capacity,
            maps: sizes.into_iter().map(|size| gpu.allocate(size)).collect(),
            factors: None,
            stripes: [(); 2].map(|()| gpu.allocate(4 * capacity * widest)),
            features: plan.outputs.iter().map(|_| features()).collect(),
            logits: gpu.allocate(capacity * plan.linear.outputs),
            training: training.then(|| LayerTrainingBuffers::new(gpu, plan, capacity)),
        }
    }

    pub(super) fn map(&self, input: LayerInput) -> View<'_> {
        self.maps[input.map].all()
    }

    /// The factors of a path, if some are drawn.
    pub(super) fn factors_of(&self, path: Option<usize>) -> Option<View<'_>> {
        let factors = self.factors.as_ref()?;
        Some(factors.from(path? * self.images))
    }
}

impl LayerTrainingBuffers {
    fn new<R: Runtime>(gpu: &Gpu<R>, plan: &LayersPlan, capacity: usize) -> LayerTrainingBuffers {
        let buffer = |size: &usize| gpu.allocate(capacity * size);
        let largest = plan.slot_sizes.iter().max().copied().unwrap_or(0);
        let sums = plan.layers.iter().filter_map(|layer| {
            let weight = layer.weight.as_ref()?;
            let chunks = capacity.div_ceil(chunk(plan.maps[layer.output].pixels()));
            Some(chunks * weight.range.len())
        });
        let linear = capacity.div_ceil(chunk(1)) * plan.linear.range.len();
        LayerTrainingBuffers {
            dmaps: plan.slot_sizes.iter().map(buffer).collect(),
            part: buffer(&largest),
            dfeatures: buffer(&plan.features().channels),
            partial: gpu.allocate(sums.chain([linear]).max().unwrap_or(0)),
        }
    }
}
