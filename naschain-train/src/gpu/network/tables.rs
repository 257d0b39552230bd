//! Lookup table of the kernels: the sources of joins.

use cubecl::prelude::Runtime;

use crate::gpu::kernels::join::SOURCE;
use crate::gpu::{Buffer, Gpu, View};
use crate::plan::{JoinPlan, NetworkPlan};

pub(super) struct Tables {
    sources: Buffer,
    /// For each phase, the offsets of the sources of each node's join and of the output's.
    joins: Vec<Vec<usize>>,
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
        Tables {
            sources: gpu.write_integers(&sources),
            joins,
        }
    }

    /// The sources of a node's join or, for the step after the last node, of the output's.
    pub(super) fn join(&self, phase: usize, node: usize) -> View<'_> {
        debug_assert_eq!(self.joins[phase][node] % SOURCE, 0);
        self.sources.from(self.joins[phase][node])
    }
}
