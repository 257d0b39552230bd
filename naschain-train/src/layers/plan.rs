//! The layers of a [`LayerGraph`] with the places of their tensors, and of the gradients of their maps,
//! in memory.

use naschain_core::{GraphLayer, LayerGraph, LayerOperation, Shape};

use crate::Error;
use crate::plan::planner::Planner;
use crate::plan::{MapDims, Packing, Role, Tensor, Weight, parameters};
use crate::weights::Init;

/// The layers of a network, without parameter values.
#[derive(Debug)]
pub(crate) struct LayersPlan {
    /// The dimensions of each map; map 0 is the image.
    pub(crate) maps: Vec<MapDims>,
    pub(crate) layers: Vec<LayerPlan>,
    /// The maps that the linear layer reads.
    pub(crate) outputs: Vec<usize>,
    pub(crate) linear: Weight,
    pub(crate) bias: Weight,
    /// All tensors in declaration order.
    pub(crate) tensors: Vec<Tensor>,
    /// Number of maps that drop-path can drop.
    pub(crate) paths: usize,
    /// Length of the buffer of all transposed weights.
    pub(crate) backward: usize,
    /// The buffer of the gradient of each map.
    pub(crate) slots: Vec<usize>,
    /// Elements per image of each of these buffers.
    pub(crate) slot_sizes: Vec<usize>,
}

/// A layer that the network's output depends on.
#[derive(Debug)]
pub(crate) struct LayerPlan {
    pub(crate) operation: LayerOperation,
    pub(crate) inputs: Vec<LayerInput>,
    /// The number of its output.
    pub(crate) output: usize,
    pub(crate) weight: Option<Weight>,
    /// The number of its batch norm, if it is one.
    pub(crate) norm: Option<usize>,
}

/// A map that a layer reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LayerInput {
    pub(crate) map: usize,
    /// Its number among the droppable maps.
    pub(crate) path: Option<usize>,
    /// Whether the backward pass reaches this reader of the map before all others.
    pub(crate) last_reader: bool,
}

/// How the layers of a network are connected, and where their gradients are kept.
#[derive(Debug)]
pub(crate) struct Wiring {
    pub(crate) maps: Vec<MapDims>,
    /// Without their tensors.
    pub(crate) layers: Vec<LayerPlan>,
    pub(crate) paths: usize,
    pub(crate) slots: Vec<usize>,
    pub(crate) slot_sizes: Vec<usize>,
}

impl Wiring {
    /// The layers that the output of a network depends on; `lanes` gives the lanes of a map by its channels.
    pub(crate) fn new(graph: &LayerGraph, lanes: &dyn Fn(usize) -> usize) -> Wiring {
        let used = graph.used_maps();
        let (mut layers, mut paths) = (Vec::new(), 0);
        for (index, layer) in graph.layers.iter().enumerate() {
            if !used[index + 1] {
                continue;
            }
            let droppable = match layer.operation {
                LayerOperation::Add { droppable } => droppable,
                _ => [false; 2],
            };
            let droppable = droppable.into_iter().chain(std::iter::repeat(false));
            let inputs = layer.inputs.iter().zip(droppable).map(|(map, droppable)| {
                let path = droppable.then_some(paths);
                paths += usize::from(droppable);
                LayerInput {
                    map: *map,
                    path,
                    last_reader: false,
                }
            });
            layers.push(LayerPlan {
                operation: layer.operation,
                inputs: inputs.collect(),
                output: index + 1,
                weight: None,
                norm: None,
            });
        }
        let maps = (0..=graph.layers.len()).map(|map| dims(graph.shape(map), lanes));
        let mut wiring = Wiring {
            maps: maps.collect(),
            layers,
            paths,
            slots: vec![0; graph.layers.len() + 1],
            slot_sizes: Vec::new(),
        };
        wiring.find_last_readers(&graph.outputs);
        wiring.assign_slots(&graph.outputs);
        wiring
    }

