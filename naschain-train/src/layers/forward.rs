//! The forward pass of one block of images.

use std::ops::Range;

use naschain_core::LayerOperation;

use super::block::{LayerBlock, LayerPass};
use super::plan::{LayerPlan, LayersPlan, function};
use crate::cpu::block::{chunks, part, part_mut};
use crate::kernels::channel_scale::ScaleChannels;
use crate::kernels::conv1::Conv1;
use crate::kernels::conv3::Conv3;
use crate::kernels::depthwise::{Depthwise, DepthwiseSizes};
use crate::kernels::elementwise::{Apply, Sum};
use crate::kernels::fold::{Accumulate, AddBias, Scale};
use crate::kernels::norm::{NormMoments, Normalise};
use crate::kernels::pool::Average;
use crate::kernels::rearrange::{Channels, Select, Selection};
use crate::kernels::resize::Resize;
use crate::kernels::window::{MaxWindows, MeanWindows, WindowSizes};
use crate::plan::MapDims;

/// The sizes of a depthwise convolution of maps like `from`.
pub(super) fn depthwise_sizes(
    operation: LayerOperation,
    from: MapDims,
    images: usize,
) -> DepthwiseSizes {
    let LayerOperation::Depthwise {
        kernel,
        stride,
        dilation,
    } = operation
    else {
        unreachable!("the layer is a depthwise convolution")
    };
    DepthwiseSizes {
        images,
        channels: from.channels,
        lanes: from.lanes,
        height: from.height,
        width: from.width,
        kernel,
        stride,
        dilation,
    }
}

/// The sizes of a pooling of maps like `from`.
pub(super) fn window_sizes(from: MapDims, stride: usize) -> WindowSizes {
    WindowSizes {
        lanes: from.lanes,
        height: from.height,
        width: from.width,
        stride,
    }
}

