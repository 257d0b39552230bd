//! The backward pass of a batch: the gradients of all parameters.

use cubecl::prelude::Runtime;
use naschain_core::LayerOperation;

use super::GpuLayers;
use super::buffers::{LayerBuffers, LayerTrainingBuffers};
use super::forward::{image_values, one_of, placed, subsample};
use crate::gpu::View;
use crate::gpu::launch::{
    CopyValues, apply_back, average_back, copy, fold_parts, scale_planes, scale_sums,
};
use crate::kernels::BLOCK;
use crate::layers::plan::{LayerInput, LayerPlan, function};

/// The buffers of a training step.
#[derive(Clone, Copy)]
struct LayerStepBuffers<'a> {
    buffers: &'a LayerBuffers,
    training: &'a LayerTrainingBuffers,
}

impl<R: Runtime> GpuLayers<R> {
    /// From the logits' gradient to those with respect to all parameters.
    pub(super) fn backward(&self, buffers: &LayerBuffers, dlogits: &[f32]) {
        let Some(training) = &buffers.training else {
            return;
        };
        let step = LayerStepBuffers { buffers, training };
        let dlogits = self.state.gpu.write(dlogits);
        self.head_backward(step, dlogits.all());
        for layer in self.plan.layers.iter().rev() {
            // Images have no gradient.
            if !self.plan.is_image[layer.output] {
                let dout = self.dmap(step, layer.output);
                self.layer_backward(step, layer, dout);
            }
        }
    }

