//! The layers of a network and the layout of its parameters in memory, shared by the CPU and the
//! GPU implementation.

pub(crate) mod planner;
mod slots;
pub(crate) mod stored;

use std::ops::Range;

pub(crate) use self::slots::OWN_OUTPUT;
use crate::kernels::conv1::Sizes1;
use crate::kernels::conv3::Sizes3;
use crate::kernels::layout::{
    Transposed, flipped, pack_taps, pack1, pack3, unpack_taps, unpack1, unpack3,
};
use crate::kernels::norm::Affine;
use crate::kernels::statistics::NormStatistics;
use crate::weights::NamedTensor;

/// The layers of an architecture, without parameter values.
#[derive(Debug)]
pub(crate) struct NetworkPlan {
    pub(crate) phases: Vec<PhasePlan>,
    /// The feature map that is averaged before the linear layer.
    pub(crate) head: MapDims,
    pub(crate) linear: Weight,
    pub(crate) bias: Weight,
    /// All tensors in declaration order.
    pub(crate) tensors: Vec<Tensor>,
    /// Number of maps that drop-path can drop.
    pub(crate) paths: usize,
    /// Length of the buffer of all trained parameters.
    pub(crate) parameters: usize,
    /// Length of the buffer of all transposed weights.
    pub(crate) backward: usize,
}

/// The dimensions of a feature map.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MapDims {
    pub(crate) channels: usize,
    pub(crate) lanes: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

#[derive(Debug)]
pub(crate) struct PhasePlan {
    pub(crate) dims: MapDims,
    pub(crate) entry: Option<Weight>,
    pub(crate) nodes: Vec<NodePlan>,
    pub(crate) output: JoinPlan,
    pub(crate) norm: usize,
    /// For each map, and last for the output, the slot of its gradient; see [`slots`].
    pub(crate) slots: Vec<usize>,
}

#[derive(Debug)]
pub(crate) struct NodePlan {
    pub(crate) input: JoinPlan,
    pub(crate) conv: Weight,
    pub(crate) norm: usize,
}

/// The input of a node or of the phase's output: one map, or several that a 1×1 convolution reduces
/// to the phase's channels.
#[derive(Debug)]
pub(crate) struct JoinPlan {
    pub(crate) conv: Option<Weight>,
    pub(crate) sources: Vec<JoinSource>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct JoinSource {
    /// 0 is the phase's input, `k` is the output of the phase's node at position `k - 1`.
    pub(crate) map: usize,
    /// Its number among the droppable maps.
    pub(crate) path: Option<usize>,
    /// Whether the backward pass reaches this reader of the map before all others.
    pub(crate) last_reader: bool,
}

/// A trained parameter and its position in the buffer of all parameters.
#[derive(Clone, Debug)]
pub(crate) struct Weight {
    pub(crate) range: Range<usize>,
    /// Position of its transposed weights, which the backward pass uses; empty if there are none.
    pub(crate) backward: Range<usize>,
    pub(crate) outputs: usize,
    pub(crate) inputs: usize,
    pub(crate) lanes: usize,
    packing: Packing,
    /// Number of maps that the inputs come from.
    maps: usize,
}

/// How the values of a stored tensor are arranged in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    /// The values of each output in their order: vectors, linear layers, 1×1 and depthwise convolutions.
    Rows,
    /// 3×3 convolutions.
    Kernel3,
    /// Convolutions whose kernel has one row or one column; the number is that of its taps. The values of
    /// a tap are together, as if each tap read a map of its own.
    Taps(usize),
}

/// One stored tensor of the network.
#[derive(Debug)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) role: Role,
}

#[derive(Debug)]
pub(crate) enum Role {
    Trained(Weight),
    /// Counted and stored, but never used.
    Idle(Vec<f32>),
    /// The same of a running mean or variance, which is no parameter.
    IdleStatistic(Vec<f32>),
    RunningMean(usize),
    RunningVar(usize),
}

/// A batch norm with its parameters and statistics.
#[derive(Debug)]
pub(crate) struct BatchNorm {
    pub(crate) dims: MapDims,
    pub(crate) weight: Weight,
    pub(crate) bias: Weight,
    pub(crate) statistics: NormStatistics,
}

impl MapDims {
    pub(crate) fn pixels(self) -> usize {
        self.height * self.width
    }