/// The pixels that a tap of a convolution reads, along its longer side.
pub(super) fn tap_selection(
    [from, to]: [MapDims; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    tap: usize,
) -> Selection {
    let shift = |size: usize| match size {
        1 => 0,
        _ => tap as isize - (size as isize - 1) / 2,
    };
    Selection {
        lanes: from.lanes,
        from: [from.height, from.width],
        to: [to.height, to.width],
        stride,
        shift: kernel.map(shift),
    }
}

/// The pixels of a subsampled map.
pub(super) fn subsampling([from, to]: [MapDims; 2], offset: usize) -> Selection {
    Selection {
        lanes: from.lanes,
        from: [from.height, from.width],
        to: [to.height, to.width],
        stride: [2; 2],
        shift: [offset as isize; 2],
    }
}

/// How the channels of one of several maps are placed in their concatenation.
pub(super) fn placed(from: MapDims, to: MapDims, first: usize) -> Channels {
    Channels {
        count: from.channels,
        pixels: from.pixels(),
        from: [from.channels, from.lanes, 0],
        to: [to.channels, to.lanes, first],
    }
}

impl LayerBlock {
    /// The elements of a map of the block's images.
    pub(super) fn map(&self, plan: &LayersPlan, map: usize) -> &[f32] {
        part(&self.maps[map], &(0..self.images), plan.elements(map))
    }

    /// Computes some layers. The statistics of a batch norm among them must be known.
    pub(super) fn forward(&mut self, pass: &LayerPass, layers: Range<usize>) {
        for layer in &pass.plan.layers[layers] {
            let mut out = std::mem::take(&mut self.maps[layer.output]);
            let image = pass.plan.elements(layer.output);
            self.layer(pass, layer, part_mut(&mut out, &(0..self.images), image));
            self.maps[layer.output] = out;
        }
    }

    fn layer(&mut self, pass: &LayerPass, layer: &LayerPlan, out: &mut [f32]) {
        let (plan, isa) = (pass.plan, pass.isa);
        let [from, to] = plan.sides(layer);
        let x = self.map(plan, layer.inputs[0].map);
        match layer.operation {
            LayerOperation::Convolution { .. } => self.convolve(pass, layer, out),
            LayerOperation::Depthwise { .. } => {
                let weights = layer.weight.as_ref().map(|weight| weight.range.clone());
                Depthwise {
                    sizes: depthwise_sizes(layer.operation, from, self.images),
                    x,
                    weights: &pass.parameters[weights.unwrap_or_default()],
                    out,
                    rotated: false,
                    add: false,
                }
                .run_on(isa);
            }
            LayerOperation::BatchNorm => Normalise {
                lanes: to.lanes,
                pixels: to.pixels(),
                affine: pass.affine(layer.norm.unwrap_or_default()),
                z: x,
                y: out,
            }
            .run_on(isa),
            LayerOperation::Relu | LayerOperation::HardSigmoid | LayerOperation::HardSwish => {
                let function = function(layer.operation);
                Apply { function, x, out }.run_on(isa);
            }
            LayerOperation::GlobalAverage
            | LayerOperation::Bias
            | LayerOperation::Scale
            | LayerOperation::Resize => self.of_mobile_space(pass, layer, x, out),
            LayerOperation::MaxPool { stride } => {
                let sizes = window_sizes(from, stride);
                MaxWindows { sizes, x, out }.run_on(isa);
            }
            LayerOperation::AveragePool { stride } => {
                let sizes = window_sizes(from, stride);
                MeanWindows { sizes, x, out }.run_on(isa);
            }
            LayerOperation::Subsample { offset } => {
                let selection = subsampling([from, to], offset);
                Select { selection, x, out }.run_on(isa);
            }
            LayerOperation::Concatenate => {
                let mut first = 0;
                for input in &layer.inputs {
                    let from = plan.maps[input.map];
                    placed(from, to, first).copy(self.map(plan, input.map), out, false);
                    first += from.channels;
                }
            }
            LayerOperation::Add { .. } => self.add(pass, layer, out),
            other => unreachable!("{other:?} is planned for no network"),
        }
    }

    /// Layers that only networks of the mobile space have.
    fn of_mobile_space(&self, pass: &LayerPass, layer: &LayerPlan, x: &[f32], out: &mut [f32]) {
        let (plan, isa) = (pass.plan, pass.isa);
        let [from, to] = plan.sides(layer);
        match layer.operation {
            LayerOperation::GlobalAverage => Average {
                lanes: from.lanes,
                pixels: from.pixels(),
                y: x,
                means: out,
            }
            .run_on(isa),
            LayerOperation::Bias => {
                out.copy_from_slice(x);
                let bias = layer.weight.as_ref().map(|weight| weight.range.clone());
                let bias = &pass.parameters[bias.unwrap_or_default()];
                AddBias { bias, to: out }.run_on(isa);
            }
            LayerOperation::Scale => ScaleChannels {
                lanes: to.lanes,
                pixels: to.pixels(),
                x,
                factors: self.map(plan, layer.inputs[1].map),
                out,
            }
            .run_on(isa),
            LayerOperation::Resize => Resize {
                from: [from.height, from.width],
                to: [to.height, to.width],
                x,
                out,
            }
            .run_on(isa),
            other => unreachable!("{other:?} is planned for no network"),
        }
    }

    fn convolve(&mut self, pass: &LayerPass, layer: &LayerPlan, out: &mut [f32]) {
        let LayerOperation::Convolution { kernel, stride } = layer.operation else {
            return;
        };
        let Some(weight) = &layer.weight else { return };
        let (plan, isa) = (pass.plan, pass.isa);
        let sides @ [from, to] = plan.sides(layer);
        let weights = &pass.parameters[weight.range.clone()];
        match kernel {
            [3, 3] => Conv3 {
                sizes: to.first_conv3(self.images, from.channels),
                x: self.map(plan, layer.inputs[0].map),
                weights,
                out,
                add: false,
            }
            .run_on(isa),
            [1, 1] => {
                let maps: Vec<&[f32]> = layer
                    .inputs
                    .iter()
                    .map(|input| self.map(plan, input.map))
                    .collect();
                Conv1 {
                    sizes: to.conv1(self.images, maps.len(), from),
                    maps: &maps,
                    weights,
                    out,
                    add: false,
                }
                .run_on(isa);
            }
            _ => {
                for images in chunks(self.images, to.pixels()) {
                    let maps = self.read_taps(pass, layer, &images, |tap| {
                        tap_selection(sides, kernel, stride, tap)
                    });
                    Conv1 {
                        sizes: to.conv1(images.len(), maps.len(), from),
                        maps: &maps,
                        weights,
                        out: part_mut(out, &images, to.image()),
                        add: false,
                    }
                    .run_on(isa);
                }
            }
        }
    }

    /// What each tap of a convolution reads of some images.
    pub(super) fn read_taps(
        &mut self,
        pass: &LayerPass,
        layer: &LayerPlan,
        images: &Range<usize>,
        selection: impl Fn(usize) -> Selection,
    ) -> Vec<&[f32]> {
        let [from, to] = pass.plan.sides(layer);
        let x = part(&self.maps[layer.inputs[0].map], images, from.image());
        let LayerOperation::Convolution { kernel, .. } = layer.operation else {
            return Vec::new();
        };
        let size = images.len() * from.padded() * to.pixels();
        let taps = self.taps[..kernel[0] * kernel[1]].iter_mut();
        let read = taps.enumerate().map(|(tap, out)| {
            let out = &mut out[..size];
            let selection = selection(tap);
            Select { selection, x, out }.run_on(pass.isa);
            &*out
        });
        read.collect()
    }

    fn add(&self, pass: &LayerPass, layer: &LayerPlan, out: &mut [f32]) {
        let (plan, isa) = (pass.plan, pass.isa);
        let images = self.first..self.first + self.images;
        let [first, second] = [0, 1].map(|side| {
            let input = layer.inputs[side];
            let factors = pass.factors_of(input.path, images.clone());
            (self.map(plan, input.map), factors)
        });
        let terms @ [a, b] = [first.0, second.0];
        match (first.1, second.1) {
            (None, None) => return Sum { terms, out }.run_on(isa),
            (Some(factors), _) => Scale {
                factors,
                from: a,
                to: &mut *out,
                add: false,
            }
            .run_on(isa),
            (None, _) => out.copy_from_slice(a),
        }
        match second.1 {
            Some(factors) => Scale {
                factors,
                from: b,
                to: out,
                add: true,
            }
            .run_on(isa),
            None => Accumulate {
                from: b,
                to: out,
                add: true,
            }
            .run_on(isa),
        }
    }

    /// The images' statistics for a batch norm.
    pub(super) fn measure(&mut self, pass: &LayerPass, layer: usize) {
        let layer = &pass.plan.layers[layer];
        let Some(norm) = layer.norm else { return };
        let [from, _] = pass.plan.sides(layer);
        let numbers = self.images * from.padded();
        let images = 0..self.images;
        let [means, squares] = &mut self.sums[norm];
        NormMoments {
            lanes: from.lanes,
            pixels: from.pixels(),
            z: part(&self.maps[layer.inputs[0].map], &images, from.image()),
            means: &mut means[..numbers],
            squares: &mut squares[..numbers],
        }
        .run_on(pass.isa);
    }

    /// The logits from the last maps.
    pub(super) fn head(&mut self, pass: &LayerPass) {
        let (plan, isa) = (pass.plan, pass.isa);
        let (classes, features) = (plan.classes(), plan.features());
        let images = 0..self.images;
        for (map, means) in plan.outputs.iter().zip(&mut self.features) {
            let dims = plan.maps[*map];
            Average {
                lanes: dims.lanes,
                pixels: dims.pixels(),
                y: part(&self.maps[*map], &images, dims.image()),
                means: part_mut(means, &images, features.padded()),
            }
            .run_on(isa);
        }
        let maps: Vec<&[f32]> = self.features.iter().map(|map| &map[..]).collect();
        let logits = part_mut(&mut self.logits, &images, classes.padded());
        Conv1 {
            sizes: classes.conv1(self.images, maps.len(), features),
            maps: &maps,
            weights: &pass.parameters[plan.linear.range.clone()],
            out: &mut *logits,
            add: false,
        }
        .run_on(isa);
        AddBias {
            bias: &pass.parameters[plan.bias.range.clone()],
            to: logits,
        }
        .run_on(isa);
    }
}
