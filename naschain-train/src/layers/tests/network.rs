//! A whole network of layers as plain loops.

use std::collections::BTreeMap;

use naschain_core::{GraphLayer, LayerGraph, LayerOperation, Recipe};

use super::plain::{self, Kernel};
use crate::engine::StepInput;
use crate::kernels::reference::{self, Channel, TensorShape};
use crate::loss::CrossEntropy;
use crate::weights::Weights;

pub(super) struct PlainNetwork {
    pub(super) graph: LayerGraph,
    pub(super) tensors: BTreeMap<String, Vec<f32>>,
    velocities: BTreeMap<String, Vec<f32>>,
    /// Names of the parameters in declaration order.
    names: Vec<String>,
    used: Vec<bool>,
}

/// The gradients of maps and parameters of one step.
struct Gradients {
    maps: Vec<Option<Vec<f32>>>,
    tensors: BTreeMap<String, Vec<f32>>,
}

impl Gradients {
    fn add(&mut self, map: usize, part: Vec<f32>) {
        match &mut self.maps[map] {
            None => self.maps[map] = Some(part),
            Some(sum) => sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part),
        }
    }
}

/// The statistics of the batch norms of a step.
type Statistics = BTreeMap<String, Vec<Channel>>;

impl PlainNetwork {
    pub(super) fn new(graph: LayerGraph, weights: &Weights) -> PlainNetwork {
        let tensors = weights.tensors.iter();
        let tensors = tensors.map(|tensor| (tensor.name.clone(), tensor.values.clone()));
        let names = weights.parameters().map(|tensor| tensor.name.clone());
        let mut used = vec![false; graph.layers.len() + 1];
        graph.outputs.iter().for_each(|map| used[*map] = true);
        for (index, layer) in graph.layers.iter().enumerate().rev() {
            if used[index + 1] {
                layer.inputs.iter().for_each(|map| used[*map] = true);
            }
        }
        PlainNetwork {
            names: names.collect(),
            tensors: tensors.collect(),
            velocities: BTreeMap::new(),
            graph,
            used,
        }
    }

    fn shape(&self, map: usize, images: usize) -> TensorShape {
        let shape = self.graph.shape(map);
        TensorShape {
            images,
            channels: shape.channels,
            height: shape.height,
            width: shape.width,
        }
    }

    fn weight(&self, layer: &GraphLayer) -> &[f32] {
        &self.tensors[&format!("{}.weight", layer.name)]
    }

    /// The factors of the terms of each sum: 1 where nothing is dropped.
    fn factors(&self, input: &StepInput, images: usize) -> BTreeMap<usize, [Vec<f32>; 2]> {
        let (mut next, mut all) = (0, BTreeMap::new());
        for (index, layer) in self.graph.layers.iter().enumerate() {
            let LayerOperation::Add { droppable } = layer.operation else {
                continue;
            };
            if !self.used[index + 1] {
                continue;
            }
            let of_side = droppable.map(|droppable| {
                let path = next;
                next += usize::from(droppable);
                let own = droppable.then(|| input.factors.get(path)).flatten();
                own.cloned().unwrap_or(vec![1.0; images])
            });
            all.insert(index + 1, of_side);
        }
        all
    }

    pub(super) fn step(&mut self, input: &StepInput, recipe: &Recipe, rate: f64) -> f64 {
        let images = input.labels.len();
        let factors = self.factors(input, images);
        let (maps, statistics) = self.forward(&input.pixels, &factors, true);
        let (features, logits) = self.head(&maps, images);
        let mut loss = CrossEntropy::default();
        let found = loss.compute(&logits, &input.labels, recipe.label_smoothing);
        let mut gradients = Gradients {
            maps: vec![None; maps.len()],
            tensors: BTreeMap::new(),
        };
        self.head_backward(&features, &loss.gradient, images, &mut gradients);
        for index in (0..self.graph.layers.len()).rev() {
            if self.used[index + 1] {
                self.backward(index, &maps, (&statistics, &factors), &mut gradients);
            }
        }
        self.update(&gradients.tensors, recipe, rate);
        found.sum / images as f64
    }

    pub(super) fn logits(&mut self, pixels: &[f32]) -> Vec<f32> {
        let images = pixels.len() / self.graph.input.len();
        let none = StepInput {
            pixels: Vec::new(),
            labels: Vec::new(),
            factors: Vec::new(),
        };
        let factors = self.factors(&none, images);
        let (maps, _) = self.forward(pixels, &factors, false);
        self.head(&maps, images).1
    }