    /// Rows and columns.
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    pub(crate) fn size(self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// One pixel of such a map.
    pub(crate) fn pixel(self) -> MapDims {
        MapDims {
            height: 1,
            width: 1,
            ..self
        }
    }

    /// Channels, padded to whole blocks.
    pub(crate) fn padded(self) -> usize {
        self.channels.next_multiple_of(self.lanes)
    }

    /// Elements per image.
    pub(crate) fn image(self) -> usize {
        self.padded() * self.pixels()
    }

    /// The sizes of the unpadded 3×3 convolution that reads the planes of images.
    pub(crate) fn first_conv3(self, images: usize, planes: usize) -> Sizes3 {
        Sizes3 {
            images,
            height: self.height + 2,
            width: self.width + 2,
            padding: 0,
            in_channels: planes,
            in_lanes: 1,
            out_channels: self.channels,
            out_lanes: self.lanes,
        }
    }

    /// The sizes of a 3×3 convolution from maps like this to maps like this.
    pub(crate) fn conv3(self, images: usize) -> Sizes3 {
        Sizes3 {
            images,
            height: self.height,
            width: self.width,
            padding: 1,
            in_channels: self.channels,
            in_lanes: self.lanes,
            out_channels: self.channels,
            out_lanes: self.lanes,
        }
    }

    /// The sizes of a 1×1 convolution from `maps` maps like `from` to one like this.
    pub(crate) fn conv1(self, images: usize, maps: usize, from: MapDims) -> Sizes1 {
        Sizes1 {
            images,
            pixels: self.pixels(),
            maps,
            in_channels: from.channels,
            in_lanes: from.lanes,
            out_channels: self.channels,
            out_lanes: self.lanes,
        }
    }
}

impl Weight {
    /// The output of a linear layer with this weight, as a map of one pixel.
    pub(crate) fn output(&self) -> MapDims {
        MapDims {
            channels: self.outputs,
            lanes: self.lanes,
            height: 1,
            width: 1,
        }
    }

    fn pack(&self, values: &[f32]) -> Vec<f32> {
        match self.packing {
            Packing::Rows => pack1(values, self.inputs, self.lanes),
            Packing::Kernel3 => pack3(values, self.inputs, self.lanes),
            Packing::Taps(taps) => pack_taps(values, self.inputs / taps, taps, self.lanes),
        }
    }

    /// The layout of a 1×1 convolution's transposed weights, for inputs of `in_lanes` lanes.
    pub(crate) fn transposed(&self, in_lanes: usize) -> Transposed {
        Transposed {
            inputs: self.inputs / self.maps,
            in_lanes,
            outputs: self.outputs,
            out_lanes: self.lanes,
            maps: self.maps,
        }
    }

    /// Computes the transposed weights, if there are any, for inputs of `in_lanes` lanes.
    pub(crate) fn fill_transposed(
        &self,
        parameters: &[f32],
        in_lanes: usize,
        backward: &mut [f32],
    ) {
        let packed = &parameters[self.range.clone()];
        let to = &mut backward[self.backward.clone()];
        match self.packing {
            _ if to.is_empty() => {}
            Packing::Kernel3 => flipped(packed, self.outputs, self.lanes, to),
            Packing::Rows | Packing::Taps(_) => {
                let transposed = self.transposed(in_lanes);
                for (map, to) in to.chunks_exact_mut(transposed.len()).enumerate() {
                    transposed.fill(packed, map, to);
                }
            }
        }
    }

    /// Copies the values of a stored tensor to this weight's position in `all`.
    pub(crate) fn put(&self, values: &[f32], all: &mut [f32]) {
        all[self.range.clone()].copy_from_slice(&self.pack(values));
    }

