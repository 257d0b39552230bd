//! The backward pass of a batch: the gradients of all parameters.

use cubecl::prelude::Runtime;

use super::GpuNetwork;
use super::buffers::{Buffers, TrainingBuffers};
use super::forward::node_conv;
use crate::gpu::launch::{average_back, copy, fold_parts, pool_back};
use crate::kernels::BLOCK;
use crate::plan::Weight;

/// The buffers of a training step.
#[derive(Clone, Copy)]
struct StepBuffers<'a> {
    buffers: &'a Buffers,
    training: &'a TrainingBuffers,
}

impl<R: Runtime> GpuNetwork<R> {
    /// From the logits' gradient to those with respect to all parameters.
    pub(super) fn backward(&self, dlogits: &[f32]) {
        let Some(buffers) = &self.buffers else { return };
        let Some(training) = &buffers.training else {
            return;
        };
        let step = StepBuffers { buffers, training };
        self.head_backward(step, dlogits);
        for (phase, plan) in self.plan.phases.iter().enumerate().rev() {
            for node in (0..=plan.nodes.len()).rev() {
                self.norm_backward(step, phase, node);
                match plan.nodes.get(node) {
                    Some(_) => self.node_backward(step, phase, node),
                    None => self.output_backward(step, phase),
                }
            }
            match phase {
                0 => self.enter_first_backward(step),
                _ => self.enter_backward(step, phase),
            }
        }
    }

    fn head_backward(&self, step: StepBuffers, dlogits: &[f32]) {
        let StepBuffers { buffers, training } = step;
        let (gpu, dims, classes) = (&self.state.gpu, self.plan.head, self.plan.classes());
        let dlogits = gpu.write(dlogits);
        let conv = self.single_conv(buffers, dims.channels, classes);
        let linear = &self.plan.linear;
        conv.gradient(
            gpu,
            buffers.features.all(),
            dlogits.all(),
            training.partial.all(),
            self.state.gradient(linear),
        );
        let bias = self.state.gradient(&self.plan.bias);
        let images = buffers.images;
        fold_parts(gpu, dlogits.all(), bias, images, BLOCK, classes.channels);
        if self.plan.phases.is_empty() {
            return;
        }
        let dfeatures = training.dfeatures.all();
        let weights = self.state.weight(linear);
        conv.run_back(gpu, dlogits.all(), weights, dfeatures, false);
        let planes = images * dims.channels;
        average_back(gpu, dfeatures, training.dout.all(), planes, dims.pixels());
    }

    /// From the gradient with respect to a batch norm's output to that with respect to its input.
    fn norm_backward(&self, step: StepBuffers, phase: usize, node: usize) {
        let StepBuffers { buffers, training } = step;
        let map = (node + 1) * buffers.phases[phase].step;
        let dy = match self.plan.phases[phase].nodes.get(node) {
            Some(_) => training.dmaps.from(map),
            None => training.dout.all(),
        };
        let norm = self.norm(buffers, phase, node);
        self.state
            .norm_backward(norm, dy, &buffers.stripes, training.dz.all());
    }

    fn node_backward(&self, step: StepBuffers, phase: usize, node: usize) {
        let StepBuffers { buffers, training } = step;
        let plan = &self.plan.phases[phase];
        let (input, weights) = (&plan.nodes[node].input, &plan.nodes[node].conv);
        let conv = node_conv(buffers, plan.dims);
        let dz = training.dz.all();
        conv.gradient(
            &self.state.gpu,
            self.conv_input(buffers, phase, node),
            dz,
            training.partial.all(),
            self.state.gradient(weights),
        );
        let source = input.sources[0];
        let (out, add) = match input.conv {
            Some(_) => (training.dx.all(), false),
            None => {
                let map = source.map * buffers.phases[phase].step;
                (training.dmaps.from(map), !source.last_reader)
            }
        };
        let from = self.state.weight(weights);
        conv.run_back(&self.state.gpu, dz, from, out, add);
        if let Some(weights) = &input.conv {
            self.join_backward(step, phase, node, weights);
        }
    }

    fn output_backward(&self, step: StepBuffers, phase: usize) {
        let StepBuffers { buffers, training } = step;
        let plan = &self.plan.phases[phase];
        match &plan.output.conv {
            Some(weights) => self.join_backward(step, phase, plan.nodes.len(), weights),
            None => {
                let map = plan.output.sources[0].map * buffers.phases[phase].step;
                let numbers = buffers.images * plan.dims.image();
                let to = training.dmaps.from(map);
                copy(&self.state.gpu, training.dz.all(), to, numbers);
            }
        }
    }

    /// The gradients with respect to a join's weights and to the maps that it reads.
    fn join_backward(&self, step: StepBuffers, phase: usize, node: usize, weights: &Weight) {
        let StepBuffers { buffers, training } = step;
        let dz = match self.plan.phases[phase].nodes.get(node) {
            Some(_) => training.dx.all(),
            None => training.dz.all(),
        };
        let join = self.join(buffers, phase, node);
        join.gradient(
            &self.state.gpu,
            buffers.phases[phase].maps.all(),
            dz,
            training.partial.all(),
            self.state.gradient(weights),
        );
        let from = self.state.weight(weights);
        join.run_back(&self.state.gpu, dz, from, training.dmaps.all(), false);
    }

    /// The gradients with respect to the weights of a phase's entry and to the previous phase's
    /// output.
    fn enter_backward(&self, step: StepBuffers, phase: usize) {
        let StepBuffers { buffers, training } = step;
        let gpu = &self.state.gpu;
        let before = self.plan.phases[phase - 1].dims;
        let plan = &self.plan.phases[phase];
        let dmap = training.dmaps.all();
        let dpooled = match &plan.entry {
            None => dmap,
            Some(entry) => {
                let conv = self.single_conv(buffers, before.channels, plan.dims);
                conv.gradient(
                    gpu,
                    buffers.phases[phase].pooled.all(),
                    dmap,
                    training.partial.all(),
                    self.state.gradient(entry),
                );
                let weights = self.state.weight(entry);
                conv.run_back(gpu, dmap, weights, training.dx.all(), false);
                training.dx.all()
            }
        };
        pool_back(
            gpu,
            buffers.phases[phase - 1].out.all(),
            dpooled,
            training.dout.all(),
            buffers.images * before.channels,
            [before.height, before.width],
        );
    }

    fn enter_first_backward(&self, step: StepBuffers) {
        let StepBuffers { buffers, training } = step;
        let Some(entry) = &self.plan.phases[0].entry else {
            return;
        };
        self.first_conv(buffers, entry.inputs).gradient(
            &self.state.gpu,
            buffers.input.all(),
            training.dmaps.all(),
            training.partial.all(),
            self.state.gradient(entry),
        );
    }
}
