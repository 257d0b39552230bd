//! The backward pass of one block of images.

use std::ops::Range;

use naschain_core::LayerOperation;

use super::block::{LayerBlock, LayerPass};
use super::forward::{placed, subsampling, window_sizes};
use super::plan::{LayerInput, LayerPlan, function};
use crate::cpu::block::{part, part_mut};
use crate::kernels::channel_scale::{ScaleChannels, ScaleSums};
use crate::kernels::conv1::Conv1;
use crate::kernels::conv1_weights::Conv1Weights;
use crate::kernels::elementwise::ApplyBackward;
use crate::kernels::fold::{Accumulate, FoldImages, Scale};
use crate::kernels::norm::{BackwardInput, BackwardSums};
use crate::kernels::pool::AverageBackward;
use crate::kernels::rearrange::{Channels, SelectBackward};
use crate::kernels::window::{MaxWindowsBackward, MeanWindowsBackward};

impl LayerBlock {
    /// From the logits' gradient to those of the maps that the linear layer reads.
    pub(super) fn head_backward(&mut self, pass: &LayerPass) {
        let (plan, isa) = (pass.plan, pass.isa);
        let (classes, features) = (plan.classes(), plan.features());
        let images = 0..self.images;
        let dlogits = part(&self.dlogits, &images, classes.padded());
        FoldImages {
            values: dlogits,
            out: &mut self.gradients[plan.bias.range.clone()],
            add: false,
        }
        .run_on(isa);
        let back = plan.linear.transposed(features.lanes);
        for (index, map) in plan.outputs.iter().enumerate() {
            Conv1Weights {
                sizes: classes.conv1(self.images, plan.outputs.len(), features),
                map: index,
                x: part(&self.features[index], &images, features.padded()),
                dz: dlogits,
                gradient: &mut self.gradients[plan.linear.range.clone()],
                add: false,
            }
            .run_on(isa);
            let dfeatures = part_mut(&mut self.scratch.dfeatures, &images, features.padded());
            let first = plan.linear.backward.start + index * back.len();
            Conv1 {
                sizes: features.conv1(self.images, 1, classes),
                maps: &[dlogits],
                weights: &pass.backward[first..first + back.len()],
                out: &mut *dfeatures,
                add: false,
            }
            .run_on(isa);
            let dims = plan.maps[*map];
            let dmap = &mut self.scratch.dmaps[plan.slots[*map]];
            AverageBackward {
                lanes: dims.lanes,
                pixels: dims.pixels(),
                dmeans: dfeatures,
                dy: part_mut(dmap, &images, dims.image()),
            }
            .run_on(isa);
        }
    }

    /// From the gradients of the outputs of some layers, none of which is a batch norm, to those of their
    /// inputs and weights.
    pub(super) fn backward(&mut self, pass: &LayerPass, layers: Range<usize>) {
        for layer in pass.plan.layers[layers].iter().rev() {
            if pass.plan.is_image[layer.output] {
                continue;
            }
            let slot = pass.plan.slots[layer.output];
            let dmap = std::mem::take(&mut self.scratch.dmaps[slot]);
            let image = pass.plan.maps[layer.output].image();
            self.layer_backward(pass, layer, part(&dmap, &(0..self.images), image));
            self.scratch.dmaps[slot] = dmap;
        }
    }

