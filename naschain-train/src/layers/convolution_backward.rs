//! The gradients of convolutions with respect to their weights and inputs.

use super::block::{LayerBlock, LayerPass};
use super::forward::{depthwise_sizes, tap_selection};
use super::plan::LayerPlan;
use crate::cpu::block::{chunks, part, part_mut};
use crate::kernels::conv1::Conv1;
use crate::kernels::conv1_weights::Conv1Weights;
use crate::kernels::conv3_weights::Conv3Weights;
use crate::kernels::depthwise::DepthwiseInput;
use crate::kernels::depthwise_weights::DepthwiseWeights;
use crate::kernels::rearrange::{SelectBackward, Selection};
use crate::plan::{MapDims, Weight};

impl LayerBlock {
    pub(super) fn depthwise_backward(&mut self, pass: &LayerPass, layer: &LayerPlan, dout: &[f32]) {
        let Some(weight) = &layer.weight else { return };
        let (input, isa) = (layer.inputs[0], pass.isa);
        let [from, to] = pass.plan.sides(layer);
        for (number, images) in chunks(self.images, to.pixels()).enumerate() {
            DepthwiseWeights {
                sizes: depthwise_sizes(layer.operation, from, images.len()),
                x: part(&self.maps[input.map], &images, from.image()),
                dz: part(dout, &images, to.image()),
                gradient: &mut self.gradients[weight.range.clone()],
                add: number > 0,
            }
            .run_on(isa);
        }
        let dmap = &mut self.scratch.dmaps[pass.plan.slots[input.map]];
        DepthwiseInput {
            sizes: depthwise_sizes(layer.operation, from, self.images),
            weights: &pass.parameters[weight.range.clone()],
            dz: dout,
            dx: part_mut(dmap, &(0..self.images), from.image()),
            add: !input.last_reader,
        }
        .run_on(isa);
    }

    pub(super) fn pointwise_backward(&mut self, pass: &LayerPass, layer: &LayerPlan, dout: &[f32]) {
        let Some(weight) = &layer.weight else { return };
        let isa = pass.isa;
        let [from, to] = pass.plan.sides(layer);
        let maps = layer.inputs.len();
        let back = weight.transposed(from.lanes);
        for (index, input) in layer.inputs.iter().enumerate() {
            for (number, images) in chunks(self.images, to.pixels()).enumerate() {
                Conv1Weights {
                    sizes: to.conv1(images.len(), maps, from),
                    map: index,
                    x: part(&self.maps[input.map], &images, from.image()),
                    dz: part(dout, &images, to.image()),
                    gradient: &mut self.gradients[weight.range.clone()],
                    add: number > 0,
                }
                .run_on(isa);
            }
            let first = weight.backward.start + index * back.len();
            let dmap = &mut self.scratch.dmaps[pass.plan.slots[input.map]];
            Conv1 {
                sizes: from.conv1(self.images, 1, to),
                maps: &[dout],
                weights: &pass.backward[first..first + back.len()],
                out: part_mut(dmap, &(0..self.images), from.image()),
                add: !input.last_reader,
            }
            .run_on(isa);
        }
    }

    pub(super) fn stem_backward(&mut self, pass: &LayerPass, layer: &LayerPlan, dout: &[f32]) {
        let Some(weight) = &layer.weight else { return };
        let [from, to] = pass.plan.sides(layer);
        let read = layer.inputs[0].map;
        let image = pass.plan.elements(read);
        for (number, images) in chunks(self.images, to.pixels()).enumerate() {
            Conv3Weights {
                sizes: to.first_conv3(images.len(), from.channels),
                x: part(&self.maps[read], &images, image),
                dz: part(dout, &images, to.image()),
                gradient: &mut self.gradients[weight.range.clone()],
                sums: &mut self.scratch.sums,
                add: number > 0,
            }
            .run_on(pass.isa);
        }
    }

    pub(super) fn taps_backward(
        &mut self,
        pass: &LayerPass,
        layer: &LayerPlan,
        dout: &[f32],
        (kernel, stride): ([usize; 2], [usize; 2]),
    ) {
        let Some(weight) = &layer.weight else { return };
        let sides @ [from, to] = pass.plan.sides(layer);
        let selection = |tap| tap_selection(sides, kernel, stride, tap);
        let mut gradients = std::mem::take(&mut self.gradients);
        let count = kernel[0] * kernel[1];
        for (number, images) in chunks(self.images, to.pixels()).enumerate() {
            let maps = self.read_taps(pass, layer, &images, selection);
            for (map, x) in maps.into_iter().enumerate() {
                Conv1Weights {
                    sizes: to.conv1(images.len(), count, from),
                    map,
                    x,
                    dz: part(dout, &images, to.image()),
                    gradient: &mut gradients[weight.range.clone()],
                    add: number > 0,
                }
                .run_on(pass.isa);
            }
        }
        self.gradients = gradients;
        self.pass_on(pass, layer.inputs[0], |block, dx| {
            dx.fill(0.0);
            block.taps_input(pass, weight, (sides, count, dout, dx), selection);
        });
    }

    /// The gradient of a convolution with several taps with respect to its input, tap after tap.
    fn taps_input(
        &mut self,
        pass: &LayerPass,
        weight: &Weight,
        ([from, to], count, dout, dx): ([MapDims; 2], usize, &[f32], &mut [f32]),
        selection: impl Fn(usize) -> Selection,
    ) {
        let back = weight.transposed(from.lanes);
        let small = MapDims {
            height: to.height,
            width: to.width,
            ..from
        };
        for images in chunks(self.images, to.pixels()) {
            for tap in 0..count {
                let first = weight.backward.start + tap * back.len();
                let own = &mut self.scratch.tap[..images.len() * small.image()];
                Conv1 {
                    sizes: small.conv1(images.len(), 1, to),
                    maps: &[part(dout, &images, to.image())],
                    weights: &pass.backward[first..first + back.len()],
                    out: &mut *own,
                    add: false,
                }
                .run_on(pass.isa);
                SelectBackward {
                    selection: selection(tap),
                    dout: own,
                    dx: part_mut(dx, &images, from.image()),
                }
                .run_on(pass.isa);
            }
        }
    }
}
