//! The backward pass of a network of layers as plain loops.

use std::collections::BTreeMap;

use naschain_core::{GraphLayer, LayerOperation};

use super::network::{PlainNetwork, Statistics, kernel_of, planes};
use super::plain;
use crate::kernels::reference::{self, TensorShape};

/// The gradients of maps and parameters of one step.
pub(super) struct Gradients {
    pub(super) maps: Vec<Option<Vec<f32>>>,
    pub(super) tensors: BTreeMap<String, Vec<f32>>,
}

impl Gradients {
    fn add(&mut self, map: usize, part: Vec<f32>) {
        match &mut self.maps[map] {
            None => self.maps[map] = Some(part),
            Some(sum) => sum
                .iter_mut()
                .zip(part)
                .for_each(|(sum, part)| *sum += part),
        }
    }
}

/// For each channel the fold of the values of a map of one pixel over the images.
fn over_images(values: &[f32], channels: usize) -> Vec<f32> {
    let of_channel = |channel: usize| {
        let terms = values.iter().skip(channel).step_by(channels);
        reference::over_images(&terms.copied().collect::<Vec<f32>>())
    };
    (0..channels).map(of_channel).collect()
}

impl PlainNetwork {
    pub(super) fn head_backward(
        &self,
        features: &[Vec<f32>],
        dlogits: &[f32],
        images: usize,
        gradients: &mut Gradients,
    ) {
        let (shape, classes) = (self.features(images), self.graph.classes);
        let of_classes = TensorShape {
            channels: classes,
            ..shape
        };
        let weight = reference::conv1_weights(features, shape, dlogits, classes);
        gradients.tensors.insert("linear.weight".to_owned(), weight);
        let bias = over_images(dlogits, classes);
        gradients.tensors.insert("linear.bias".to_owned(), bias);
        let maps = self.graph.outputs.len();
        for (m, map) in self.graph.outputs.iter().enumerate() {
            let weights = &self.tensors["linear.weight"];
            let channels = shape.channels;
            let d = reference::conv1_input(dlogits, of_classes, weights, channels, [m, maps]);
            let pixels = self.shape(*map, images).pixels();
            let each: Vec<f32> = d.iter().map(|d| d / pixels as f32).collect();
            gradients.add(*map, plain::spread(&each, pixels));
        }
    }

    pub(super) fn backward(
        &self,
        index: usize,
        maps: &[Vec<f32>],
        (statistics, factors): (&Statistics, &BTreeMap<usize, [Vec<f32>; 2]>),
        gradients: &mut Gradients,
    ) {
        let layer = &self.graph.layers[index];
        let images = maps[0].len() / self.graph.input.len();
        let Some(dout) = gradients.maps[index + 1].clone() else {
            // Nobody computes the gradient of a resized image.
            assert_eq!(layer.operation, LayerOperation::Resize);
            return;
        };
        let (map, to) = (layer.inputs[0], self.shape(index + 1, images));
        let x = &maps[map];
        match layer.operation {
            LayerOperation::Convolution { .. } | LayerOperation::Depthwise { .. } => {
                self.convolution_backward(index, maps, &dout, gradients);
            }
            LayerOperation::BatchNorm => {
                let part = self.norm_backward(layer, (x, &dout, to), statistics, gradients);
                gradients.add(map, part);
            }
            LayerOperation::Relu | LayerOperation::HardSigmoid | LayerOperation::HardSwish => {
                let part = plain::passed(layer.operation, x, &dout);
                gradients.add(map, part);
            }
            LayerOperation::GlobalAverage => {
                let pixels = self.shape(map, images).pixels();
                let each: Vec<f32> = dout.iter().map(|d| d / pixels as f32).collect();
                gradients.add(map, plain::spread(&each, pixels));
            }
            LayerOperation::Bias => {
                let bias = over_images(&dout, to.channels);
                gradients.tensors.insert(layer.name.clone(), bias);
                gradients.add(map, dout);
            }
            LayerOperation::Scale => {
                let (numbers, pixels) = (layer.inputs[1], to.pixels());
                let factors = plain::spread(&maps[numbers], pixels);
                let part = dout.iter().zip(factors).map(|(d, factor)| d * factor);
                gradients.add(map, part.collect());
                let planes = dout.chunks(pixels).zip(x.chunks(pixels));
                let sum = |(d, x): (&[f32], &[f32])| {
                    reference::over_pixels(pixels, |pixel, sum| d[pixel].mul_add(x[pixel], sum))
                };
                gradients.add(numbers, planes.map(sum).collect());
            }
            LayerOperation::Concatenate => {
                let (whole, mut first) = (to.len() / images, 0);
                for map in &layer.inputs {
                    let size = self.graph.shape(*map).len();
                    let of_image = |image: usize| &dout[image * whole + first..][..size];
                    let part = (0..images).flat_map(|image| of_image(image).iter().copied());
                    gradients.add(*map, part.collect());
                    first += size;
                }
            }
            LayerOperation::Add { .. } => {
                for (map, factors) in layer.inputs.iter().zip(&factors[&(index + 1)]) {
                    let parts = dout.chunks(to.len() / images).zip(factors);
                    let part = parts.flat_map(|(d, f)| d.iter().map(move |d| f * d));
                    gradients.add(*map, part.collect());
                }
            }
            _ => {
                let mut dx = vec![0.0; x.len()];
                for (place, part) in self.scattered(index, x, &dout, images) {
                    dx[place] += part;
                }
                gradients.add(map, dx);
            }
        }
    }

