//! The forward pass of a batch.

use cubecl::prelude::Runtime;
use naschain_core::LayerOperation;

use super::GpuLayers;
use super::buffers::LayerBuffers;
use crate::gpu::launch::{
    Conv1, Conv3, CopyValues, Depthwise, ImageValues, Norm, Sources, Subsample, TapConvolution,
    Windows, apply, average, bias, copy, resize, scale_planes,
};
use crate::gpu::{Buffer, View};
use crate::layers::plan::{LayerPlan, function};
use crate::plan::MapDims;

impl<R: Runtime> GpuLayers<R> {
    /// Computes the logits of the batch, with the batch's statistics if `training`.
    pub(super) fn forward(&self, buffers: &LayerBuffers, training: bool) {
        for layer in &self.plan.layers {
            if let (true, Some(norm)) = (training, self.norm(buffers, layer)) {
                let stripes = buffers.stripes.each_ref().map(Buffer::all);
                let running = [norm.statistics.mean; 2];
                norm.update_statistics(&self.state.gpu, stripes, None, running);
            }
            self.layer(buffers, layer);
        }
        self.head(buffers);
    }

    /// The layer's batch norm, if it is one.
    pub(super) fn norm<'a>(
        &'a self,
        buffers: &'a LayerBuffers,
        layer: &LayerPlan,
    ) -> Option<Norm<'a>> {
        let (z, pixels) = (layer.inputs[0], self.plan.maps[layer.output].pixels());
        let norm = layer.norm?;
        let z = buffers.map(z);
        Some(self.state.norm(norm, buffers.images, pixels, z, false))
    }

    fn layer(&self, buffers: &LayerBuffers, layer: &LayerPlan) {
        let gpu = &self.state.gpu;
        let [from, to] = self.plan.sides(layer);
        let (x, out) = (
            buffers.map(layer.inputs[0]),
            buffers.maps[layer.output].all(),
        );
        let planes = buffers.images * to.channels;
        match layer.operation {
            LayerOperation::Convolution { .. } => self.convolve(buffers, layer, out),
            LayerOperation::Depthwise { .. } => {
                if let Some(weight) = &layer.weight {
                    let convolution = self.depthwise(buffers, layer);
                    convolution.run(gpu, x, self.state.weight(weight), out);
                }
            }
            LayerOperation::BatchNorm => {
                if let Some(norm) = self.norm(buffers, layer) {
                    norm.normalise(gpu, out);
                }
            }
            LayerOperation::Relu | LayerOperation::HardSigmoid | LayerOperation::HardSwish => {
                let function = function(layer.operation);
                apply(gpu, function, x, out, buffers.images * to.image());
            }
            LayerOperation::GlobalAverage => {
                let stripes = buffers.stripes[0].all();
                average(gpu, x, stripes, out, planes, from.pixels());
            }
            LayerOperation::Bias => {
                copy(gpu, x, out, planes);
                if let Some(weight) = &layer.weight {
                    let from = self.state.weight(weight);
                    bias(gpu, from, out, buffers.images, to.channels);
                }
            }
            LayerOperation::Scale => {
                let factors = buffers.map(layer.inputs[1]);
                scale_planes(gpu, x, factors, out, [planes, to.pixels()]);
            }
            LayerOperation::Resize => resize(gpu, x, out, planes, [from.size(), to.size()]),
            LayerOperation::MaxPool { .. } | LayerOperation::AveragePool { .. } => {
                self.windows(buffers, layer).run(gpu, x, out);
            }
            LayerOperation::Subsample { offset } => {
                subsample(buffers, from, offset).run(gpu, x, out);
            }
            LayerOperation::Concatenate => {
                let mut first = 0;
                for input in &layer.inputs {
                    let from = self.plan.maps[input.map];
                    placed(buffers, from, to, first).run(gpu, buffers.map(*input), out);
                    first += from.channels;
                }
            }
            LayerOperation::Add { .. } => {
                let [a, b] = [layer.inputs[0], layer.inputs[1]];
                let factors = [a, b].map(|input| buffers.factors_of(input.path));
                let maps = [a, b].map(|input| buffers.map(input));
                self.add(buffers, to, maps, factors, out);
            }
            other => unreachable!("{other:?} is planned for no network"),
        }
    }

    /// The sum of two maps, of which drop-path may have factors.
    fn add(
        &self,
        buffers: &LayerBuffers,
        dims: MapDims,
        [a, b]: [View; 2],
        factors: [Option<View>; 2],
        out: View,
    ) {
        let (gpu, values) = (&self.state.gpu, image_values(buffers, dims));
        match factors {
            // Not in one kernel: `fma(1, b, factor * a)` is compiled to a sum of a product, which CUDA's
            // compiler contracts.
            [Some(factors), None] => {
                values.scale(gpu, a, factors, out, false);
                CopyValues::all(values.images, values.image, true).run(gpu, b, out);
            }
            factors => values.add(gpu, [a, b], factors, out),
        }
    }

    fn convolve(&self, buffers: &LayerBuffers, layer: &LayerPlan, out: View) {
        let LayerOperation::Convolution { kernel, .. } = layer.operation else {
            return;
        };
        let Some(weight) = &layer.weight else { return };
        let (gpu, weights) = (&self.state.gpu, self.state.weight(weight));
        let x = buffers.map(layer.inputs[0]);
        match kernel {
            [3, 3] => self.stem(buffers, layer).run(gpu, x, weights, out),
            [1, 1] => {
                for (number, input) in layer.inputs.iter().enumerate() {
                    let convolution = self.pointwise(buffers, layer, number);
                    convolution.run(gpu, buffers.map(*input), weights, out, number > 0);
                }
            }
            _ => self.taps(buffers, layer).run(gpu, x, weights, out),
        }
    }

    /// A 1×1 convolution of map number `number` of the layer's inputs.
    pub(super) fn pointwise<'a>(
        &self,
        buffers: &'a LayerBuffers,
        layer: &LayerPlan,
        number: usize,
    ) -> Conv1<'a> {
        let [from, to] = self.plan.sides(layer);
        one_of(buffers, [from, to], number, layer.inputs.len())
    }

    /// The 3×3 convolution of the image.
    pub(super) fn stem(&self, buffers: &LayerBuffers, layer: &LayerPlan) -> Conv3 {
        let [from, to] = self.plan.sides(layer);
        Conv3 {
            images: buffers.images,
            height: to.height,
            width: to.width,
            padding: 1,
            inputs: from.channels,
            outputs: to.channels,
            oihw: false,
        }
    }

    pub(super) fn taps(&self, buffers: &LayerBuffers, layer: &LayerPlan) -> TapConvolution {
        let LayerOperation::Convolution { kernel, stride } = layer.operation else {
            unreachable!("the layer is a convolution")
        };
        let [from, to] = self.plan.sides(layer);
        TapConvolution {
            images: buffers.images,
            inputs: from.channels,
            outputs: to.channels,
            from: from.size(),
            to: to.size(),
            kernel,
            stride,
        }
    }

    pub(super) fn depthwise(&self, buffers: &LayerBuffers, layer: &LayerPlan) -> Depthwise {
        let LayerOperation::Depthwise {
            kernel,
            stride,
            dilation,
        } = layer.operation
        else {
            unreachable!("the layer is a depthwise convolution")
        };
        let [from, to] = self.plan.sides(layer);
        Depthwise {
            images: buffers.images,
            channels: from.channels,
            from: from.size(),
            to: to.size(),
            kernel,
            stride,
            dilation,
        }
    }

    pub(super) fn windows(&self, buffers: &LayerBuffers, layer: &LayerPlan) -> Windows {
        let (stride, mean) = match layer.operation {
            LayerOperation::MaxPool { stride } => (stride, false),
            LayerOperation::AveragePool { stride } => (stride, true),
            _ => unreachable!("the layer is a pooling"),
        };
        let [from, to] = self.plan.sides(layer);
        Windows {
            planes: buffers.images * from.channels,
            from: from.size(),
            to: to.size(),
            stride,
            mean,
        }
    }

    /// The logits from the last maps.
    fn head(&self, buffers: &LayerBuffers) {
        let (gpu, plan) = (&self.state.gpu, &self.plan);
        let (features, classes) = (plan.features(), plan.classes());
        let planes = buffers.images * features.channels;
        let logits = buffers.logits.all();
        for (number, map) in plan.outputs.iter().enumerate() {
            let means = buffers.features[number].all();
            let (y, stripes) = (buffers.maps[*map].all(), buffers.stripes[0].all());
            let pixels = plan.maps[*map].pixels();
            average(gpu, y, stripes, means, planes, pixels);
            let linear = one_of(buffers, [features, classes], number, plan.outputs.len());
            let weights = self.state.weight(&plan.linear);
            linear.run(gpu, means, weights, logits, number > 0);
        }
        let from = self.state.weight(&plan.bias);
        bias(gpu, from, logits, buffers.images, classes.channels);
    }
}

/// A 1×1 convolution of the map number `number` of `of` that are alike, or a linear layer.
pub(super) fn one_of(
    buffers: &LayerBuffers,
    [from, to]: [MapDims; 2],
    number: usize,
    of: usize,
) -> Conv1<'_> {
    Conv1 {
        images: buffers.images,
        pixels: to.pixels(),
        inputs: from.channels,
        outputs: to.channels,
        sources: Sources::One { number, of },
        factors: None,
    }
}

pub(super) fn subsample(buffers: &LayerBuffers, from: MapDims, offset: usize) -> Subsample {
    Subsample {
        planes: buffers.images * from.channels,
        from: from.size(),
        offset,
    }
}

/// How one of several maps is placed in their concatenation, `first` its first channel there.
pub(super) fn placed(
    buffers: &LayerBuffers,
    from: MapDims,
    to: MapDims,
    first: usize,
) -> CopyValues {
    CopyValues {
        images: buffers.images,
        values: from.image(),
        from: [from.image(), 0],
        to: [to.image(), first * to.pixels()],
        add: false,
    }
}

pub(super) fn image_values(buffers: &LayerBuffers, dims: MapDims) -> ImageValues {
    ImageValues {
        images: buffers.images,
        image: dims.image(),
    }
}
