//! A whole network of layers as plain loops.

use std::collections::BTreeMap;

use naschain_core::{GraphLayer, LayerGraph, LayerOperation, Recipe};

use super::backward::Gradients;
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
    pub(super) used: Vec<bool>,
}

/// The statistics of the batch norms of a step.
pub(super) type Statistics = BTreeMap<String, Vec<Channel>>;

impl PlainNetwork {
    pub(super) fn new(graph: LayerGraph, weights: &Weights) -> PlainNetwork {
        let tensors = weights.tensors.iter();
        let tensors = tensors.map(|tensor| (tensor.name.clone(), tensor.values.clone()));
        let names = weights.parameters().map(|tensor| tensor.name.clone());
        PlainNetwork {
            names: names.collect(),
            tensors: tensors.collect(),
            velocities: BTreeMap::new(),
            used: graph.used_maps(),
            graph,
        }
    }

    pub(super) fn shape(&self, map: usize, images: usize) -> TensorShape {
        let shape = self.graph.shape(map);
        TensorShape {
            images,
            channels: shape.channels,
            height: shape.height,
            width: shape.width,
        }
    }

    pub(super) fn weight(&self, layer: &GraphLayer) -> &[f32] {
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
            let out = match layer.operation {
                _ if !self.used[index + 1] => Vec::new(),
                LayerOperation::BatchNorm => {
                    let shape = self.shape(index + 1, images);
                    let (out, channels) =
                        self.norm(&layer, &maps[layer.inputs[0]], shape, training);
                    statistics.insert(layer.name, channels);
                    out
                }
                LayerOperation::Add { .. } => {
                    let [f, g] = &factors[&(index + 1)];
                    let size = layer.output.len();
                    let [a, b] = [0, 1].map(|side| &maps[layer.inputs[side]]);
                    let value = |i: usize| b[i].mul_add(g[i / size], f[i / size] * a[i]);
                    (0..a.len()).map(value).collect()
                }
                _ => self.applied(index, &maps, images),
            };
            maps.push(out);
        }
        (maps, statistics)
    }

    /// The output of a layer that depends on its inputs and its weight only.
    fn applied(&self, index: usize, maps: &[Vec<f32>], images: usize) -> Vec<f32> {
        let layer = &self.graph.layers[index];
        let (from, to) = (
            self.shape(layer.inputs[0], images),
            self.shape(index + 1, images),
        );
        let x = &maps[layer.inputs[0]];
        match layer.operation {
            LayerOperation::Convolution { kernel: [3, 3], .. } => {
                reference::conv3(x, from, self.weight(layer), to.channels, 1)
            }
            LayerOperation::Convolution { kernel: [1, 1], .. } => {
                let read: Vec<_> = layer.inputs.iter().map(|map| maps[*map].clone()).collect();
                reference::conv1(&read, from, self.weight(layer), to.channels)
            }
            LayerOperation::Convolution { .. } => {
                plain::dense(x, from, self.weight(layer), to, kernel_of(layer))
            }
            LayerOperation::Depthwise { .. } => {
                plain::depthwise(x, from, self.weight(layer), to, kernel_of(layer))
            }
            LayerOperation::Relu => x.iter().map(|x| reference::relu(*x)).collect(),
            LayerOperation::HardSigmoid => x.iter().map(|x| plain::clamped(*x) / 6.0).collect(),
            LayerOperation::HardSwish => x.iter().map(|x| x * plain::clamped(*x) / 6.0).collect(),
            LayerOperation::GlobalAverage => reference::average(x, from),
            LayerOperation::Bias => {
                let bias = self.tensors[&layer.name].iter().cycle();
                x.iter().zip(bias).map(|(x, bias)| x + bias).collect()
            }
            LayerOperation::Scale => {
                let factors = plain::spread(&maps[layer.inputs[1]], to.pixels());
                x.iter()
                    .zip(factors)
                    .map(|(x, factor)| x * factor)
                    .collect()
            }
            LayerOperation::Resize => plain::resized(x, from, to),
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
                let of_image = |image: usize| {
                    layer.inputs.iter().flat_map(move |map| {
                        let size = self.graph.shape(*map).len();
                        maps[*map][image * size..][..size].iter().copied()
                    })
                };
                (0..images).flat_map(of_image).collect()
            }
            other => panic!("{other:?}"),
        }
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
            let now = if training {
                reference::batch_statistics(&planes, weight, before)
            } else {
                reference::running_statistics(weight, before)
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
        let mut logits =
            reference::conv1(&features, shape, &self.tensors["linear.weight"], classes);
        for (index, logit) in logits.iter_mut().enumerate() {
            *logit += self.tensors["linear.bias"][index % classes];
        }
        (features, logits)
    }

    pub(super) fn features(&self, images: usize) -> TensorShape {
        TensorShape {
            height: 1,
            width: 1,
            ..self.shape(self.graph.outputs[0], images)
        }
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
        let numbers = [
            rate as f32,
            recipe.momentum as f32,
            recipe.weight_decay as f32,
        ];
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
                (0..rows)
                    .map(|at| at % inputs * taps + at / inputs)
                    .collect()
            }
            _ => (0..rows).collect(),
        };
        (channels, order)
    }
}

/// One plane per image of a channel.
pub(super) fn planes(values: &[f32], shape: TensorShape, channel: usize) -> Vec<&[f32]> {
    let pixels = shape.pixels();
    let place = |image: usize| (image * shape.channels + channel) * pixels;
    (0..shape.images)
        .map(|image| &values[place(image)..][..pixels])
        .collect()
}

pub(super) fn kernel_of(layer: &GraphLayer) -> Kernel {
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