    fn forward(
        &mut self,
        pixels: &[f32],
        factors: &BTreeMap<usize, [Vec<f32>; 2]>,
        training: bool,
    ) -> (Vec<Vec<f32>>, Statistics) {
        let images = pixels.len() / self.graph.input.len();
        let mut statistics = Statistics::new();
        let mut maps = vec![pixels.to_vec()];
        for index in 0..self.graph.layers.len() {
            let layer = self.graph.layers[index].clone();
            if !self.used[index + 1] {
                maps.push(Vec::new());
                continue;
            }
            let (from, to) = (self.shape(layer.inputs[0], images), self.shape(index + 1, images));
            let x = &maps[layer.inputs[0]];
            let out = match layer.operation {
                LayerOperation::Convolution { kernel: [3, 3], .. } => {
                    reference::conv3(x, from, self.weight(&layer), to.channels, 1)
                }
                LayerOperation::Convolution { kernel: [1, 1], .. } => {
                    let read = layer.inputs.iter().map(|map| maps[*map].clone());
                    let read: Vec<_> = read.collect();
                    reference::conv1(&read, from, self.weight(&layer), to.channels)
                }
                LayerOperation::Convolution { .. } => {
                    plain::dense(x, from, self.weight(&layer), to, kernel_of(&layer))
                }
                LayerOperation::Depthwise { .. } => {
                    plain::depthwise(x, from, self.weight(&layer), to, kernel_of(&layer))
                }
                LayerOperation::BatchNorm => {
                    let (out, channels) = self.norm(&layer, x, to, training);
                    statistics.insert(layer.name.clone(), channels);
                    out
                }
                LayerOperation::Relu => x.iter().map(|x| reference::relu(*x)).collect(),
                LayerOperation::MaxPool { stride } => plain::windows(from, to, stride)
                    .iter()
                    .map(|window| x[plain::largest(x, window)])
                    .collect(),
                LayerOperation::AveragePool { stride } => plain::windows(from, to, stride)
                    .iter()
                    .map(|w| w.iter().fold(0.0, |sum, p| sum + x[*p]) / w.len() as f32)
                    .collect(),
                LayerOperation::Subsample { offset } => plain::subsampled(from, to, offset)
                    .iter()
                    .map(|place| x[*place])
                    .collect(),
                LayerOperation::Concatenate => {
                    let mut out = Vec::new();
                    for image in 0..images {
                        for map in &layer.inputs {
                            let size = self.graph.shape(*map).len();
                            out.extend(&maps[*map][image * size..][..size]);
                        }
                    }
                    out
                }
                LayerOperation::Add { .. } => {
                    let ([f, g], size) = (&factors[&(index + 1)], to.len() / images);
                    let [a, b] = [0, 1].map(|side| &maps[layer.inputs[side]]);
                    let value = |i: usize| b[i].mul_add(g[i / size], f[i / size] * a[i]);
                    (0..to.len()).map(value).collect()
                }
                other => panic!("{other:?}"),
            };
            maps.push(out);
        }
        (maps, statistics)
    }

    fn channels_of(&self, name: &str, channel: usize) -> (f32, f32, Channel) {
        let value = |part: &str| self.tensors[&format!("{name}.{part}")][channel];
        let before = Channel {
            mean: 0.0,
            inverse: 0.0,
            scale: 0.0,
            running_mean: value("running_mean"),
            running_var: value("running_var"),
        };
        (value("weight"), value("bias"), before)
    }

    fn norm(
        &mut self,
        layer: &GraphLayer,
        z: &[f32],
        shape: TensorShape,
        training: bool,
    ) -> (Vec<f32>, Vec<Channel>) {
        let (mut out, mut all) = (vec![0.0; z.len()], Vec::new());
        for channel in 0..shape.channels {
            let (weight, bias, before) = self.channels_of(&layer.name, channel);
            let planes = planes(z, shape, channel);
            let now = match training {
                true => reference::batch_statistics(&planes, weight, before),
                _ => reference::running_statistics(weight, before),
            };
            for (part, value) in [
                ("running_mean", now.running_mean),
                ("running_var", now.running_var),
            ] {
                let name = format!("{}.{part}", layer.name);
                self.tensors.get_mut(&name).unwrap()[channel] = value;
            }
            for image in 0..shape.images {
                for pixel in 0..shape.pixels() {
                    let at = (image * shape.channels + channel) * shape.pixels() + pixel;
                    out[at] = reference::affine(z[at], now, bias);
                }
            }
            all.push(now);
        }
        (out, all)
    }