    /// The inverse of [`Weight::put`].
    pub(crate) fn get(&self, all: &[f32]) -> Vec<f32> {
        let packed = &all[self.range.clone()];
        let (inputs, outputs, lanes) = (self.inputs, self.outputs, self.lanes);
        match self.packing {
            Packing::Rows => unpack1(packed, inputs, outputs, lanes),
            Packing::Kernel3 => unpack3(packed, inputs, outputs, lanes),
            Packing::Taps(taps) => unpack_taps(packed, inputs / taps, taps, outputs, lanes),
        }
    }
}

impl BatchNorm {
    /// Its statistics as an affine function, with the bias among all parameters.
    pub(crate) fn affine<'a>(&'a self, parameters: &'a [f32], relu: bool) -> Affine<'a> {
        Affine {
            mean: &self.statistics.mean,
            scale: &self.statistics.scale,
            bias: &parameters[self.bias.range.clone()],
            relu,
        }
    }
}

/// The parameters among tensors: those that are trained, and those that are counted only.
pub(crate) fn parameters(tensors: &[Tensor]) -> impl Iterator<Item = &Tensor> {
    let is_parameter = |tensor: &&Tensor| matches!(tensor.role, Role::Trained(_) | Role::Idle(_));
    tensors.iter().filter(is_parameter)
}

impl NetworkPlan {
    /// The linear layer's output, as a map of one pixel.
    pub(crate) fn classes(&self) -> MapDims {
        self.linear.output()
    }

    /// The linear layer's input, as a map of one pixel.
    pub(crate) fn features(&self) -> MapDims {
        self.head.pixel()
    }

    /// All parameters, in declaration order.
    pub(crate) fn declared(&self) -> impl Iterator<Item = &Tensor> {
        parameters(&self.tensors)
    }

    /// All parameters except those of batch norms.
    pub(crate) fn weights(&self) -> impl Iterator<Item = &Weight> {
        let phases = self.phases.iter().flat_map(|phase| {
            let nodes = phase.nodes.iter();
            let nodes = nodes.flat_map(|node| [node.input.conv.as_ref(), Some(&node.conv)]);
            let ends = [phase.entry.as_ref(), phase.output.conv.as_ref()];
            nodes.chain(ends).flatten()
        });
        phases.chain([&self.linear, &self.bias])
    }

    /// Assigns positions to the transposed weights.
    fn assign_transposed(&mut self) {
        let mut next = 0;
        let mut place = |weight: &mut Weight, numbers: usize| {
            weight.backward = next..next + numbers;
            next += numbers;
        };
        let mut from = self.head.lanes;
        for (index, phase) in self.phases.iter_mut().enumerate() {
            let lanes = phase.dims.lanes;
            match &mut phase.entry {
                Some(entry) if index > 0 => {
                    let numbers = entry.transposed(from).len();
                    place(entry, numbers);
                }
                _ => {}
            }
            from = lanes;
            let nodes = phase.nodes.iter_mut();
            let joins = nodes.flat_map(|node| [node.input.conv.as_mut(), Some(&mut node.conv)]);
            for weight in joins.chain([phase.output.conv.as_mut()]).flatten() {
                let numbers = match weight.packing {
                    Packing::Kernel3 => weight.range.len(),
                    Packing::Rows | Packing::Taps(_) => {
                        let one = weight.transposed(lanes);
                        one.maps * one.len()
                    }
                };
                place(weight, numbers);
            }
        }
        let numbers = self.linear.transposed(self.head.lanes).len();
        place(&mut self.linear, numbers);
        self.backward = next;
    }

    /// Computes all transposed weights from the parameters.
    pub(crate) fn fill_transposed(&self, parameters: &[f32], backward: &mut [f32]) {
        let mut from = self.head.lanes;
        for phase in &self.phases {
            let lanes = phase.dims.lanes;
            if let Some(entry) = &phase.entry {
                entry.fill_transposed(parameters, from, backward);
            }
            from = lanes;
            let nodes = phase.nodes.iter();
            let joins = nodes.flat_map(|node| [node.input.conv.as_ref(), Some(&node.conv)]);
            for weight in joins.chain([phase.output.conv.as_ref()]).flatten() {
                weight.fill_transposed(parameters, lanes, backward);
            }
        }
        self.linear
            .fill_transposed(parameters, self.head.lanes, backward);
    }
}

impl PhasePlan {
    /// The batch norm of a node or, for the step after the last node, of the output.
    pub(crate) fn norm_of(&self, node: usize) -> usize {
        self.nodes.get(node).map_or(self.norm, |node| node.norm)
    }
}

impl Tensor {
    pub(crate) fn named(&self, values: Vec<f32>) -> NamedTensor {
        NamedTensor {
            name: self.name.clone(),
            shape: self.shape.clone(),
            values,
        }
    }
}
