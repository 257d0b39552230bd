//! Builds a network's plan from its architecture, with initial or stored parameter values.

use naschain_core::{Architecture, Phase};

use super::{
    BatchNorm, JoinPlan, JoinSource, MapDims, NetworkPlan, NodePlan, Packing, PhasePlan, Role,
    Tensor, Weight,
};
use crate::Error;
use crate::kernels::statistics::NormStatistics;
use crate::weights::{Init, TensorSource};

/// Builds a plan with parameter values from `source`.
pub(crate) struct Planner<'a> {
    pub(crate) source: &'a mut TensorSource,
    /// Number of lanes for a map of this many channels.
    pub(crate) lanes: &'a dyn Fn(usize) -> usize,
    pub(crate) parameters: Vec<f32>,
    pub(crate) norms: Vec<BatchNorm>,
    pub(crate) tensors: Vec<Tensor>,
    paths: usize,
}

impl<'a> Planner<'a> {
    pub(crate) fn new(
        source: &'a mut TensorSource,
        lanes: &'a dyn Fn(usize) -> usize,
    ) -> Planner<'a> {
        Planner {
            source,
            lanes,
            parameters: Vec::new(),
            norms: Vec::new(),
            tensors: Vec::new(),
            paths: 0,
        }
    }

    pub(crate) fn plan(&mut self, architecture: &Architecture) -> Result<NetworkPlan, Error> {
        let mut phases = Vec::new();
        for (index, phase) in architecture.phases.iter().enumerate() {
            phases.push(self.phase(&format!("phases.{index}"), phase)?);
        }
        let input = architecture.input;
        let head = phases.last().map_or(
            MapDims {
                channels: input.channels,
                lanes: (self.lanes)(input.channels),
                height: input.height,
                width: input.width,
            },
            |phase| phase.dims,
        );
        let start = Init::Uniform {
            fan_in: head.channels,
        };
        let classes = architecture.classes;
        let linear = self.weight("linear.weight", &[classes, head.channels], start)?;
        let bias = self.weight("linear.bias", &[classes], start)?;
        let mut plan = NetworkPlan {
            phases,
            head,
            linear,
            bias,
            tensors: std::mem::take(&mut self.tensors),
            paths: self.paths,
            parameters: self.parameters.len(),
            backward: 0,
        };
        plan.assign_transposed();
        plan.assign_slots();
        // Growth by doubling leaves up to half of the capacity unused.
        self.parameters.shrink_to_fit();
        Ok(plan)
    }

    fn phase(&mut self, name: &str, phase: &Phase) -> Result<PhasePlan, Error> {
        let channels = phase.channels;
        let dims = MapDims {
            channels,
            lanes: (self.lanes)(channels),
            height: phase.height,
            width: phase.width,
        };
        let (kernel, inputs) = (phase.entry.kernel, phase.entry.in_channels);
        let fan_in = inputs * kernel * kernel;
        let shape = [channels, inputs, kernel, kernel];
        let entry_name = format!("{name}.entry.weight");
        let start = Init::Uniform { fan_in };
        let entry = if phase.entry.applied {
            Some(self.weight(&entry_name, &shape, start)?)
        } else {
            let values = self.source.take(&entry_name, &shape, start)?;
            self.declare(entry_name, &shape, Role::Idle(values));
            None
        };
        // Node numbers have gaps where unused nodes were removed; positions have none.
        let place = |number: &usize| {
            let before = phase.nodes.iter().filter(|node| node.number <= *number);
            before.count()
        };
        let mut nodes = Vec::new();
        for node in &phase.nodes {
            let inputs: Vec<usize> = node.inputs.iter().map(place).collect();
            let name = format!("{name}.nodes.{}", node.number);
            let start = Init::Uniform {
                fan_in: 9 * channels,
            };
            let shape = [channels, channels, 3, 3];
            nodes.push(NodePlan {
                input: self.join(&format!("{name}.input"), &inputs, channels)?,
                conv: self.weight(&format!("{name}.conv.weight"), &shape, start)?,
                norm: self.norm(&format!("{name}.norm"), dims)?,
            });
        }
        let inputs: Vec<usize> = phase.output.iter().map(place).collect();
        let mut plan = PhasePlan {
            dims,
            entry,
            nodes,
            output: self.join(&format!("{name}.output"), &inputs, channels)?,
            norm: self.norm(&format!("{name}.norm"), dims)?,
            slots: Vec::new(),
        };
        plan.find_last_readers();
        Ok(plan)
    }

    fn join(&mut self, name: &str, inputs: &[usize], channels: usize) -> Result<JoinPlan, Error> {
        let fan_in = inputs.len() * channels;
        let conv = match inputs.len() {
            1 => None,
            _ => {
                let shape = [channels, fan_in, 1, 1];
                let name = format!("{name}.weight");
                let weight = self.weight(&name, &shape, Init::Uniform { fan_in })?;
                let maps = inputs.len();
                Some(Weight { maps, ..weight })
            }
        };
        let mut sources = Vec::new();
        for &map in inputs {
            let path = (inputs.len() > 1 && map > 0).then_some(self.paths);
            self.paths += usize::from(path.is_some());
            sources.push(JoinSource {
                map,
                path,
                last_reader: false,
            });
        }
        Ok(JoinPlan { conv, sources })
    }

    pub(crate) fn norm(&mut self, name: &str, dims: MapDims) -> Result<usize, Error> {
        let shape = [dims.channels];
        let index = self.norms.len();
        let part = |part: &str| format!("{name}.{part}");
        let weight = self.weight(&part("weight"), &shape, Init::Constant(1.0))?;
        let bias = self.weight(&part("bias"), &shape, Init::Constant(0.0))?;
        let mut running = |name: String, start, role| -> Result<Vec<f32>, Error> {
            let mut values = self.source.take(&name, &shape, Init::Constant(start))?;
            values.resize(dims.padded(), start);
            self.declare(name, &shape, role);
            Ok(values)
        };
        let mean = running(part("running_mean"), 0.0, Role::RunningMean(index))?;
        let var = running(part("running_var"), 1.0, Role::RunningVar(index))?;
        self.norms.push(BatchNorm {
            dims,
            weight,
            bias,
            statistics: NormStatistics::new(mean, var),
        });
        Ok(index)
    }

    /// Takes a tensor whose dimensions begin with outputs and inputs.
    fn weight(&mut self, name: &str, shape: &[usize], start: Init) -> Result<Weight, Error> {
        let packing = match shape.get(2) {
            Some(3) => Packing::Kernel3,
            _ => Packing::Rows,
        };
        self.packed(name, shape, start, packing, 1)
    }

    /// Takes a tensor whose first dimension is that of the outputs; its inputs come from `maps` maps.
    pub(crate) fn packed(
        &mut self,
        name: &str,
        shape: &[usize],
        start: Init,
        packing: Packing,
        maps: usize,
    ) -> Result<Weight, Error> {
        let values = self.source.take(name, shape, start)?;
        let inputs = match packing {
            Packing::Kernel3 => shape[1],
            Packing::Rows | Packing::Taps(_) => shape[1..].iter().product(),
        };
        let mut weight = Weight {
            range: 0..0,
            backward: 0..0,
            outputs: shape[0],
            inputs,
            lanes: (self.lanes)(shape[0]),
            packing,
            maps,
        };
        let packed = weight.pack(&values);
        weight.range = self.parameters.len()..self.parameters.len() + packed.len();
        self.parameters.extend(packed);
        self.declare(name.to_owned(), shape, Role::Trained(weight.clone()));
        Ok(weight)
    }

    pub(crate) fn declare(&mut self, name: String, shape: &[usize], role: Role) {
        self.tensors.push(Tensor {
            name,
            shape: shape.to_vec(),
            role,
        });
    }
}
