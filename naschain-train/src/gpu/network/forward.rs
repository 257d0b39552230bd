//! The forward pass of a batch.

use cubecl::prelude::Runtime;

use super::GpuNetwork;
use super::buffers::{Buffers, PhaseBuffers};
use crate::gpu::View;
use crate::gpu::launch::{Conv1, Conv3, Norm, Sources, average, bias, copy, pool};
use crate::plan::MapDims;

impl<R: Runtime> GpuNetwork<R> {
    /// Computes the logits of the batch, with the batch's statistics if `training`.
    pub(super) fn forward(&self, training: bool) {
        let Some(buffers) = &self.buffers else { return };
        for phase in 0..self.plan.phases.len() {
            for node in 0..=self.plan.phases[phase].nodes.len() {
                match node {
                    0 => self.enter(buffers, phase),
                    _ => {
                        let here = &buffers.phases[phase];
                        let norm = self.norm(buffers, phase, node - 1);
                        norm.normalise(&self.state.gpu, here.maps.from(node * here.step));
                    }
                }
                self.convolve(buffers, phase, node);
                if training {
                    let [sums, squares] = &buffers.stripes;
                    let norm = self.norm(buffers, phase, node);
                    let stripes = [sums.all(), squares.all()];
                    let running = [norm.statistics.mean; 2];
                    norm.update_statistics(&self.state.gpu, stripes, None, running);
                }
            }
        }
        self.head(buffers);
    }

    /// The batch norm of a node or, for the step after the last node, of the output.
    pub(super) fn norm<'a>(&'a self, buffers: &'a Buffers, phase: usize, node: usize) -> Norm<'a> {
        let plan = &self.plan.phases[phase];
        let z = self.z(buffers, phase, node);
        let pixels = plan.dims.pixels();
        self.state
            .norm(plan.norm_of(node), buffers.images, pixels, z, true)
    }

