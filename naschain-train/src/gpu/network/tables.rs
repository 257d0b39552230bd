//! Lookup tables of the kernels: the sources of joins and the rows of parameters.

use cubecl::prelude::Runtime;

use crate::gpu::kernels::join::SOURCE;
use crate::gpu::{Buffer, Gpu, View};
use crate::plan::{JoinPlan, NetworkPlan, Role};

pub(super) struct Tables {
    sources: Buffer,
    /// For each phase, the offsets of the sources of each node's join and of the output's.
    joins: Vec<Vec<usize>>,
    /// For each output channel of each parameter: offset and length.
    pub(super) rows: Buffer,
    pub(super) row_count: usize,
    /// For each parameter: first row and number of rows.
    pub(super) tensors: Buffer,
    pub(super) tensor_count: usize,
}

impl Tables {
    pub(super) fn new<R: Runtime>(gpu: &Gpu<R>, plan: &NetworkPlan) -> Tables {
        let mut sources = Vec::new();
        let mut joins = Vec::new();
        for phase in &plan.phases {
            let of_nodes = phase.nodes.iter().map(|node| &node.input);
            let mut add = |join: &JoinPlan| {
                let first = sources.len();
                for source in &join.sources {
                    let path = source.path.map_or(0, |path| path + 1);
                    let entry = [source.map, path, usize::from(source.last_reader)];
                    sources.extend(entry.map(|number| number as u32));
                }
                first
            };
            joins.push(of_nodes.chain([&phase.output]).map(&mut add).collect());
        }
        let (mut rows, mut tensors) = (Vec::new(), Vec::new());
        for tensor in &plan.tensors {
            let Role::Trained(weight) = &tensor.role else {
                continue;
            };
            let numbers = weight.range.len() / weight.outputs;
            let places = weight.range.clone().step_by(numbers);
            tensors.extend([(rows.len() / 2) as u32, weight.outputs as u32]);
            rows.extend(places.flat_map(|place| [place as u32, numbers as u32]));
        }
        Tables {
            sources: gpu.write_integers(&sources),
            joins,
            row_count: rows.len() / 2,
            rows: gpu.write_integers(&rows),
            tensor_count: tensors.len() / 2,
            tensors: gpu.write_integers(&tensors),
        }
    }

    /// The sources of a node's join or, for the step after the last node, of the output's.
    pub(super) fn join(&self, phase: usize, node: usize) -> View<'_> {
        debug_assert_eq!(self.joins[phase][node] % SOURCE, 0);
        self.sources.from(self.joins[phase][node])
    }
}
