//! The same networks built from burn's own layers and trained by its own optimiser. The bits are
//! burn's.

use std::time::{Duration, Instant};

use burn::backend::{Autodiff, Flex};
use burn::grad_clipping::GradientClippingConfig;
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, Optimizer, SgdConfig};
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData, activation, module};
use naschain_core::{Architecture, Phase, Recipe};

#[derive(Module, Debug)]
struct Stock<B: Backend> {
    phases: Vec<StockPhase<B>>,
    linear: Linear<B>,
}

#[derive(Module, Debug)]
struct StockPhase<B: Backend> {
    entry: Option<Conv2d<B>>,
    nodes: Vec<StockNode<B>>,
    output: Join<B>,
    norm: BatchNorm<B>,
}

#[derive(Module, Debug)]
struct StockNode<B: Backend> {
    number: usize,
    input: Join<B>,
    conv: Conv2d<B>,
    norm: BatchNorm<B>,
}

/// Reads one map, or concatenates several and convolves them.
#[derive(Module, Debug)]
struct Join<B: Backend> {
    inputs: Vec<usize>,
    conv: Option<Conv2d<B>>,
}

fn conv<B: Backend>(channels: [usize; 2], kernel: usize, side: usize) -> Conv2d<B> {
    Conv2dConfig::new(channels, [kernel, kernel])
        .with_padding(PaddingConfig2d::Explicit(side, side, side, side))
        .with_bias(false)
        .init(&Default::default())
}

impl<B: Backend> Join<B> {
    fn new(inputs: &[usize], channels: usize) -> Join<B> {
        let several = inputs.len() > 1;
        Join {
            inputs: inputs.to_vec(),
            conv: several.then(|| conv([inputs.len() * channels, channels], 1, 0)),
        }
    }

    fn forward(&self, maps: &[Option<Tensor<B, 4>>]) -> Tensor<B, 4> {
        let read = self.inputs.iter().filter_map(|&input| maps[input].clone());
        let mut read: Vec<_> = read.collect();
        match &self.conv {
            Some(conv) => conv.forward(Tensor::cat(read, 1)),
            None => read.remove(0),
        }
    }
}

impl<B: Backend> StockPhase<B> {
    fn new(phase: &Phase) -> StockPhase<B> {
        let channels = phase.channels;
        let norm = || BatchNormConfig::new(channels).init(&Default::default());
        let entry = &phase.entry;
        let nodes = phase.nodes.iter().map(|node| StockNode {
            number: node.number,
            input: Join::new(&node.inputs, channels),
            conv: conv([channels, channels], 3, 1),
            norm: norm(),
        });
        StockPhase {
            entry: entry
                .applied
                .then(|| conv([entry.in_channels, channels], entry.kernel, 0)),
            nodes: nodes.collect(),
            output: Join::new(&phase.output, channels),
            norm: norm(),
        }
    }

    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let x = match &self.entry {
            Some(entry) => entry.forward(x),
            None => x,
        };
        let mut maps = vec![Some(x)];
        for node in &self.nodes {
            let z = node.conv.forward(node.input.forward(&maps));
            maps.resize(node.number, None);
            maps.push(Some(activation::relu(node.norm.forward(z))));
        }
        activation::relu(self.norm.forward(self.output.forward(&maps)))
    }
}

impl<B: Backend> Stock<B> {
    fn new(architecture: &Architecture) -> Stock<B> {
        let phases: Vec<_> = architecture.phases.iter().map(StockPhase::new).collect();
        let features = architecture.phases.last().unwrap().channels;
        let linear = LinearConfig::new(features, architecture.classes).init(&Default::default());
        Stock { phases, linear }
    }

    fn forward(&self, mut x: Tensor<B, 4>, architecture: &Architecture) -> Tensor<B, 2> {
        for (index, phase) in self.phases.iter().enumerate() {
            if index > 0 {
                x = module::max_pool2d(x, [2, 2], [2, 2], [0, 0], [1, 1], false);
            }
            x = phase.forward(x);
            let expected = &architecture.phases[index];
            assert_eq!(x.dims()[2..], [expected.height, expected.width]);
        }
        let [images, channels, height, width] = x.dims();
        let means = x.reshape([images, channels, height * width]).mean_dim(2);
        self.linear.forward(means.reshape([images, channels]))
    }
}

/// The time of `count` steps of `images` images, after one more.
#[allow(clippy::disallowed_methods)] // a benchmark reads the clock
pub(super) fn steps(count: u64, architecture: &Architecture, images: usize) -> Duration {
    type B = Autodiff<Flex>;
    let device = Default::default();
    let recipe = Recipe::default();
    let mut network = Stock::<B>::new(architecture);
    let mut sgd = SgdConfig::new()
        .with_momentum(Some(MomentumConfig::new().with_momentum(recipe.momentum)))
        .with_gradient_clipping(Some(GradientClippingConfig::Norm(recipe.clip_norm as f32)))
        .init();
    let shape = architecture.input;
    let pixels = (0..images * shape.len()).map(|at| (at * 37 % 256) as f32 / 128.0 - 1.0);
    let pixels: Vec<f32> = pixels.collect();
    let shape = [images, shape.channels, shape.height, shape.width];
    let labels: Vec<i64> = (0..images as i64).map(|at| at % 10).collect();
    let mut started = Instant::now();
    for step in 0..=count {
        if step == 1 {
            started = Instant::now();
        }
        let x = Tensor::from_data(TensorData::new(pixels.clone(), shape), &device);
        let labels = Tensor::<B, 1, Int>::from_data(&labels[..], &device);
        let logits = network.forward(x, architecture);
        let loss = CrossEntropyLossConfig::new().init(&device);
        let gradients = loss.forward(logits, labels).backward();
        let gradients = GradientsParams::from_grads(gradients, &network);
        network = sgd.step(0.05, network, gradients);
    }
    started.elapsed()
}