    /// What a layer that moves or combines values adds to the gradients of which of them, in order.
    fn scattered(&self, index: usize, x: &[f32], dout: &[f32], images: usize) -> Vec<(usize, f32)> {
        let layer = &self.graph.layers[index];
        let (from, to) = (
            self.shape(layer.inputs[0], images),
            self.shape(index + 1, images),
        );
        match layer.operation {
            LayerOperation::MaxPool { stride } => plain::windows(from, to, stride)
                .iter()
                .zip(dout)
                .map(|(window, d)| (plain::largest(x, window), *d))
                .collect(),
            LayerOperation::AveragePool { stride } => plain::windows(from, to, stride)
                .iter()
                .zip(dout)
                .flat_map(|(window, d)| {
                    let share = d / window.len() as f32;
                    window.iter().map(move |place| (*place, share))
                })
                .collect(),
            LayerOperation::Subsample { offset } => plain::subsampled(from, to, offset)
                .into_iter()
                .zip(dout.iter().copied())
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    fn convolution_backward(
        &self,
        index: usize,
        maps: &[Vec<f32>],
        dout: &[f32],
        gradients: &mut Gradients,
    ) {
        let layer = &self.graph.layers[index];
        let images = maps[0].len() / self.graph.input.len();
        let (map, name) = (layer.inputs[0], format!("{}.weight", layer.name));
        let (from, to) = (self.shape(map, images), self.shape(index + 1, images));
        let (x, w) = (&maps[map], self.weight(layer));
        let weight = match layer.operation {
            LayerOperation::Convolution { kernel: [3, 3], .. } => {
                reference::conv3_weights(x, from, dout, to.channels, 1)
            }
            LayerOperation::Convolution { kernel: [1, 1], .. } => {
                for (m, map) in layer.inputs.iter().enumerate() {
                    let place = [m, layer.inputs.len()];
                    let part = reference::conv1_input(dout, to, w, from.channels, place);
                    gradients.add(*map, part);
                }
                let read: Vec<_> = layer.inputs.iter().map(|map| maps[*map].clone()).collect();
                reference::conv1_weights(&read, from, dout, to.channels)
            }
            LayerOperation::Convolution { .. } => {
                let k = kernel_of(layer);
                gradients.add(map, plain::dense_input(dout, from, w, to, k));
                plain::dense_weights(x, from, dout, to, k)
            }
            _ => {
                let k = kernel_of(layer);
                gradients.add(map, plain::depthwise_input(dout, from, w, to, k));
                plain::depthwise_weights(x, from, dout, to, k)
            }
        };
        gradients.tensors.insert(name, weight);
    }

    fn norm_backward(
        &self,
        layer: &GraphLayer,
        (z, dy, shape): (&[f32], &[f32], TensorShape),
        statistics: &Statistics,
        gradients: &mut Gradients,
    ) -> Vec<f32> {
        let mut dz = vec![0.0; z.len()];
        let (mut weights, mut biases) = (Vec::new(), Vec::new());
        for (channel, now) in statistics[&layer.name].iter().enumerate() {
            let (z, dy) = (planes(z, shape, channel), planes(dy, shape, channel));
            let (own, weight, bias) = reference::norm_backward(&z, &dy, *now, None);
            weights.push(weight);
            biases.push(bias);
            for (image, own) in own.iter().enumerate() {
                let at = (image * shape.channels + channel) * shape.pixels();
                dz[at..][..own.len()].copy_from_slice(own);
            }
        }
        let parts = [("weight", weights), ("bias", biases)];
        for (part, values) in parts {
            gradients
                .tensors
                .insert(format!("{}.{part}", layer.name), values);
        }
        dz
    }
}
