//! What a network consists of and where each of its numbers lies.

pub(crate) mod planner;
mod slots;

use std::ops::Range;

pub(crate) use self::slots::OWN_OUTPUT;
use crate::kernels::conv1::Sizes1;
use crate::kernels::conv3::Sizes3;
use crate::kernels::layout::{Transposed, flipped, pack1, pack3, unpack1, unpack3};
use crate::kernels::statistics::Statistics;
use crate::weights::NamedTensor;

/// The network of an architecture, without its numbers.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) phases: Vec<PhasePlan>,
    /// Channels and lanes of what is averaged before the linear layer, and its pixels.
    pub(crate) head: Side,
    pub(crate) linear: Weight,
    pub(crate) bias: Weight,
    /// All tensors in declaration order.
    pub(crate) tensors: Vec<Tensor>,
    /// How many maps can be dropped.
    pub(crate) paths: usize,
    /// Numbers of all parameters that are trained.
    pub(crate) parameters: usize,
    /// Numbers of the weights that lead back.
    pub(crate) backward: usize,
}

/// One kind of feature map.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side {
    pub(crate) channels: usize,
    pub(crate) lanes: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

#[derive(Debug)]
pub(crate) struct PhasePlan {
    pub(crate) side: Side,
    pub(crate) entry: Option<Weight>,
    pub(crate) nodes: Vec<NodePlan>,
    pub(crate) output: Join,
    pub(crate) norm: usize,
    /// For each map, and at the end for the output, the buffer that its gradient has while it is
    /// needed.
    pub(crate) slots: Vec<usize>,
}

#[derive(Debug)]
pub(crate) struct NodePlan {
    pub(crate) input: Join,
    pub(crate) conv: Weight,
    pub(crate) norm: usize,
}

/// What reads one map, or several that a 1×1 convolution brings back to the phase's channels.
#[derive(Debug)]
pub(crate) struct Join {
    pub(crate) conv: Option<Weight>,
    pub(crate) sources: Vec<JoinSource>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct JoinSource {
    /// 0 is the phase's input, `k` is what the phase's node at place `k - 1` gives.
    pub(crate) map: usize,
    /// Its number among the maps that can be dropped.
    pub(crate) path: Option<usize>,
    /// Whether the backward pass meets this reader of the map before any other.
    pub(crate) last_reader: bool,
}

/// A parameter that is trained: where it lies among all of them.
#[derive(Clone, Debug)]
pub(crate) struct Weight {
    pub(crate) place: Range<usize>,
    /// Where the weights lie by which a gradient goes back through it; empty where none does.
    pub(crate) backward: Range<usize>,
    pub(crate) outputs: usize,
    pub(crate) inputs: usize,
    pub(crate) lanes: usize,
    kernel: usize,
    /// Maps that the inputs are of.
    maps: usize,
}

/// One tensor that the network has on disk.
#[derive(Debug)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) role: Role,
}

#[derive(Debug)]
pub(crate) enum Role {
    Trained(Weight),
    /// Counted and stored, but never applied.
    Idle(Vec<f32>),
    RunningMean(usize),
    RunningVar(usize),
}

/// A batch norm with its numbers.
#[derive(Debug)]
pub(crate) struct Norm {
    pub(crate) side: Side,
    pub(crate) weight: Weight,
    pub(crate) bias: Weight,
    pub(crate) statistics: Statistics,
}

impl Side {
    pub(crate) fn pixels(self) -> usize {
        self.height * self.width
    }

    /// Channels with those that only fill the last block.
    pub(crate) fn padded(self) -> usize {
        self.channels.next_multiple_of(self.lanes)
    }

    /// Numbers of one image.
    pub(crate) fn image(self) -> usize {
        self.padded() * self.pixels()
    }

    /// A convolution of maps like this one into maps like this one.
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