    fn layer_backward(&mut self, pass: &LayerPass, layer: &LayerPlan, dout: &[f32]) {
        match layer.operation {
            LayerOperation::Convolution { kernel: [1, 1], .. } => {
                self.pointwise_backward(pass, layer, dout);
            }
            LayerOperation::Convolution { kernel: [3, 3], .. } => {
                self.stem_backward(pass, layer, dout);
            }
            LayerOperation::Convolution { kernel, stride } => {
                self.taps_backward(pass, layer, dout, (kernel, stride));
            }
            LayerOperation::Depthwise { .. } => self.depthwise_backward(pass, layer, dout),
            LayerOperation::Add { .. } => self.add_backward(pass, layer, dout),
            LayerOperation::Concatenate => self.concatenate_backward(pass, layer, dout),
            LayerOperation::Scale => self.scale_backward(pass, layer, dout),
            LayerOperation::Bias => self.bias_backward(pass, layer, dout),
            LayerOperation::Relu | LayerOperation::HardSigmoid | LayerOperation::HardSwish => {
                let (input, isa, images) = (layer.inputs[0], pass.isa, 0..self.images);
                let image = pass.plan.maps[input.map].image();
                ApplyBackward {
                    function: function(layer.operation),
                    x: part(&self.maps[input.map], &images, image),
                    dout,
                    dx: part_mut(
                        &mut self.scratch.dmaps[pass.plan.slots[input.map]],
                        &images,
                        image,
                    ),
                    add: !input.last_reader,
                }
                .run_on(isa);
            }
            _ => self.moved_backward(pass, layer, dout),
        }
    }

    /// Calls `f` with the buffer for a reader's gradient with respect to a map, which is then added to
    /// the gradients of its later readers.
    pub(super) fn pass_on(
        &mut self,
        pass: &LayerPass,
        input: LayerInput,
        f: impl FnOnce(&mut Self, &mut [f32]),
    ) {
        let images = 0..self.images;
        let image = pass.plan.maps[input.map].image();
        let slot = pass.plan.slots[input.map];
        if input.last_reader {
            let mut dmap = std::mem::take(&mut self.scratch.dmaps[slot]);
            f(self, part_mut(&mut dmap, &images, image));
            self.scratch.dmaps[slot] = dmap;
            return;
        }
        let mut own = std::mem::take(&mut self.scratch.part);
        f(self, part_mut(&mut own, &images, image));
        Accumulate {
            from: part(&own, &images, image),
            to: part_mut(&mut self.scratch.dmaps[slot], &images, image),
            add: true,
        }
        .run_on(pass.isa);
        self.scratch.part = own;
    }

    /// Layers that move or combine the values of one map.
    fn moved_backward(&mut self, pass: &LayerPass, layer: &LayerPlan, dout: &[f32]) {
        let (input, isa) = (layer.inputs[0], pass.isa);
        let sides @ [from, _] = pass.plan.sides(layer);
        self.pass_on(pass, input, |block, dx| match layer.operation {
            LayerOperation::MaxPool { stride } => MaxWindowsBackward {
                sizes: window_sizes(from, stride),
                x: block.map(pass.plan, input.map),
                dout,
                dx,
            }
            .run_on(isa),
            LayerOperation::AveragePool { stride } => MeanWindowsBackward {
                sizes: window_sizes(from, stride),
                dout,
                dx,
            }
            .run_on(isa),
            LayerOperation::GlobalAverage => AverageBackward {
                lanes: from.lanes,
                pixels: from.pixels(),
                dmeans: dout,
                dy: dx,
            }
            .run_on(isa),
            LayerOperation::Subsample { offset } => {
                dx.fill(0.0);
                let selection = subsampling(sides, offset);
                SelectBackward {
                    selection,
                    dout,
                    dx,
                }
                .run_on(isa);
            }
            other => unreachable!("{other:?} has its own backward pass"),
        });
    }

    /// A map whose channels are scaled, and the numbers by which they are.
    fn scale_backward(&mut self, pass: &LayerPass, layer: &LayerPlan, dout: &[f32]) {
        let (plan, isa) = (pass.plan, pass.isa);
        let dims = plan.maps[layer.output];
        let [map, factors] = [layer.inputs[0], layer.inputs[1]];
        let (lanes, pixels) = (dims.lanes, dims.pixels());
        self.pass_on(pass, map, |block, dx| {
            ScaleChannels {
                lanes,
                pixels,
                x: dout,
                factors: block.map(plan, factors.map),
                out: dx,
            }
            .run_on(isa);
        });
        self.pass_on(pass, factors, |block, sums| {
            ScaleSums {
                lanes,
                pixels,
                x: block.map(plan, map.map),
                dout,
                sums,
            }
            .run_on(isa);
        });
    }

