//! The backward pass of one block of images, in steps. Between two steps batch norm's sums are
//! combined over all blocks.

use std::ops::Range;

use super::block::{Block, Pass, chunks, emptied, part, part_mut};
use super::forward::DropFactors;
use crate::kernels::conv1::Conv1;
use crate::kernels::conv1_weights::Conv1Weights;
use crate::kernels::conv3::Conv3;
use crate::kernels::conv3_weights::Conv3Weights;
use crate::kernels::fold::{FoldImages, Scale};
use crate::kernels::norm::{BackwardInput, BackwardSums};
use crate::kernels::pool::{AverageBackward, PoolBackward};
use crate::plan::{JoinPlan, MapDims, OWN_OUTPUT, Weight};

impl Block {
    /// From the logits' gradient to the sums for the last phase's batch norm.
    pub(super) fn head_backward(&mut self, pass: &Pass) {
        let (classes, from, dims) = (pass.plan.classes(), pass.plan.features(), pass.plan.head);
        let all = 0..self.images;
        let linear = &pass.plan.linear;
        let dlogits = part(&self.dlogits, &all, classes.padded());
        let sizes = classes.conv1(self.images, 1, from);
        Conv1Weights {
            sizes,
            map: 0,
            x: part(&self.features, &all, from.padded()),
            dz: dlogits,
            gradient: &mut self.gradients[linear.range.clone()],
            add: false,
        }
        .run_on(pass.isa);
        FoldImages {
            values: dlogits,
            out: &mut self.gradients[pass.plan.bias.range.clone()],
            add: false,
        }
        .run_on(pass.isa);
        let Some(last) = self.phases.len().checked_sub(1) else {
            return;
        };
        let dfeatures = part_mut(&mut self.scratch.dfeatures, &all, from.padded());
        Conv1 {
            sizes: from.conv1(self.images, 1, classes),
            maps: &[dlogits],
            weights: &pass.backward[linear.backward.clone()],
            out: dfeatures,
            add: false,
        }
        .run_on(pass.isa);
        let plan = &pass.plan.phases[last];
        let nodes = plan.nodes.len();
        AverageBackward {
            lanes: dims.lanes,
            pixels: dims.pixels(),
            dmeans: dfeatures,
            dy: part_mut(
                &mut self.scratch.dmaps[plan.slots[nodes + 1]],
                &all,
                dims.image(),
            ),
        }
        .run_on(pass.isa);
        self.sum_backward(pass, last, nodes, &all);
    }

    /// Step `node` of a phase: from the gradient with respect to its output to those with respect
    /// to its inputs, and then the sums for the next batch norm. The step after the last node is
    /// the phase's output.
    pub(super) fn backward(&mut self, pass: &Pass, phase: usize, node: usize) {
        let plan = &pass.plan.phases[phase];
        if node == plan.nodes.len() {
            self.swap_output(phase);
        }
        for (number, images) in chunks(self.images, plan.dims.pixels()).enumerate() {
            let chunk = Chunk {
                phase,
                node,
                images,
                add: number > 0,
            };
            self.norm_backward(pass, &chunk);
            match plan.nodes.get(node) {
                Some(_) => self.node_backward(pass, &chunk),
                None => self.output_backward(pass, &chunk),
            }
            match node {
                0 => self.enter_backward(pass, &chunk),
                _ => self.sum_backward(pass, phase, node - 1, &chunk.images),
            }
        }
        if node == 0 {
            self.swap_output(phase);
        }
    }

    /// Swaps the buffer of a phase's output into slot [`OWN_OUTPUT`] for gradients, or back.
    fn swap_output(&mut self, phase: usize) {
        let own = &mut self.scratch.dmaps[OWN_OUTPUT];
        std::mem::swap(own, &mut self.phases[phase].out);
    }

    /// The images' sums that the backward pass of a batch norm needs.
    fn sum_backward(&mut self, pass: &Pass, phase: usize, node: usize, images: &Range<usize>) {
        let plan = &pass.plan.phases[phase];
        let (dims, image) = (plan.dims, plan.dims.image());
        let buffers = &mut self.phases[phase];
        let [gradients, products] = &mut buffers.sums[node];
        let z = match &buffers.z[node] {
            z if z.is_empty() => &buffers.maps[plan.output.sources[0].map],
            z => z,
        };
        BackwardSums {
            lanes: dims.lanes,
            pixels: dims.pixels(),
            affine: pass.affine(plan.norm_of(node)),
            z: part(z, images, image),
            dy: part(&self.scratch.dmaps[plan.slots[node + 1]], images, image),
            gradients: part_mut(gradients, images, dims.padded()),
            products: part_mut(products, images, dims.padded()),
        }
        .run_on(pass.isa);
    }