    /// The buffer of the gradient with respect to a map.
    fn dmap<'a>(&self, step: LayerStepBuffers<'a>, map: usize) -> View<'a> {
        step.training.dmaps[self.plan.slots[map]].all()
    }

    /// From the logits' gradient to those of the maps that the linear layer reads.
    fn head_backward(&self, step: LayerStepBuffers, dlogits: View) {
        let LayerStepBuffers { buffers, training } = step;
        let (gpu, plan) = (&self.state.gpu, &self.plan);
        let (features, classes) = (plan.features(), plan.classes());
        let (images, partial) = (buffers.images, training.partial.all());
        let bias = self.state.gradient(&plan.bias);
        fold_parts(gpu, dlogits, bias, images, BLOCK, classes.channels);
        let maps = plan.outputs.len();
        let linear = |number| one_of(buffers, [features, classes], number, maps);
        for (number, map) in plan.outputs.iter().enumerate() {
            let conv = linear(number);
            conv.gradient_parts(gpu, buffers.features[number].all(), dlogits, partial);
            let (weights, dfeatures) = (self.state.weight(&plan.linear), training.dfeatures.all());
            conv.run_back(gpu, dlogits, weights, dfeatures, false);
            let dmap = self.dmap(step, *map);
            let pixels = plan.maps[*map].pixels();
            average_back(gpu, dfeatures, dmap, images * features.channels, pixels);
        }
        linear(0).fold_gradient(gpu, partial, self.state.gradient(&plan.linear));
    }

    /// From the gradient of a layer's output to those of its inputs and weights.
    fn layer_backward(&self, step: LayerStepBuffers, layer: &LayerPlan, dout: View) {
        let (buffers, input) = (step.buffers, layer.inputs[0]);
        let gpu = &self.state.gpu;
        let [from, to] = self.plan.sides(layer);
        match layer.operation {
            LayerOperation::Convolution { .. } => self.convolution_backward(step, layer, dout),
            LayerOperation::Depthwise { .. } => self.depthwise_backward(step, layer, dout),
            LayerOperation::BatchNorm => self.norm_backward(step, layer, dout),
            LayerOperation::Relu | LayerOperation::HardSigmoid | LayerOperation::HardSwish => {
                let function = function(layer.operation);
                let dx = self.dmap(step, input.map);
                let numbers = buffers.images * to.image();
                let views = [buffers.map(input), dout, dx];
                apply_back(gpu, function, views, numbers, !input.last_reader);
            }
            LayerOperation::Add { .. } => self.add_backward(step, layer, dout),
            LayerOperation::Concatenate => {
                let mut first = 0;
                for input in &layer.inputs {
                    let from = self.plan.maps[input.map];
                    let dmap = self.dmap(step, input.map);
                    let back = placed(buffers, from, to, first).back(!input.last_reader);
                    back.run(gpu, dout, dmap);
                    first += from.channels;
                }
            }
            LayerOperation::Scale => self.scale_backward(step, layer, dout),
            LayerOperation::Bias => {
                if let Some(weight) = &layer.weight {
                    let to = self.state.gradient(weight);
                    fold_parts(gpu, dout, to, buffers.images, BLOCK, weight.outputs);
                }
                let numbers = buffers.images * to.image();
                self.pass_on(step, input, |dx| copy(gpu, dout, dx, numbers));
            }
            LayerOperation::GlobalAverage => self.pass_on(step, input, |dx| {
                let planes = buffers.images * from.channels;
                average_back(gpu, dout, dx, planes, from.pixels());
            }),
            LayerOperation::MaxPool { .. } | LayerOperation::AveragePool { .. } => {
                let windows = self.windows(buffers, layer);
                let x = buffers.map(input);
                self.pass_on(step, input, |dx| windows.run_back(gpu, x, dout, dx));
            }
            LayerOperation::Subsample { offset } => {
                let subsample = subsample(buffers, from, offset);
                self.pass_on(step, input, |dx| subsample.run_back(gpu, dout, dx));
            }
            other => unreachable!("{other:?} has no backward pass"),
        }
    }

    /// Calls `f` with the buffer for a reader's gradient with respect to a map, which is then added to
    /// the gradients of its later readers.
    fn pass_on(&self, step: LayerStepBuffers, input: LayerInput, f: impl FnOnce(View)) {
        if input.last_reader {
            return f(self.dmap(step, input.map));
        }
        let part = step.training.part.all();
        f(part);
        self.add_gradient(step, input, part);
    }

    /// Adds a reader's gradient with respect to a map to those of its later readers.
    fn add_gradient(&self, step: LayerStepBuffers, input: LayerInput, gradient: View) {
        let dmap = self.dmap(step, input.map);
        let image = self.plan.maps[input.map].image();
        let added = CopyValues::all(step.buffers.images, image, true);
        added.run(&self.state.gpu, gradient, dmap);
    }

    fn convolution_backward(&self, step: LayerStepBuffers, layer: &LayerPlan, dout: View) {
        let LayerOperation::Convolution { kernel, .. } = layer.operation else {
            return;
        };
        let Some(weight) = &layer.weight else { return };
        let LayerStepBuffers { buffers, training } = step;
        let gpu = &self.state.gpu;
        let (weights, gradient) = (self.state.weight(weight), self.state.gradient(weight));
        let (input, partial) = (layer.inputs[0], training.partial.all());
        let x = buffers.map(input);
        match kernel {
            // It reads the image, which has no gradient.
            [3, 3] => {
                let stem = self.stem(buffers, layer);
                stem.gradient(gpu, x, dout, partial, gradient);
            }
            [1, 1] => {
                let conv = |number| self.pointwise(buffers, layer, number);
                for (number, input) in layer.inputs.iter().enumerate() {
                    conv(number).gradient_parts(gpu, buffers.map(*input), dout, partial);
                    let dx = self.dmap(step, input.map);
                    conv(number).run_back(gpu, dout, weights, dx, !input.last_reader);
                }
                conv(0).fold_gradient(gpu, partial, gradient);
            }
            _ => {
                let taps = self.taps(buffers, layer);
                taps.gradient(gpu, x, dout, partial, gradient);
                self.pass_on(step, input, |dx| taps.run_back(gpu, dout, weights, dx));
            }
        }
    }

    fn depthwise_backward(&self, step: LayerStepBuffers, layer: &LayerPlan, dout: View) {
        let Some(weight) = &layer.weight else { return };
        let LayerStepBuffers { buffers, training } = step;
        let (gpu, input) = (&self.state.gpu, layer.inputs[0]);
        let convolution = self.depthwise(buffers, layer);
        let (x, partial) = (buffers.map(input), training.partial.all());
        convolution.gradient(gpu, x, dout, partial, self.state.gradient(weight));
        let weights = self.state.weight(weight);
        self.pass_on(step, input, |dx| {
            convolution.run_back(gpu, dout, weights, dx);
        });
    }

    /// Replaces the gradient with respect to a batch norm's output by that with respect to its input.
    fn norm_backward(&self, step: LayerStepBuffers, layer: &LayerPlan, dout: View) {
        let buffers = step.buffers;
        let Some(norm) = self.norm(buffers, layer) else {
            return;
        };
        // Each thread reads and writes one place.
        self.state.norm_backward(norm, dout, &buffers.stripes, dout);
        let input = layer.inputs[0];
        if !input.last_reader {
            self.add_gradient(step, input, dout);
        }
    }

    fn add_backward(&self, step: LayerStepBuffers, layer: &LayerPlan, dout: View) {
        let buffers = step.buffers;
        let gpu = &self.state.gpu;
        let values = image_values(buffers, self.plan.maps[layer.output]);
        for input in &layer.inputs {
            let to = self.dmap(step, input.map);
            let add = !input.last_reader;
            match buffers.factors_of(input.path) {
                Some(factors) => values.scale(gpu, dout, factors, to, add),
                None => CopyValues::all(values.images, values.image, add).run(gpu, dout, to),
            }
        }
    }

    /// A map whose channels are scaled, and the numbers by which they are.
    fn scale_backward(&self, step: LayerStepBuffers, layer: &LayerPlan, dout: View) {
        let (gpu, buffers) = (&self.state.gpu, step.buffers);
        let dims = self.plan.maps[layer.output];
        let sizes = [buffers.images * dims.channels, dims.pixels()];
        let [map, numbers] = [layer.inputs[0], layer.inputs[1]];
        self.pass_on(step, map, |dx| {
            scale_planes(gpu, dout, buffers.map(numbers), dx, sizes);
        });
        self.pass_on(step, numbers, |sums| {
            scale_sums(gpu, buffers.map(map), dout, sums, sizes);
        });
    }
}