    /// A 1×1 convolution of `maps` maps of `from` into one like this.
    pub(crate) fn conv1(self, images: usize, maps: usize, from: Side) -> Sizes1 {
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
    fn pack(&self, values: &[f32]) -> Vec<f32> {
        match self.kernel {
            3 => pack3(values, self.inputs, self.lanes),
            _ => pack1(values, self.inputs, self.lanes),
        }
    }

    /// How a 1×1 convolution leads back to inputs of so many lanes.
    pub(crate) fn transposed(&self, in_lanes: usize) -> Transposed {
        Transposed {
            inputs: self.inputs / self.maps,
            in_lanes,
            outputs: self.outputs,
            out_lanes: self.lanes,
            maps: self.maps,
        }
    }

    /// Fills its weights that lead back to inputs of so many lanes, if any do.
    fn lead_back(&self, parameters: &[f32], in_lanes: usize, backward: &mut [f32]) {
        let packed = &parameters[self.place.clone()];
        let to = &mut backward[self.backward.clone()];
        match self.kernel {
            _ if to.is_empty() => {}
            3 => flipped(packed, self.outputs, self.lanes, to),
            _ => {
                let transposed = self.transposed(in_lanes);
                for (map, to) in to.chunks_exact_mut(transposed.len()).enumerate() {
                    transposed.fill(packed, map, to);
                }
            }
        }
    }

    /// The values of a stored tensor in this weight's place among `all`.
    pub(crate) fn put(&self, values: &[f32], all: &mut [f32]) {
        all[self.place.clone()].copy_from_slice(&self.pack(values));
    }

    /// The way back.
    pub(crate) fn get(&self, all: &[f32]) -> Vec<f32> {
        let packed = &all[self.place.clone()];
        match self.kernel {
            3 => unpack3(packed, self.inputs, self.outputs, self.lanes),
            _ => unpack1(packed, self.inputs, self.outputs, self.lanes),
        }
    }
}

impl Plan {
    /// The linear layer's output, as a map of one pixel.
    pub(crate) fn classes(&self) -> Side {
        Side {
            channels: self.linear.outputs,
            lanes: self.linear.lanes,
            height: 1,
            width: 1,
        }
    }

    /// The linear layer's input, as a map of one pixel.
    pub(crate) fn features(&self) -> Side {
        Side {
            height: 1,
            width: 1,
            ..self.head
        }
    }

    /// All tensors that are parameters.
    pub(crate) fn declared(&self) -> impl Iterator<Item = &Tensor> {
        let is_parameter =
            |tensor: &&Tensor| matches!(tensor.role, Role::Trained(_) | Role::Idle(_));
        self.tensors.iter().filter(is_parameter)
    }

    /// All parameters but those of batch norms.
    pub(crate) fn weights(&self) -> impl Iterator<Item = &Weight> {
        let phases = self.phases.iter().flat_map(|phase| {
            let nodes = phase.nodes.iter();
            let nodes = nodes.flat_map(|node| [node.input.conv.as_ref(), Some(&node.conv)]);
            let ends = [phase.entry.as_ref(), phase.output.conv.as_ref()];
            nodes.chain(ends).flatten()
        });
        phases.chain([&self.linear, &self.bias])
    }

    /// Gives places to the weights that lead back.
    fn place_backward(&mut self) {
        let mut next = 0;
        let mut place = |weight: &mut Weight, numbers: usize| {
            weight.backward = next..next + numbers;
            next += numbers;
        };
        let mut from = self.head.lanes;
        for (index, phase) in self.phases.iter_mut().enumerate() {
            let lanes = phase.side.lanes;
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
                let numbers = match weight.kernel {
                    3 => weight.place.len(),
                    _ => {
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

    /// Fills the weights that lead back.
    pub(crate) fn lead_back(&self, parameters: &[f32], backward: &mut [f32]) {
        let mut from = self.head.lanes;
        for phase in &self.phases {
            let lanes = phase.side.lanes;
            if let Some(entry) = &phase.entry {
                entry.lead_back(parameters, from, backward);
            }
            from = lanes;
            let nodes = phase.nodes.iter();
            let joins = nodes.flat_map(|node| [node.input.conv.as_ref(), Some(&node.conv)]);
            for weight in joins.chain([phase.output.conv.as_ref()]).flatten() {
                weight.lead_back(parameters, lanes, backward);
            }
        }
        self.linear.lead_back(parameters, self.head.lanes, backward);
    }
}

impl PhasePlan {
    /// The batch norm of a node or, after the last, of the output.
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
