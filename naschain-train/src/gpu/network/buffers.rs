//! Buffers of a network for one batch.

use cubecl::prelude::Runtime;

use crate::gpu::{Buffer, Gpu};
use crate::kernels::chunk;
use crate::plan::{NetworkPlan, PhasePlan};

pub(super) struct Buffers {
    /// Number of images of the batch.
    pub(super) images: usize,
    /// Capacity in images.
    pub(super) capacity: usize,
    /// `[image][channel][row][column]`
    pub(super) input: Buffer,
    /// `[path][image]`; `None` if nothing is dropped.
    pub(super) factors: Option<Buffer>,
    pub(super) phases: Vec<PhaseBuffers>,
    /// Stripes of the sums over planes.
    pub(super) stripes: [Buffer; 2],
    /// Input and output of the linear layer.
    pub(super) features: Buffer,
    pub(super) logits: Buffer,
    pub(super) training: Option<TrainingBuffers>,
}

/// The maps of one phase.
pub(super) struct PhaseBuffers {
    /// The pooled output of the previous phase, if the phase's entry convolution reads it.
    pub(super) pooled: Buffer,
    /// The phase's input and the output of each node, at a stride of `step` elements.
    pub(super) maps: Buffer,
    pub(super) step: usize,
    /// The inputs of the nodes' convolutions, for nodes that join several maps.
    pub(super) joined: Vec<Buffer>,
    /// The outputs of the nodes' convolutions, and last the joined output.
    pub(super) z: Vec<Buffer>,
    /// The phase's output.
    pub(super) out: Buffer,
}

/// Buffers of the backward pass.
pub(super) struct TrainingBuffers {
    /// Gradients with respect to a phase's maps.
    pub(super) dmaps: Buffer,
    /// The gradient with respect to a phase's output.
    pub(super) dout: Buffer,
    /// The gradient with respect to a batch norm's input.
    pub(super) dz: Buffer,
    /// The gradient with respect to a joined map or a pooled one.
    pub(super) dx: Buffer,
    pub(super) dfeatures: Buffer,
    /// Partial sums of the gradient with respect to a convolution's weights, one per chunk of
    /// images.
    pub(super) partial: Buffer,
}

impl Buffers {
    /// Allocates buffers for up to `capacity` images, those of the backward pass only if `training`.
    pub(super) fn new<R: Runtime>(
        gpu: &Gpu<R>,
        plan: &NetworkPlan,
        capacity: usize,
        training: bool,
    ) -> Buffers {
        let mut before = None;
        let phases = plan.phases.iter().map(|phase| {
            let pooled = match (before, &phase.entry) {
                (Some(channels), Some(_)) => channels * phase.dims.pixels(),
                _ => 0,
            };
            before = Some(phase.dims.channels);
            PhaseBuffers::new(gpu, phase, capacity * pooled, capacity)
        });
        let phases = phases.collect();
        let widest = plan.phases.iter().map(|phase| phase.dims.channels);
        let planes = capacity * widest.chain([plan.head.channels]).max().unwrap_or(0);
        Buffers {
            images: capacity,
            capacity,
            input: gpu.allocate(0),
            factors: None,
            phases,
            stripes: [gpu.allocate(4 * planes), gpu.allocate(4 * planes)],
            features: gpu.allocate(capacity * plan.head.channels),
            logits: gpu.allocate(capacity * plan.linear.outputs),
            training: training.then(|| TrainingBuffers::new(gpu, plan, capacity)),
        }
    }
}

impl PhaseBuffers {
    fn new<R: Runtime>(
        gpu: &Gpu<R>,
        phase: &PhasePlan,
        pooled: usize,
        capacity: usize,
    ) -> PhaseBuffers {
        let step = capacity * phase.dims.image();
        let nodes = phase.nodes.len();
        let joins = phase.nodes.iter().map(|node| node.input.conv.is_some());
        let some = |wanted: bool| gpu.allocate(if wanted { step } else { 0 });
        let output = phase.output.conv.is_some();
        PhaseBuffers {
            pooled: gpu.allocate(pooled),
            maps: gpu.allocate((nodes + 1) * step),
            step,
            joined: joins.map(some).collect(),
            z: std::iter::repeat_n(true, nodes)
                .chain([output])
                .map(some)
                .collect(),
            out: gpu.allocate(step),
        }
    }
}

impl TrainingBuffers {
    fn new<R: Runtime>(gpu: &Gpu<R>, plan: &NetworkPlan, capacity: usize) -> TrainingBuffers {
        let most = |numbers: &dyn Fn(&PhasePlan) -> usize| {
            gpu.allocate(plan.phases.iter().map(numbers).max().unwrap_or(0))
        };
        let map = |phase: &PhasePlan| capacity * phase.dims.image();
        let mut before = 0;
        let pooled = plan.phases.iter().map(|phase| {
            let channels = std::mem::replace(&mut before, phase.dims.channels);
            capacity * channels * phase.dims.pixels()
        });
        let pooled = pooled.max().unwrap_or(0);
        let weights = plan.phases.iter().map(|phase| {
            let nodes = phase.nodes.iter();
            let nodes = nodes.flat_map(|node| [Some(&node.conv), node.input.conv.as_ref()]);
            let ends = [phase.entry.as_ref(), phase.output.conv.as_ref()];
            let weights = nodes.chain(ends).flatten();
            let largest = weights.map(|weight| weight.range.len()).max().unwrap_or(0);
            capacity.div_ceil(chunk(phase.dims.pixels())) * largest
        });
        let linear = capacity.div_ceil(chunk(1)) * plan.linear.range.len();
        TrainingBuffers {
            dmaps: most(&|phase| (phase.nodes.len() + 1) * map(phase)),
            dout: most(&map),
            dz: most(&map),
            dx: gpu.allocate(plan.phases.iter().map(map).max().unwrap_or(0).max(pooled)),
            dfeatures: gpu.allocate(capacity * plan.head.channels),
            partial: gpu.allocate(weights.chain([linear]).max().unwrap_or(0)),
        }
    }
}
