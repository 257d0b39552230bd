//! The public API of the burn module.

use std::ops::ControlFlow;

use burn::backend::{Autodiff, Flex};
use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams, Optimizer};
use burn::record::{BinBytesRecorder, FullPrecisionSettings, Recorder};
use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;
use naschain_core::{Augmentation, MacroSpace, Recipe, SearchSpace};

use super::BurnNetwork;
use super::layers::values;
use crate::cpu::CpuNetwork;
use crate::engine::Engine;
use crate::weights::TensorSource;
use crate::{Dataset, Isa, Model, Options, train};

/// A briefly trained network with every kind of layer.
fn model() -> Model {
    let digits = Dataset::digits();
    let space = MacroSpace {
        phases: 2,
        nodes: 4,
        input: digits.shape,
        init_channels: 5,
        classes: digits.classes,
    };
    let mut recipe = Recipe::default();
    // Cutout would erase such small images.
    recipe.augmentation = Augmentation::default();
    recipe.epochs = 1;
    recipe.train_images = 300;
    recipe.validation_images = 50;
    let genome = "1101011-1011010".parse().unwrap();
    let architecture = space.decode(&genome).unwrap();
    let mut proceed = |_: &_| ControlFlow::Continue(());
    let trained = train(
        &architecture,
        &digits,
        &recipe,
        Options::default(),
        &mut proceed,
    )
    .unwrap();
    Model::new(&space, &genome, &digits, &recipe, trained).unwrap()
}

/// Pixels over the whole range from 0 to 255.
pub(super) fn pixels(images: usize) -> Vec<f32> {
    (0..images * 64).map(|at| (at * 37 % 256) as f32).collect()
}

pub(super) fn tensor<B: burn::tensor::backend::Backend>(images: usize) -> Tensor<B, 4> {
    let flat = Tensor::<B, 1>::from_floats(&pixels(images)[..], &Default::default());
    flat.reshape([images, 1, 8, 8])
}

pub(super) fn assert_close(found: &[f32], right: &[f32], tolerance: f32) {
    assert_eq!(found.len(), right.len());
    for (found, right) in found.iter().zip(right) {
        let difference = (found - right).abs();
        assert!(
            difference < tolerance * (1.0 + right.abs()),
            "{found} is not {right}"
        );
    }
}

#[test]
fn gives_the_same_logits_as_the_model() {
    let model = model();
    let network = BurnNetwork::<Flex>::load(&model, &Default::default()).unwrap();
    assert_eq!(network.weights(), model.weights);
    let right = model.logits(&pixels(70), Options::default()).unwrap();
    let found = values(network.forward(tensor(70)));
    assert_close(&found, &right, 1e-4);
}

/// Colour images, a phase without nodes, and a first convolution that is not applied.
#[test]
fn gives_the_same_logits_for_every_kind_of_network() {
    for (phases, init_channels, genome) in [
        (3, 5, "1101011-0000000-1011010"),
        (1, 3, "1011011"),
        (1, 4, "0000000"),
    ] {
        let mut model = model();
        let SearchSpace::Macro(space) = &model.space else {
            panic!("{:?}", model.space)
        };
        let space = MacroSpace {
            phases,
            init_channels,
            input: "3x12x10".parse().unwrap(),
            ..space.clone()
        };
        model.space = space.into();
        model.genome = genome.parse().unwrap();
        model.network = model.space.decode(&model.genome).unwrap();
        let source = TensorSource::drawn(3);
        let drawn = CpuNetwork::build(model.network.view(), source, &Isa::best()).unwrap();
        model.weights = drawn.read();
        let wrong = BurnNetwork::<Flex>::load(&model, &Default::default());
        let right = "weights do not fit the architecture: the normalisation has 1 means and 1 deviations; images have 3 planes";
        assert_eq!(wrong.unwrap_err().to_string(), right);
        model.normalisation = crate::Scaling {
            mean: vec![10.0, 100.0, 150.0],
            deviation: vec![30.0, 50.0, 60.0],
        };
        let pixels: Vec<f32> = (0..5 * 360).map(|at| (at * 37 % 256) as f32).collect();
        let right = model.logits(&pixels, Options::default()).unwrap();
        let device = Default::default();
        let network = BurnNetwork::<Flex>::load(&model, &device).unwrap();
        assert_eq!(network.weights(), model.weights);
        let flat = Tensor::<Flex, 1>::from_floats(&pixels[..], &device);
        let found = values(network.forward(flat.reshape([5, 3, 12, 10])));
        assert_close(&found, &right, 1e-4);
    }
}

#[test]
fn a_record_restores_the_network() {
    let model = model();
    let mut other = model.clone();
    for tensor in &mut other.weights.tensors {
        tensor.values.fill(0.5);
    }
    other.normalisation.mean = vec![0.0];
    other.normalisation.deviation = vec![1.0];
    let device = Default::default();
    let network = BurnNetwork::<Flex>::load(&model, &device).unwrap();
    let recorder = BinBytesRecorder::<FullPrecisionSettings>::new();
    let bytes = recorder.record(network.clone().into_record(), ()).unwrap();
    let record = recorder.load(bytes, &device).unwrap();
    let loaded = BurnNetwork::<Flex>::load(&other, &device).unwrap();
    let loaded = loaded.load_record(record);
    assert_eq!(loaded.weights(), model.weights);
    assert_eq!(
        values(loaded.forward(tensor(3))),
        values(network.forward(tensor(3)))
    );
}

#[test]
fn can_be_trained_further_in_burn() {
    type Backend = Autodiff<Flex>;
    let model = model();
    let device = Default::default();
    let mut network = BurnNetwork::<Backend>::load(&model, &device).unwrap();
    let mut adam = AdamConfig::new().init();
    let mut losses = Vec::new();
    for _ in 0..5 {
        let says = log_softmax(network.forward_training(tensor(20)), 1);
        let loss = says.slice([0..20, 3..4]).mean().neg();
        losses.push(loss.clone().into_scalar());
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        network = adam.step(0.01, network, gradients);
    }
    assert!(losses.is_sorted_by(|a, b| a > b), "{losses:?}");
    let before = model.weights.tensors.iter();
    let after = network.weights().tensors;
    for (before, after) in before.zip(&after) {
        assert_eq!((&before.name, &before.shape), (&after.name, &after.shape));
        assert_ne!(before.values, after.values, "{} did not learn", before.name);
    }
    // The trained weights can be put back into a model.
    let mut model = model;
    model.weights = network.weights();
    let says = model.logits(&pixels(20), Options::default()).unwrap();
    let found = values(network.forward(tensor(20)));
    assert_close(&found, &says, 1e-3);
}

#[test]
fn tensors_of_wrong_shape_are_rejected() {
    let mut model = model();
    model.weights.tensors.pop();
    let error = BurnNetwork::<Flex>::load(&model, &Default::default()).unwrap_err();
    let right = "weights do not fit the architecture: linear.bias is missing";
    assert_eq!(error.to_string(), right);
}
