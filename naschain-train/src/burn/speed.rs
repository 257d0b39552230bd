//! Benchmark of training steps on one thread: our network compared with the exact operations in
//! burn, with one of burn's own layers, and with our module by burn's operations, whose batch norm is
//! written for burn's CPU backend.

use std::time::Instant;

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
use naschain_core::{Architecture, MacroSpace, Recipe};
use rayon::ThreadPoolBuilder;

use super::{BurnTraining, Place, StockTraining};
use crate::Isa;
use crate::cpu::CpuNetwork;
use crate::engine::{Batch, Engine};
use crate::weights::TensorSource;

const IMAGES: usize = 128;

/// Three phases of three nodes in a chain, built from burn's own layers.
#[derive(Module, Debug)]
struct Stock<B: Backend> {
    phases: Vec<StockPhase<B>>,
    linear: Linear<B>,
}

#[derive(Module, Debug)]
struct StockPhase<B: Backend> {
    entry: Conv2d<B>,
    nodes: Vec<Conv2d<B>>,
    /// One per node, and one for the output.
    norms: Vec<BatchNorm<B>>,
}

impl<B: Backend> Stock<B> {
    fn new(architecture: &Architecture, device: &B::Device) -> Stock<B> {
        let phases = architecture.phases.iter().map(|phase| {
            let channels = phase.channels;
            let conv = |input, kernel: usize| {
                let side = kernel / 2;
                Conv2dConfig::new([input, channels], [kernel, kernel])
                    .with_padding(PaddingConfig2d::Explicit(side, side, side, side))
                    .with_bias(false)
                    .init(device)
            };
            let nodes = phase.nodes.len();
            StockPhase {
                entry: conv(phase.entry.in_channels, phase.entry.kernel),
                nodes: (0..nodes).map(|_| conv(channels, 3)).collect(),
                norms: (0..=nodes)
                    .map(|_| BatchNormConfig::new(channels).init(device))
                    .collect(),
            }
        });
        let phases: Vec<_> = phases.collect();
        let last = architecture.phases.last().unwrap().channels;
        let linear = LinearConfig::new(last, architecture.classes).init(device);
        Stock { phases, linear }
    }

    fn forward(&self, mut x: Tensor<B, 4>) -> Tensor<B, 2> {
        for (index, phase) in self.phases.iter().enumerate() {
            if index > 0 {
                x = module::max_pool2d(x, [2, 2], [2, 2], [0, 0], [1, 1], false);
            }
            x = phase.entry.forward(x);
            for (conv, norm) in phase.nodes.iter().zip(&phase.norms) {
                x = activation::relu(norm.forward(conv.forward(x)));
            }
            x = activation::relu(phase.norms[phase.nodes.len()].forward(x));
        }
        let [images, channels, height, width] = x.dims();
        let means = x.reshape([images, channels, height * width]).mean_dim(2);
        self.linear.forward(means.reshape([images, channels]))
    }
}

/// The shortest time of seven runs, after one warm-up run.
#[allow(clippy::disallowed_methods, reason = "it measures time")]
fn shortest(mut step: impl FnMut()) -> f64 {
    step();
    let seconds = (0..7).map(|_| {
        let started = Instant::now();
        step();
        started.elapsed().as_secs_f64()
    });
    seconds.fold(f64::INFINITY, f64::min)
}

fn batch(architecture: &Architecture) -> Batch {
    let numbers = 0..IMAGES * architecture.input.len();
    Batch {
        pixels: numbers
            .map(|at| (at * 37 % 256) as f32 / 128.0 - 1.0)
            .collect(),
        labels: (0..IMAGES).map(|at| (at % 10) as u16).collect(),
        factors: Vec::new(),
    }
}

fn engine<E: Engine>(architecture: &Architecture, target: &E::Target) -> f64 {
    let mut network = E::build(architecture, TensorSource::drawn(7), target).unwrap();
    network.start_training(&[]);
    let recipe = Recipe::default();
    let batch = batch(architecture);
    shortest(|| {
        network.step(&batch, &recipe, 0.05);
    })
}

fn stock(architecture: &Architecture) -> f64 {
    type B = Autodiff<Flex>;
    let device = Default::default();
    let recipe = Recipe::default();
    let module = Stock::<B>::new(architecture, &device);
    // Checks that it is the same network: burn's count includes running means and variances, as
    // many as scales and shifts.
    let norms = module.phases.iter().flat_map(|phase| &phase.norms);
    let running: usize = norms.map(|norm| 2 * norm.gamma.dims()[0]).sum();
    let params = architecture.costs().unwrap().params as usize;
    assert_eq!(module.num_params() - running, params);
    let mut network = Some(module);
    let mut sgd = SgdConfig::new()
        .with_momentum(Some(MomentumConfig::new().with_momentum(recipe.momentum)))
        .with_gradient_clipping(Some(GradientClippingConfig::Norm(recipe.clip_norm as f32)))
        .init();
    let batch = batch(architecture);
    let shape = architecture.input;
    let shape = [IMAGES, shape.channels, shape.height, shape.width];
    let labels: Vec<i64> = batch.labels.iter().map(|&label| i64::from(label)).collect();
    shortest(|| {
        let pixels = TensorData::new(batch.pixels.clone(), shape);
        let labels = Tensor::<B, 1, Int>::from_data(&labels[..], &device);
        let module = network.take().unwrap();
        let logits = module.forward(Tensor::from_data(pixels, &device));
        let loss = CrossEntropyLossConfig::new().init(&device);
        let gradients = loss.forward(logits, labels).backward();
        let gradients = GradientsParams::from_grads(gradients, &module);
        network = Some(sgd.step(0.05, module, gradients));
    })
}

#[test]
#[ignore = "a measurement, for --release --nocapture and a quiet machine"]
fn steps_compared_with_burn() {
    let pool = ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    for (input, init_channels) in [
        ("1x8x8", 16),
        ("1x28x28", 8),
        ("1x28x28", 16),
        ("3x32x32", 16),
        ("3x32x32", 32),
    ] {
        let space = MacroSpace {
            phases: 3,
            nodes: 3,
            input: input.parse().unwrap(),
            init_channels,
            classes: 10,
        };
        let architecture = space.decode(&"1010-1010-1010".parse().unwrap()).unwrap();
        let place = Place {
            device: Default::default(),
            isa: Isa::best(),
        };
        let [ours, exact, module, stock] = pool.install(|| {
            let device = Default::default();
            [
                engine::<CpuNetwork>(&architecture, &Isa::best()),
                engine::<BurnTraining<Autodiff<Flex>>>(&architecture, &place),
                engine::<StockTraining<Autodiff<Flex>>>(&architecture, &device),
                stock(&architecture),
            ]
        });
        println!(
            "{input}, {init_channels} channels: {:.0} images/s; exact in burn at {:.2} of that; \
             {:.1} times burn's layers, {:.1} times our module by burn's operations",
            IMAGES as f64 / ours,
            ours / exact,
            stock / ours,
            module / ours
        );
    }
}