    fn bias_backward(&mut self, pass: &LayerPass, layer: &LayerPlan, dout: &[f32]) {
        let Some(weight) = &layer.weight else { return };
        FoldImages {
            values: dout,
            out: &mut self.gradients[weight.range.clone()],
            add: false,
        }
        .run_on(pass.isa);
        self.pass_on(pass, layer.inputs[0], |_, dx| dx.copy_from_slice(dout));
    }

    fn add_backward(&mut self, pass: &LayerPass, layer: &LayerPlan, dout: &[f32]) {
        let images = self.first..self.first + self.images;
        for input in &layer.inputs {
            let image = pass.plan.maps[input.map].image();
            let dmap = &mut self.scratch.dmaps[pass.plan.slots[input.map]];
            let to = part_mut(dmap, &(0..self.images), image);
            let add = !input.last_reader;
            match pass.factors_of(input.path, images.clone()) {
                Some(factors) => Scale {
                    factors,
                    from: dout,
                    to,
                    add,
                }
                .run_on(pass.isa),
                None => Accumulate {
                    from: dout,
                    to,
                    add,
                }
                .run_on(pass.isa),
            }
        }
    }

    fn concatenate_backward(&mut self, pass: &LayerPass, layer: &LayerPlan, dout: &[f32]) {
        let to = pass.plan.maps[layer.output];
        let mut first = 0;
        for input in &layer.inputs {
            let from = pass.plan.maps[input.map];
            let Channels {
                count,
                pixels,
                from: own,
                to: all,
            } = placed(from, to, first);
            let back = Channels {
                count,
                pixels,
                from: all,
                to: own,
            };
            let dmap = &mut self.scratch.dmaps[pass.plan.slots[input.map]];
            let dmap = part_mut(dmap, &(0..self.images), from.image());
            if input.last_reader {
                // The unused lanes of the last block are 0.
                dmap.fill(0.0);
            }
            back.copy(dout, dmap, !input.last_reader);
            first += from.channels;
        }
    }

    /// The images' sums that the backward pass of a batch norm needs.
    pub(super) fn sum_backward(&mut self, pass: &LayerPass, layer: usize) {
        let layer = &pass.plan.layers[layer];
        let Some(norm) = layer.norm else { return };
        let (dims, images) = (pass.plan.maps[layer.output], 0..self.images);
        let [gradients, products] = &mut self.sums[norm];
        let dmap = &self.scratch.dmaps[pass.plan.slots[layer.output]];
        BackwardSums {
            lanes: dims.lanes,
            pixels: dims.pixels(),
            affine: pass.affine(norm),
            z: part(&self.maps[layer.inputs[0].map], &images, dims.image()),
            dy: part(dmap, &images, dims.image()),
            gradients: part_mut(gradients, &images, dims.padded()),
            products: part_mut(products, &images, dims.padded()),
        }
        .run_on(pass.isa);
    }

    /// Replaces the gradient with respect to a batch norm's output by that with respect to its input.
    pub(super) fn norm_backward(&mut self, pass: &LayerPass, layer: usize) {
        let layer = &pass.plan.layers[layer];
        let Some(norm) = layer.norm else { return };
        let (input, images) = (layer.inputs[0], 0..self.images);
        let dims = pass.plan.maps[layer.output];
        let slot = pass.plan.slots[layer.output];
        let statistics = &pass.norms[norm].statistics;
        let mut dmap = std::mem::take(&mut self.scratch.dmaps[slot]);
        let dy = part_mut(&mut dmap, &images, dims.image());
        BackwardInput {
            lanes: dims.lanes,
            pixels: dims.pixels(),
            affine: pass.affine(norm),
            a: &statistics.a,
            b: &statistics.b,
            z: part(&self.maps[input.map], &images, dims.image()),
            dy: &mut *dy,
        }
        .run_on(pass.isa);
        if !input.last_reader {
            let to = &mut self.scratch.dmaps[pass.plan.slots[input.map]];
            Accumulate {
                from: dy,
                to: part_mut(to, &images, dims.image()),
                add: true,
            }
            .run_on(pass.isa);
        }
        self.scratch.dmaps[slot] = dmap;
    }
}
