//! The forward pass of one block of images, in steps. Between two steps batch norm's statistics are
//! combined over all blocks.

use std::ops::Range;

use super::block::{
    Block, JoinBuffers, Pass, PhaseBuffers, Scratch, chunks, emptied, part, part_mut,
};
use crate::kernels::conv1::Conv1;
use crate::kernels::conv3::Conv3;
use crate::kernels::fold::{AddBias, Scale};
use crate::kernels::layout::fill_blocks;
use crate::kernels::norm::{NormMoments, Normalise};
use crate::kernels::pool::{Average, Pool};
use crate::plan::{JoinPlan, MapDims};

impl Block {
    /// Step `node` of a phase, up to that node's convolution. The step after the last node is the
    /// phase's output.
    pub(super) fn forward(&mut self, pass: &Pass, phase: usize, node: usize) {
        let dims = pass.plan.phases[phase].dims;
        for images in chunks(self.images, dims.pixels()) {
            match node {
                0 => self.enter(pass, phase, &images),
                _ => self.phases[phase].finish_node(pass, phase, node - 1, &images),
            }
            let drops = DropFactors {
                factors: pass.factors,
                first: self.first,
            };
            let buffers = &mut self.phases[phase];
            buffers.convolve(pass, phase, node, &images, drops, &mut self.scratch);
            let sums = dims.padded();
            let [means, squares] = &mut buffers.sums[node];
            let z = match &buffers.z[node] {
                z if z.is_empty() => &buffers.maps[pass.plan.phases[phase].output.sources[0].map],
                z => z,
            };
            NormMoments {
                lanes: dims.lanes,
                pixels: dims.pixels(),
                z: part(z, &images, dims.image()),
                means: part_mut(means, &images, sums),
                squares: part_mut(squares, &images, sums),
            }
            .run_on(pass.isa);
        }
    }

    /// Computes a phase's input from the pixels or from the previous phase.
    fn enter(&mut self, pass: &Pass, phase: usize, images: &Range<usize>) {
        let plan = &pass.plan.phases[phase];
        let dims = plan.dims;
        if phase == 0 {
            return self.enter_first(pass, images);
        }
        let (before, here) = self.phases.split_at_mut(phase);
        let (before, here) = (&mut before[phase - 1], &mut here[0]);
        before.finish_output(pass, phase - 1, images);
        let from = pass.plan.phases[phase - 1].dims;
        let image = from.padded() * dims.pixels();
        let pooled = match plan.entry {
            Some(_) => &mut here.pooled,
            None => &mut here.maps[0],
        };
        Pool {
            lanes: from.lanes,
            height: from.height,
            width: from.width,
            y: part(&before.out, images, from.image()),
            out: part_mut(pooled, images, image),
        }
        .run_on(pass.isa);
        let Some(entry) = &plan.entry else { return };
        Conv1 {
            sizes: dims.conv1(images.len(), 1, from),
            maps: &[part(&here.pooled, images, image)],
            weights: &pass.parameters[entry.range.clone()],
            out: part_mut(&mut here.maps[0], images, dims.image()),
            add: false,
        }
        .run_on(pass.isa);
    }

    fn enter_first(&mut self, pass: &Pass, images: &Range<usize>) {
        let plan = &pass.plan.phases[0];
        let map = part_mut(&mut self.phases[0].maps[0], images, plan.dims.image());
        match &plan.entry {
            Some(entry) => Conv3 {
                sizes: plan.dims.first_conv3(images.len(), entry.inputs),
                x: part(&self.input, images, self.input.len() / self.capacity),
                weights: &pass.parameters[entry.range.clone()],
                out: map,
                add: false,
            }
            .run_on(pass.isa),
            None => {
                let MapDims {
                    channels, lanes, ..
                } = plan.dims;
                let planes = part(&self.input, images, channels * plan.dims.pixels());
                fill_blocks(planes, channels, plan.dims.pixels(), lanes, map);
            }
        }
    }

    /// Computes the logits from the last phase's output, or from the pixels if there is no phase.
    pub(super) fn head(&mut self, pass: &Pass) {
        let dims = pass.plan.head;
        let all = 0..self.images;
        let last = match self.phases.len() {
            0 => {
                let planes = &self.input[..self.images * dims.channels * dims.pixels()];
                let map = &mut self.scratch.entered;
                map.resize(self.images * dims.image(), 0.0);
                fill_blocks(planes, dims.channels, dims.pixels(), dims.lanes, map);
                map
            }
            phases => {
                self.phases[phases - 1].finish_output(pass, phases - 1, &all);
                &self.phases[phases - 1].out
            }
        };
        Average {
            lanes: dims.lanes,
            pixels: dims.pixels(),
            y: part(last, &all, dims.image()),
            means: part_mut(&mut self.features, &all, dims.padded()),
        }
        .run_on(pass.isa);
        let classes = pass.plan.classes();
        let from = pass.plan.features();
        let logits = part_mut(&mut self.logits, &all, classes.padded());
        Conv1 {
            sizes: classes.conv1(self.images, 1, from),
            maps: &[part(&self.features, &all, dims.padded())],
            weights: &pass.parameters[pass.plan.linear.range.clone()],
            out: logits,
            add: false,
        }
        .run_on(pass.isa);
        let bias = &pass.parameters[pass.plan.bias.range.clone()];
        AddBias { bias, to: logits }.run_on(pass.isa);
    }
}