    /// The backward pass visits the linear layer, then the layers from the last to the first.
    fn find_last_readers(&mut self, outputs: &[usize]) {
        let mut met = vec![false; self.maps.len()];
        for map in outputs {
            met[*map] = true;
        }
        for input in self.layers.iter_mut().rev().flat_map(|l| &mut l.inputs) {
            input.last_reader = !std::mem::replace(&mut met[input.map], true);
        }
    }

    /// Assigns a buffer to the gradient of each map: one of its size that is no longer needed, or a new
    /// one. The gradient of a batch norm's input replaces that of its output.
    fn assign_slots(&mut self, outputs: &[usize]) {
        let (mut sizes, mut free): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
        let mut take = |free: &mut Vec<usize>, size: usize| {
            if let Some(at) = free.iter().position(|slot| sizes[*slot] == size) {
                return free.swap_remove(at);
            }
            sizes.push(size);
            sizes.len() - 1
        };
        for map in outputs {
            self.slots[*map] = take(&mut free, self.maps[*map].image());
        }
        for layer in self.layers.iter().rev() {
            let own = self.slots[layer.output];
            let is_norm = layer.operation == LayerOperation::BatchNorm;
            for input in layer.inputs.iter().filter(|input| input.last_reader) {
                self.slots[input.map] = match (is_norm, input.map) {
                    (true, _) => own,
                    // The image has no gradient.
                    (false, 0) => continue,
                    (false, map) => take(&mut free, self.maps[map].image()),
                };
            }
            if !(is_norm && layer.inputs[0].last_reader) {
                free.push(own);
            }
        }
        self.slot_sizes = sizes;
    }
}

impl LayersPlan {
    /// Plans a network with tensors from the planner's source.
    pub(crate) fn new(graph: &LayerGraph, planner: &mut Planner) -> Result<LayersPlan, Error> {
        let mut wiring = Wiring::new(graph, planner.lanes);
        let mut used = wiring.layers.iter_mut().peekable();
        for (index, layer) in graph.layers.iter().enumerate() {
            match used.next_if(|layer| layer.output == index + 1) {
                Some(plan) => {
                    (plan.weight, plan.norm) = tensors_of(graph, layer, planner)?;
                }
                None => store_idle(graph, layer, planner)?,
            }
        }
        let (maps, outputs) = (wiring.maps, graph.outputs.clone());
        let features = outputs.iter().map(|map| maps[*map].channels).sum();
        let start = Init::Uniform { fan_in: features };
        let (rows, classes) = (Packing::Rows, graph.classes);
        let shape = [classes, features];
        let linear = planner.packed("linear.weight", &shape, start, rows, outputs.len())?;
        let bias = planner.packed("linear.bias", &[classes], start, rows, 1)?;
        let mut plan = LayersPlan {
            maps,
            layers: wiring.layers,
            outputs,
            linear,
            bias,
            tensors: std::mem::take(&mut planner.tensors),
            paths: wiring.paths,
            backward: 0,
            slots: wiring.slots,
            slot_sizes: wiring.slot_sizes,
        };
        plan.assign_transposed();
        Ok(plan)
    }

    /// The linear layer's output, as a map of one pixel.
    pub(crate) fn classes(&self) -> MapDims {
        self.linear.output()
    }

    /// The linear layer's inputs, as maps of one pixel that are all alike.
    pub(crate) fn features(&self) -> MapDims {
        self.maps[self.outputs[0]].pixel()
    }

    /// All parameters, in declaration order.
    pub(crate) fn declared(&self) -> impl Iterator<Item = &Tensor> {
        parameters(&self.tensors)
    }

    /// All parameters except those of batch norms.
    pub(crate) fn weights(&self) -> impl Iterator<Item = &Weight> {
        let of_layers = self.layers.iter().filter_map(|layer| layer.weight.as_ref());
        of_layers.chain([&self.linear, &self.bias])
    }

    /// Computes all transposed weights from the parameters.
    pub(crate) fn fill_transposed(&self, parameters: &[f32], backward: &mut [f32]) {
        for layer in &self.layers {
            if let Some(weight) = &layer.weight {
                let lanes = self.maps[layer.inputs[0].map].lanes;
                weight.fill_transposed(parameters, lanes, backward);
            }
        }
        let lanes = self.features().lanes;
        self.linear.fill_transposed(parameters, lanes, backward);
    }