    /// Replaces the gradient with respect to a batch norm's output by that with respect to its
    /// input.
    fn norm_backward(&mut self, pass: &Pass, chunk: &Chunk) {
        let plan = &pass.plan.phases[chunk.phase];
        let norm = plan.norm_of(chunk.node);
        let statistics = &pass.norms[norm].statistics;
        let buffers = &self.phases[chunk.phase];
        let z = match &buffers.z[chunk.node] {
            z if z.is_empty() => &buffers.maps[plan.output.sources[0].map],
            z => z,
        };
        let dmap = &mut self.scratch.dmaps[plan.slots[chunk.node + 1]];
        BackwardInput {
            lanes: plan.dims.lanes,
            pixels: plan.dims.pixels(),
            affine: pass.affine(norm),
            a: &statistics.a,
            b: &statistics.b,
            z: part(z, &chunk.images, plan.dims.image()),
            dy: part_mut(dmap, &chunk.images, plan.dims.image()),
        }
        .run_on(pass.isa);
    }

    fn node_backward(&mut self, pass: &Pass, chunk: &Chunk) {
        let plan = &pass.plan.phases[chunk.phase];
        let (dims, image) = (plan.dims, plan.dims.image());
        let node = &plan.nodes[chunk.node];
        let buffers = &self.phases[chunk.phase];
        let x = match node.input.conv {
            Some(_) => &buffers.joined[chunk.node],
            None => &buffers.maps[node.input.sources[0].map],
        };
        let slot = plan.slots[chunk.node + 1];
        let dmap = std::mem::take(&mut self.scratch.dmaps[slot]);
        let dz = part(&dmap, &chunk.images, image);
        Conv3Weights {
            sizes: dims.conv3(chunk.images.len()),
            x: part(x, &chunk.images, image),
            dz,
            gradient: &mut self.gradients[node.conv.range.clone()],
            sums: &mut self.scratch.sums,
            add: chunk.add,
        }
        .run_on(pass.isa);
        let source = node.input.sources[0];
        let (out, add) = match node.input.conv {
            Some(_) => (&mut self.scratch.dx[..chunk.images.len() * image], false),
            None => {
                let to = &mut self.scratch.dmaps[plan.slots[source.map]];
                (part_mut(to, &chunk.images, image), !source.last_reader)
            }
        };
        Conv3 {
            sizes: dims.conv3(chunk.images.len()),
            x: dz,
            weights: &pass.backward[node.conv.backward.clone()],
            out,
            add,
        }
        .run_on(pass.isa);
        if let Some(weights) = &node.input.conv {
            let dx = std::mem::take(&mut self.scratch.dx);
            let dz = &dx[..chunk.images.len() * image];
            self.join_backward(pass, chunk, &node.input, weights, dz);
            self.scratch.dx = dx;
        }
        self.scratch.dmaps[slot] = dmap;
    }

    fn output_backward(&mut self, pass: &Pass, chunk: &Chunk) {
        let plan = &pass.plan.phases[chunk.phase];
        let image = plan.dims.image();
        let slot = plan.slots[plan.nodes.len() + 1];
        let dout = std::mem::take(&mut self.scratch.dmaps[slot]);
        let dz = part(&dout, &chunk.images, image);
        match &plan.output.conv {
            Some(weights) => self.join_backward(pass, chunk, &plan.output, weights, dz),
            None => {
                let to = plan.slots[plan.output.sources[0].map];
                let to = &mut self.scratch.dmaps[to];
                part_mut(to, &chunk.images, image).copy_from_slice(dz);
            }
        }
        self.scratch.dmaps[slot] = dout;
    }