    fn head(&self, maps: &[Vec<f32>], images: usize) -> (Vec<Vec<f32>>, Vec<f32>) {
        let outputs = &self.graph.outputs;
        let average = |map: &usize| reference::average(&maps[*map], self.shape(*map, images));
        let features: Vec<Vec<f32>> = outputs.iter().map(average).collect();
        let shape = self.features(images);
        let classes = self.graph.classes;
        let mut logits = reference::conv1(&features, shape, &self.tensors["linear.weight"], classes);
        for (index, logit) in logits.iter_mut().enumerate() {
            *logit += self.tensors["linear.bias"][index % classes];
        }
        (features, logits)
    }

    fn features(&self, images: usize) -> TensorShape {
        TensorShape {
            height: 1,
            width: 1,
            ..self.shape(self.graph.outputs[0], images)
        }
    }

    fn head_backward(
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
        let bias = |class: usize| {
            let terms = dlogits.iter().skip(class).step_by(classes);
            reference::over_images(&terms.copied().collect::<Vec<f32>>())
        };
        let bias = (0..classes).map(bias).collect();
        gradients.tensors.insert("linear.bias".to_owned(), bias);
        let maps = self.graph.outputs.len();
        for (m, map) in self.graph.outputs.iter().enumerate() {
            let weights = &self.tensors["linear.weight"];
            let channels = shape.channels;
            let d = reference::conv1_input(dlogits, of_classes, weights, channels, [m, maps]);
            let pixels = self.shape(*map, images).pixels();
            let spread = d.iter().flat_map(|d| vec![d / pixels as f32; pixels]);
            gradients.add(*map, spread.collect());
        }
    }

    fn backward(
        &self,
        index: usize,
        maps: &[Vec<f32>],
        (statistics, factors): (&Statistics, &BTreeMap<usize, [Vec<f32>; 2]>),
        gradients: &mut Gradients,
    ) {
        let layer = &self.graph.layers[index];
        let images = maps[0].len() / self.graph.input.len();
        let dout = gradients.maps[index + 1].clone().unwrap();
        let (map, name) = (layer.inputs[0], format!("{}.weight", layer.name));
        let (from, to) = (self.shape(map, images), self.shape(index + 1, images));
        let x = &maps[map];
        let scattered = |places: &[(usize, f32)]| {
            let mut dx = vec![0.0; from.len()];
            places.iter().for_each(|(place, part)| dx[*place] += part);
            dx
        };
        match layer.operation {
            LayerOperation::Convolution { kernel: [3, 3], .. } => {
                let weight = reference::conv3_weights(x, from, &dout, to.channels, 1);
                gradients.tensors.insert(name, weight);
            }
            LayerOperation::Convolution { kernel: [1, 1], .. } => {
                let read: Vec<_> = layer.inputs.iter().map(|map| maps[*map].clone()).collect();
                let weight = reference::conv1_weights(&read, from, &dout, to.channels);
                gradients.tensors.insert(name, weight);
                for (m, map) in layer.inputs.iter().enumerate() {
                    let (weights, place) = (self.weight(layer), [m, layer.inputs.len()]);
                    let part = reference::conv1_input(&dout, to, weights, from.channels, place);
                    gradients.add(*map, part);
                }
            }
            LayerOperation::Convolution { .. } => {
                let k = kernel_of(layer);
                let weight = plain::dense_weights(x, from, &dout, to, k);
                gradients.tensors.insert(name, weight);
                let part = plain::dense_input(&dout, from, self.weight(layer), to, k);
                gradients.add(map, part);
            }
            LayerOperation::Depthwise { .. } => {
                let k = kernel_of(layer);
                let weight = plain::depthwise_weights(x, from, &dout, to, k);
                gradients.tensors.insert(name, weight);
                let part = plain::depthwise_input(&dout, from, self.weight(layer), to, k);
                gradients.add(map, part);
            }
            LayerOperation::BatchNorm => {
                let part = self.norm_backward(layer, (x, &dout, to), statistics, gradients);
                gradients.add(map, part);
            }
            LayerOperation::Relu => {
                let pairs = x.iter().zip(&dout);
                let part = pairs.map(|(x, d)| if *x > 0.0 { *d } else { 0.0 });
                gradients.add(map, part.collect());
            }
            LayerOperation::MaxPool { stride } => {
                let windows = plain::windows(from, to, stride);
                let windows = windows.iter().zip(&dout);
                let places = windows.map(|(window, d)| (plain::largest(x, window), *d));
                gradients.add(map, scattered(&places.collect::<Vec<_>>()));
            }
            LayerOperation::AveragePool { stride } => {
                let windows = plain::windows(from, to, stride);
                let places = windows.iter().zip(&dout).flat_map(|(window, d)| {
                    let share = d / window.len() as f32;
                    window.iter().map(move |place| (*place, share))
                });
                gradients.add(map, scattered(&places.collect::<Vec<_>>()));
            }
            LayerOperation::Subsample { offset } => {
                let places = plain::subsampled(from, to, offset).into_iter();
                let places = places.zip(dout.iter().copied());
                gradients.add(map, scattered(&places.collect::<Vec<_>>()));
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
                    let size = to.len() / images;
                    let parts = dout.chunks(size).zip(factors);
                    let part = parts.flat_map(|(d, f)| d.iter().map(move |d| f * d));
                    gradients.add(*map, part.collect());
                }
            }
            other => panic!("{other:?}"),
        }
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
            let (own, weight, bias) = reference::plain_norm_backward(&z, &dy, *now);
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