/// Drop-path's factors for a block.
#[derive(Clone, Copy)]
pub(super) struct DropFactors<'a> {
    pub(super) factors: &'a [Vec<f32>],
    /// Index of the block's first image in the batch.
    pub(super) first: usize,
}

impl DropFactors<'_> {
    /// A path's factors for some images of the block.
    pub(super) fn of(&self, path: Option<usize>, images: &Range<usize>) -> Option<&[f32]> {
        let factors = self.factors.get(path?)?;
        Some(&factors[self.first + images.start..self.first + images.end])
    }

    /// The maps that a join reads: unchanged, or multiplied by drop-path's factors into a buffer.
    /// The caller returns the list to `buffers` with [`emptied`].
    pub(super) fn apply<'b>(
        &self,
        pass: &Pass,
        join: &JoinPlan,
        maps: &'b [Vec<f32>],
        images: &Range<usize>,
        image: usize,
        buffers: &'b mut JoinBuffers,
    ) -> Vec<&'b [f32]> {
        let mut list: Vec<&[f32]> = std::mem::take(&mut buffers.maps);
        let scaled = &mut buffers.scaled;
        scaled.resize_with(join.sources.len().max(scaled.len()), Vec::new);
        for (source, to) in join.sources.iter().zip(scaled.iter_mut()) {
            if let Some(factors) = self.of(source.path, images) {
                to.resize(images.len() * image, 0.0);
                Scale {
                    factors,
                    from: part(&maps[source.map], images, image),
                    to,
                    add: false,
                }
                .run_on(pass.isa);
            }
        }
        for (source, scaled) in join.sources.iter().zip(scaled.iter()) {
            list.push(match self.of(source.path, images) {
                Some(_) => scaled,
                None => part(&maps[source.map], images, image),
            });
        }
        list
    }
}

impl PhaseBuffers {
    /// Batch norm and ReLU of a node.
    fn finish_node(&mut self, pass: &Pass, phase: usize, node: usize, images: &Range<usize>) {
        let plan = &pass.plan.phases[phase];
        Normalise {
            lanes: plan.dims.lanes,
            pixels: plan.dims.pixels(),
            affine: pass.affine(plan.nodes[node].norm),
            z: part(&self.z[node], images, plan.dims.image()),
            y: part_mut(&mut self.maps[node + 1], images, plan.dims.image()),
        }
        .run_on(pass.isa);
    }

    /// Batch norm and ReLU of the phase's output.
    fn finish_output(&mut self, pass: &Pass, phase: usize, images: &Range<usize>) {
        let plan = &pass.plan.phases[phase];
        let z = match &plan.output.conv {
            Some(_) => &self.z[plan.nodes.len()],
            None => &self.maps[plan.output.sources[0].map],
        };
        Normalise {
            lanes: plan.dims.lanes,
            pixels: plan.dims.pixels(),
            affine: pass.affine(plan.norm),
            z: part(z, images, plan.dims.image()),
            y: part_mut(&mut self.out, images, plan.dims.image()),
        }
        .run_on(pass.isa);
    }

    /// Runs a node's join and convolution, or the output's join.
    fn convolve(
        &mut self,
        pass: &Pass,
        phase: usize,
        node: usize,
        images: &Range<usize>,
        drops: DropFactors,
        scratch: &mut Scratch,
    ) {
        let plan = &pass.plan.phases[phase];
        let (dims, image) = (plan.dims, plan.dims.image());
        let (join, conv) = match plan.nodes.get(node) {
            Some(node) => (&node.input, Some(&node.conv)),
            None => (&plan.output, None),
        };
        if let Some(weights) = &join.conv {
            let out = match conv {
                Some(_) => &mut self.joined[node],
                None => &mut self.z[node],
            };
            let maps = drops.apply(pass, join, &self.maps, images, image, &mut scratch.join);
            Conv1 {
                sizes: dims.conv1(images.len(), maps.len(), dims),
                maps: &maps,
                weights: &pass.parameters[weights.range.clone()],
                out: part_mut(out, images, image),
                add: false,
            }
            .run_on(pass.isa);
            scratch.join.maps = emptied(maps);
        }
        let Some(conv) = conv else { return };
        let x = match join.conv {
            Some(_) => &self.joined[node],
            None => &self.maps[join.sources[0].map],
        };
        Conv3 {
            sizes: dims.conv3(images.len()),
            x: part(x, images, image),
            weights: &pass.parameters[conv.range.clone()],
            out: part_mut(&mut self.z[node], images, image),
            add: false,
        }
        .run_on(pass.isa);
    }
}