    /// The gradients with respect to a join's weights and to the maps that it reads.
    fn join_backward(
        &mut self,
        pass: &Pass,
        chunk: &Chunk,
        join: &JoinPlan,
        weights: &Weight,
        dz: &[f32],
    ) {
        let plan = &pass.plan.phases[chunk.phase];
        let (dims, images) = (plan.dims, &chunk.images);
        let image = dims.image();
        let drops = DropFactors {
            factors: pass.factors,
            first: self.first,
        };
        let maps = &self.phases[chunk.phase].maps;
        let scratch = &mut self.scratch;
        let sizes = dims.conv1(images.len(), join.sources.len(), dims);
        let read = drops.apply(pass, join, maps, images, image, &mut scratch.join);
        for (map, &x) in read.iter().enumerate() {
            Conv1Weights {
                sizes,
                map,
                x,
                dz,
                gradient: &mut self.gradients[weights.range.clone()],
                add: chunk.add,
            }
            .run_on(pass.isa);
        }
        scratch.join.maps = emptied(read);
        let back = weights.transposed(dims.lanes);
        for (map, source) in join.sources.iter().enumerate() {
            let factors = drops.of(source.path, images);
            let dmap = part_mut(&mut scratch.dmaps[plan.slots[source.map]], images, image);
            let add = !source.last_reader;
            let (out, add_out) = match factors {
                Some(_) => (&mut scratch.join.scaled[map][..], false),
                None => (&mut *dmap, add),
            };
            let first = weights.backward.start + map * back.len();
            Conv1 {
                sizes: dims.conv1(images.len(), 1, dims),
                maps: &[dz],
                weights: &pass.backward[first..first + back.len()],
                out,
                add: add_out,
            }
            .run_on(pass.isa);
            if let Some(factors) = factors {
                Scale {
                    factors,
                    from: &scratch.join.scaled[map],
                    to: dmap,
                    add,
                }
                .run_on(pass.isa);
            }
        }
    }

    /// The gradients with respect to the weights of a phase's entry and to the previous phase's
    /// output.
    fn enter_backward(&mut self, pass: &Pass, chunk: &Chunk) {
        let plan = &pass.plan.phases[chunk.phase];
        let (dims, images) = (plan.dims, &chunk.images);
        if chunk.phase == 0 {
            return self.enter_first_backward(pass, chunk);
        }
        let from = pass.plan.phases[chunk.phase - 1].dims;
        let pooled = from.padded() * dims.pixels();
        let entered = std::mem::take(&mut self.scratch.dmaps[plan.slots[0]]);
        let dmap = part(&entered, images, dims.image());
        let dpooled = match &plan.entry {
            None => dmap,
            Some(entry) => {
                Conv1Weights {
                    sizes: dims.conv1(images.len(), 1, from),
                    map: 0,
                    x: part(&self.phases[chunk.phase].pooled, images, pooled),
                    dz: dmap,
                    gradient: &mut self.gradients[entry.range.clone()],
                    add: chunk.add,
                }
                .run_on(pass.isa);
                let small = MapDims {
                    height: dims.height,
                    width: dims.width,
                    ..from
                };
                let dx = &mut self.scratch.dx[..images.len() * pooled];
                Conv1 {
                    sizes: small.conv1(images.len(), 1, dims),
                    maps: &[dmap],
                    weights: &pass.backward[entry.backward.clone()],
                    out: dx,
                    add: false,
                }
                .run_on(pass.isa);
                dx
            }
        };
        let before = &pass.plan.phases[chunk.phase - 1];
        let nodes = before.nodes.len();
        PoolBackward {
            lanes: from.lanes,
            height: from.height,
            width: from.width,
            y: part(&self.phases[chunk.phase - 1].out, images, from.image()),
            dout: dpooled,
            dy: part_mut(
                &mut self.scratch.dmaps[before.slots[nodes + 1]],
                images,
                from.image(),
            ),
        }
        .run_on(pass.isa);
        self.scratch.dmaps[plan.slots[0]] = entered;
        self.sum_backward(pass, chunk.phase - 1, nodes, images);
    }

    fn enter_first_backward(&mut self, pass: &Pass, chunk: &Chunk) {
        let plan = &pass.plan.phases[0];
        let Some(entry) = &plan.entry else { return };
        Conv3Weights {
            sizes: plan.dims.first_conv3(chunk.images.len(), entry.inputs),
            x: part(&self.input, &chunk.images, self.input.len() / self.capacity),
            dz: part(
                &self.scratch.dmaps[plan.slots[0]],
                &chunk.images,
                plan.dims.image(),
            ),
            gradient: &mut self.gradients[entry.range.clone()],
            sums: &mut self.scratch.sums,
            add: chunk.add,
        }
        .run_on(pass.isa);
    }
}

/// A chunk of a block's images in one step.
struct Chunk {
    phase: usize,
    node: usize,
    images: Range<usize>,
    /// Whether the block's gradients already hold those of a previous chunk.
    add: bool,
}