    fn update(&mut self, gradients: &BTreeMap<String, Vec<f32>>, recipe: &Recipe, rate: f64) {
        let mut squares = 0.0;
        for name in &self.names {
            let Some(gradient) = gradients.get(name) else {
                continue;
            };
            let (outputs, order) = self.rows(name, gradient.len());
            squares += reference::sum_of_squares(gradient, outputs, &order);
        }
        let (norm, most) = (squares.sqrt(), recipe.clip_norm as f32);
        let factor = if norm > most { most / norm } else { 1.0 };
        let numbers = [rate as f32, recipe.momentum as f32, recipe.weight_decay as f32];
        for (name, gradient) in gradients {
            let values = self.tensors.get_mut(name).unwrap();
            let velocities = self.velocities.entry(name.clone());
            let velocities = velocities.or_insert(vec![0.0; values.len()]);
            for ((p, v), g) in values.iter_mut().zip(velocities).zip(gradient) {
                [*p, *v] = reference::sgd([*p, *v, *g], factor, numbers, recipe.nesterov);
            }
        }
    }

    /// Outputs of a parameter, and the order of the sum over each output's values.
    fn rows(&self, name: &str, len: usize) -> (usize, Vec<usize>) {
        let layer = self.graph.layers.iter();
        let mut layer = layer.filter(|layer| format!("{}.weight", layer.name) == name);
        let outputs = match (layer.next(), name) {
            (Some(layer), _) => layer,
            (None, "linear.weight") => {
                let outputs = self.graph.classes;
                return (outputs, (0..len / outputs).collect());
            }
            (None, _) => return (len, vec![0]),
        };
        let (channels, operation) = (outputs.output.channels, outputs.operation);
        let rows = len / channels;
        let order = match operation {
            LayerOperation::BatchNorm => return (len, vec![0]),
            LayerOperation::Convolution { kernel: [3, 3], .. } => {
                let inputs = rows / 9;
                let place = |at: usize| (at / 3 % inputs * 3 + at / 3 / inputs) * 3 + at % 3;
                (0..rows).map(place).collect()
            }
            LayerOperation::Convolution { kernel, .. } => {
                let taps = kernel[0] * kernel[1];
                let inputs = rows / taps;
                (0..rows).map(|at| at % inputs * taps + at / inputs).collect()
            }
            _ => (0..rows).collect(),
        };
        (channels, order)
    }
}

/// One plane per image of a channel.
fn planes(values: &[f32], shape: TensorShape, channel: usize) -> Vec<&[f32]> {
    let pixels = shape.pixels();
    let place = |image: usize| (image * shape.channels + channel) * pixels;
    (0..shape.images)
        .map(|image| &values[place(image)..][..pixels])
        .collect()
}

fn kernel_of(layer: &GraphLayer) -> Kernel {
    match layer.operation {
        LayerOperation::Convolution { kernel, stride } => Kernel {
            size: kernel,
            stride,
            dilation: 1,
        },
        LayerOperation::Depthwise {
            kernel,
            stride,
            dilation,
        } => Kernel {
            size: [kernel; 2],
            stride: [stride; 2],
            dilation,
        },
        other => panic!("{other:?}"),
    }
}
