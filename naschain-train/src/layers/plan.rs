//! The layers of a [`LayerGraph`] with the places of their tensors, and of the gradients of their maps,
//! in memory.

use naschain_core::{GraphLayer, LayerGraph, LayerOperation, Shape};

use crate::Error;
use crate::kernels::elementwise::Function;
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
    /// For each map whether it is an image: planes of pixels with a border, as
    /// [`Conv3`](crate::kernels::conv3::Conv3) reads them. So are the network's input and its resized copy.
    pub(crate) is_image: Vec<bool>,
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
    pub(crate) is_image: Vec<bool>,
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
        let is_resized = |layer: &GraphLayer| layer.operation == LayerOperation::Resize;
        let is_image = std::iter::once(true).chain(graph.layers.iter().map(is_resized));
        let mut wiring = Wiring {
            maps: maps.collect(),
            layers,
            paths,
            slots: vec![0; graph.layers.len() + 1],
            slot_sizes: Vec::new(),
            is_image: is_image.collect(),
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
            // Images have no gradient.
            if self.is_image[layer.output] {
                continue;
            }
            let own = self.slots[layer.output];
            let is_norm = layer.operation == LayerOperation::BatchNorm;
            for input in layer.inputs.iter().filter(|input| input.last_reader) {
                if is_norm {
                    self.slots[input.map] = own;
                } else if !self.is_image[input.map] {
                    let size = self.maps[input.map].image();
                    self.slots[input.map] = take(&mut free, size);
                }
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
            is_image: wiring.is_image,
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

    /// The dimensions of the first map that a layer reads, and of its output.
    pub(crate) fn sides(&self, layer: &LayerPlan) -> [MapDims; 2] {
        [self.maps[layer.inputs[0].map], self.maps[layer.output]]
    }

    /// The elements of a map of one image.
    pub(crate) fn elements(&self, map: usize) -> usize {
        let dims = self.maps[map];
        if self.is_image[map] {
            dims.channels * (dims.height + 2) * (dims.width + 2)
        } else {
            dims.image()
        }
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
            // Other weights are used as they are, and images have no gradient.
            let read = layer.inputs[0].map;
            let is_transposed = matches!(layer.operation, LayerOperation::Convolution { .. })
                && !self.is_image[read];
            if let (true, Some(weight)) = (is_transposed, &mut layer.weight) {
                place(weight, self.maps[read].lanes);
            }
        }
        place(&mut self.linear, features);
        self.backward = next;
    }
}

/// The function that a layer applies to each value.
pub(crate) fn function(operation: LayerOperation) -> Function {
    match operation {
        LayerOperation::Relu => Function::Relu,
        LayerOperation::HardSigmoid => Function::HardSigmoid,
        LayerOperation::HardSwish => Function::HardSwish,
        other => unreachable!("{other:?} is no function of one value"),
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

/// A tensor that a layer is trained with, batch norm apart.
pub(crate) struct LayerWeight {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) start: Init,
    packing: Packing,
    /// Number of maps that its inputs come from.
    maps: usize,
}

impl LayerWeight {
    /// That of a convolution or of a bias; `None` for other layers.
    pub(crate) fn of(graph: &LayerGraph, layer: &GraphLayer) -> Option<LayerWeight> {
        let channels = layer.output.channels;
        let read = layer.inputs.iter().map(|map| graph.shape(*map).channels);
        let (shape, packing, maps) = match layer.operation {
            LayerOperation::Convolution { kernel, .. } => {
                let shape = vec![channels, read.sum(), kernel[0], kernel[1]];
                let maps = layer.inputs.len();
                match kernel {
                    [1, 1] => (shape, Packing::Rows, maps),
                    [3, 3] => (shape, Packing::Kernel3, maps),
                    [rows, columns] => (shape, Packing::Taps(rows * columns), rows * columns),
                }
            }
            LayerOperation::Depthwise { kernel, .. } => {
                (vec![channels, 1, kernel, kernel], Packing::Rows, 1)
            }
            LayerOperation::Bias => {
                return Some(LayerWeight {
                    name: layer.name.clone(),
                    shape: vec![channels],
                    start: Init::Constant(0.0),
                    packing: Packing::Rows,
                    maps: 1,
                });
            }
            _ => return None,
        };
        Some(LayerWeight {
            name: format!("{}.weight", layer.name),
            start: Init::Uniform {
                fan_in: shape[1..].iter().product(),
            },
            shape,
            packing,
            maps,
        })
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
    let Some(weight) = LayerWeight::of(graph, layer) else {
        return Ok((None, None));
    };
    let (packing, maps) = (weight.packing, weight.maps);
    let weight = planner.packed(&weight.name, &weight.shape, weight.start, packing, maps)?;
    Ok((Some(weight), None))
}

/// Keeps the tensors of a layer that the network's output does not depend on.
fn store_idle(graph: &LayerGraph, layer: &GraphLayer, planner: &mut Planner) -> Result<(), Error> {
    let mut keep = |name: String, shape: &[usize], start: Init, role: fn(Vec<f32>) -> Role| {
        let values = planner.source.take(&name, shape, start)?;
        planner.declare(name, shape, role(values));
        Ok::<(), Error>(())
    };
    if let Some(weight) = LayerWeight::of(graph, layer) {
        keep(weight.name, &weight.shape, weight.start, Role::Idle)?;
    }
    if layer.operation == LayerOperation::BatchNorm {
        let shape = [layer.output.channels];
        let part = |part: &str| format!("{}.{part}", layer.name);
        keep(part("weight"), &shape, Init::Constant(1.0), Role::Idle)?;
        keep(part("bias"), &shape, Init::Constant(0.0), Role::Idle)?;
        let role = Role::IdleStatistic;
        keep(part("running_mean"), &shape, Init::Constant(0.0), role)?;
        keep(part("running_var"), &shape, Init::Constant(1.0), role)?;
    }
    Ok(())
}