    /// The input of that batch norm.
    fn z<'a>(&self, buffers: &'a Buffers, phase: usize, node: usize) -> View<'a> {
        let plan = &self.plan.phases[phase];
        let here = &buffers.phases[phase];
        match plan.output.conv {
            None if node == plan.nodes.len() => here.map(plan.output.sources[0].map),
            _ => here.z[node].all(),
        }
    }

    /// Computes a phase's input from the pixels or from the previous phase.
    fn enter(&self, buffers: &Buffers, phase: usize) {
        let (plan, gpu) = (&self.plan.phases[phase], &self.state.gpu);
        let maps = buffers.phases[phase].maps.all();
        if phase == 0 {
            match &plan.entry {
                Some(entry) => self.first_conv(buffers, entry.inputs).run(
                    gpu,
                    buffers.input.all(),
                    self.state.weight(entry),
                    maps,
                ),
                None => copy(gpu, buffers.input.all(), maps, buffers.images * self.image),
            }
            return;
        }
        self.finish_output(buffers, phase - 1);
        let from = self.plan.phases[phase - 1].dims;
        let planes = buffers.images * from.channels;
        let out = buffers.phases[phase - 1].out.all();
        let size = [from.height, from.width];
        match &plan.entry {
            None => pool(gpu, out, maps, planes, size),
            Some(entry) => {
                let pooled = buffers.phases[phase].pooled.all();
                pool(gpu, out, pooled, planes, size);
                let conv = self.single_conv(buffers, from.channels, plan.dims);
                let weights = self.state.weight(entry);
                conv.run(gpu, pooled, weights, maps, false);
            }
        }
    }

    /// Batch norm and ReLU of the phase's output.
    fn finish_output(&self, buffers: &Buffers, phase: usize) {
        let norm = self.norm(buffers, phase, self.plan.phases[phase].nodes.len());
        norm.normalise(&self.state.gpu, buffers.phases[phase].out.all());
    }

    /// Runs a node's join and convolution, or the output's join.
    fn convolve(&self, buffers: &Buffers, phase: usize, node: usize) {
        let plan = &self.plan.phases[phase];
        let here = &buffers.phases[phase];
        let (join, conv) = match plan.nodes.get(node) {
            Some(node) => (&node.input, Some(&node.conv)),
            None => (&plan.output, None),
        };
        if let Some(weights) = &join.conv {
            let out = match conv {
                Some(_) => here.joined[node].all(),
                None => here.z[node].all(),
            };
            let weights = self.state.weight(weights);
            let join = self.join(buffers, phase, node);
            join.run(&self.state.gpu, here.maps.all(), weights, out, false);
        }
        if let Some(conv) = conv {
            let x = self.conv_input(buffers, phase, node);
            let weights = self.state.weight(conv);
            let conv = node_conv(buffers, plan.dims);
            conv.run(&self.state.gpu, x, weights, here.z[node].all());
        }
    }

    /// The input of a node's convolution.
    pub(super) fn conv_input<'a>(
        &self,
        buffers: &'a Buffers,
        phase: usize,
        node: usize,
    ) -> View<'a> {
        let join = &self.plan.phases[phase].nodes[node].input;
        let here = &buffers.phases[phase];
        match join.conv {
            Some(_) => here.joined[node].all(),
            None => here.map(join.sources[0].map),
        }
    }

    /// The join of a node or, for the step after the last node, of the output.
    pub(super) fn join<'a>(&'a self, buffers: &'a Buffers, phase: usize, node: usize) -> Conv1<'a> {
        let plan = &self.plan.phases[phase];
        let join = plan
            .nodes
            .get(node)
            .map_or(&plan.output, |node| &node.input);
        Conv1 {
            images: buffers.images,
            pixels: plan.dims.pixels(),
            inputs: plan.dims.channels,
            outputs: plan.dims.channels,
            sources: Sources::Table {
                table: self.tables.join(phase, node),
                count: join.sources.len(),
                map_step: buffers.phases[phase].step,
                maps: plan.nodes.len() + 1,
            },
            factors: buffers.factors.as_ref().map(|factors| factors.all()),
        }
    }

    /// A 1×1 convolution from one map to one like `dims`.
    pub(super) fn single_conv<'a>(
        &'a self,
        buffers: &Buffers,
        inputs: usize,
        dims: MapDims,
    ) -> Conv1<'a> {
        Conv1 {
            images: buffers.images,
            pixels: dims.pixels(),
            inputs,
            outputs: dims.channels,
            sources: Sources::One { number: 0, of: 1 },
            factors: None,
        }
    }

    /// The unpadded convolution that reads the pixels.
    pub(super) fn first_conv(&self, buffers: &Buffers, inputs: usize) -> Conv3 {
        Conv3 {
            padding: 0,
            inputs,
            ..node_conv(buffers, self.plan.phases[0].dims)
        }
    }

    /// Computes the logits from the last phase's output, or from the pixels if there is no phase.
    fn head(&self, buffers: &Buffers) {
        let (dims, gpu) = (self.plan.head, &self.state.gpu);
        let last = match buffers.phases.len().checked_sub(1) {
            None => buffers.input.all(),
            Some(last) => {
                self.finish_output(buffers, last);
                buffers.phases[last].out.all()
            }
        };
        let planes = buffers.images * dims.channels;
        let features = buffers.features.all();
        average(
            gpu,
            last,
            buffers.stripes[0].all(),
            features,
            planes,
            dims.pixels(),
        );
        let classes = self.plan.classes();
        let linear = self.state.weight(&self.plan.linear);
        let logits = buffers.logits.all();
        let conv = self.single_conv(buffers, dims.channels, classes);
        conv.run(gpu, features, linear, logits, false);
        let from = self.state.weight(&self.plan.bias);
        bias(gpu, from, logits, buffers.images, classes.channels);
    }
}

/// A node's convolution of maps like `dims`.
pub(super) fn node_conv(buffers: &Buffers, dims: MapDims) -> Conv3 {
    Conv3 {
        images: buffers.images,
        height: dims.height,
        width: dims.width,
        padding: 1,
        inputs: dims.channels,
        outputs: dims.channels,
        oihw: false,
    }
}

impl PhaseBuffers {
    /// The phase's input (position 0) or the output of the node at position `place - 1`.
    pub(super) fn map(&self, place: usize) -> View<'_> {
        self.maps.from(place * self.step)
    }
}