    /// Assigns positions to the transposed weights.
    fn assign_transposed(&mut self) {
        let features = self.features().lanes;
        let mut next = 0;
        let mut place = |weight: &mut Weight, in_lanes: usize| {
            let one = weight.transposed(in_lanes);
            weight.backward = next..next + one.maps * one.len();
            next = weight.backward.end;
        };
        for layer in &mut self.layers {
            // Depthwise convolutions use their weights as they are, and the image has no gradient.
            let is_transposed = matches!(layer.operation, LayerOperation::Convolution { .. })
                && layer.inputs[0].map > 0;
            if let (true, Some(weight)) = (is_transposed, &mut layer.weight) {
                place(weight, self.maps[layer.inputs[0].map].lanes);
            }
        }
        place(&mut self.linear, features);
        self.backward = next;
    }
}

fn dims(shape: Shape, lanes: &dyn Fn(usize) -> usize) -> MapDims {
    MapDims {
        channels: shape.channels,
        lanes: lanes(shape.channels),
        height: shape.height,
        width: shape.width,
    }
}

/// The shape of a convolution's weight, its packing, and the number of maps that its inputs come from;
/// `None` for other layers.
fn weight_of(graph: &LayerGraph, layer: &GraphLayer) -> Option<([usize; 4], Packing, usize)> {
    let channels = layer.output.channels;
    let read = layer.inputs.iter().map(|map| graph.shape(*map).channels);
    match layer.operation {
        LayerOperation::Convolution { kernel, .. } => {
            let shape = [channels, read.sum(), kernel[0], kernel[1]];
            let maps = layer.inputs.len();
            Some(match kernel {
                [1, 1] => (shape, Packing::Rows, maps),
                [3, 3] => (shape, Packing::Kernel3, maps),
                [rows, columns] => (shape, Packing::Taps(rows * columns), rows * columns),
            })
        }
        LayerOperation::Depthwise { kernel, .. } => {
            Some(([channels, 1, kernel, kernel], Packing::Rows, 1))
        }
        _ => None,
    }
}

/// The initial values of a convolution's weight.
fn start(shape: &[usize]) -> Init {
    Init::Uniform {
        fan_in: shape[1..].iter().product(),
    }
}

/// The weight of a layer, and the number of its batch norm.
fn tensors_of(
    graph: &LayerGraph,
    layer: &GraphLayer,
    planner: &mut Planner,
) -> Result<(Option<Weight>, Option<usize>), Error> {
    if layer.operation == LayerOperation::BatchNorm {
        let dims = dims(layer.output, planner.lanes);
        return Ok((None, Some(planner.norm(&layer.name, dims)?)));
    }
    let Some((shape, packing, maps)) = weight_of(graph, layer) else {
        return Ok((None, None));
    };
    let name = format!("{}.weight", layer.name);
    let weight = planner.packed(&name, &shape, start(&shape), packing, maps)?;
    Ok((Some(weight), None))
}

/// Keeps the tensors of a layer that the network's output does not depend on.
fn store_idle(graph: &LayerGraph, layer: &GraphLayer, planner: &mut Planner) -> Result<(), Error> {
    let mut keep = |part: &str, shape: &[usize], start: Init, role: fn(Vec<f32>) -> Role| {
        let name = format!("{}.{part}", layer.name);
        let values = planner.source.take(&name, shape, start)?;
        planner.declare(name, shape, role(values));
        Ok::<(), Error>(())
    };
    if let Some((shape, ..)) = weight_of(graph, layer) {
        keep("weight", &shape, start(&shape), Role::Idle)?;
    }
    if layer.operation == LayerOperation::BatchNorm {
        let shape = [layer.output.channels];
        keep("weight", &shape, Init::Constant(1.0), Role::Idle)?;
        keep("bias", &shape, Init::Constant(0.0), Role::Idle)?;
        let role = Role::IdleStatistic;
        keep("running_mean", &shape, Init::Constant(0.0), role)?;
        keep("running_var", &shape, Init::Constant(1.0), role)?;
    }
    Ok(())
}
