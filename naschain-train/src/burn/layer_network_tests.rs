//! Networks of the micro and the mobile space as burn modules.

use std::ops::ControlFlow;

use burn::backend::{Autodiff, Flex};
use burn::optim::{AdamConfig, GradientsParams, Optimizer};
use burn::tensor::activation::log_softmax;
use naschain_core::{
    Augmentation, MacroSpace, MicroSpace, MobileSpace, Purpose, Recipe, SearchSpace, Stream,
};

use super::BurnLayers;
use super::layers::values;
use super::tests::{assert_close, pixels, tensor};
use crate::{Dataset, Model, Options, train};

/// Briefly trained random networks.
fn models() -> Vec<Model> {
    let digits = Dataset::digits();
    let (input, classes) = (digits.shape, digits.classes);
    let micro = MicroSpace {
        blocks: 5,
        layers: 3,
        input,
        init_channels: 4,
        classes,
    };
    let mobile = MobileSpace {
        stages: 2,
        depth: 2,
        input,
        init_channels: 8,
        classes,
    };
    let mut recipe = Recipe::default();
    // Cutout would erase such small images.
    recipe.augmentation = Augmentation::default();
    (recipe.epochs, recipe.train_images) = (1, 200);
    (recipe.validation_images, recipe.batch_size) = (20, 20);
    let networks = (0..2).flat_map(|seed| {
        let spaces: [SearchSpace; 2] = [micro.clone().into(), mobile.clone().into()];
        spaces.map(|space| {
            let mut stream = Stream::new(seed, Purpose::Simulation, 0, 0);
            let genome = space.random_genome(&mut stream).unwrap();
            let network = space.decode(&genome).unwrap();
            let mut proceed = |_: &_| ControlFlow::Continue(());
            let options = Options::default();
            let trained = train(&network, &digits, &recipe, options, &mut proceed).unwrap();
            Model::new(&space, &genome, &digits, &recipe, trained).unwrap()
        })
    });
    networks.collect()
}

#[test]
fn it_gives_the_same_logits_as_the_model_also_after_training_in_burn() {
    let device = Default::default();
    for mut model in models() {
        let mut network = BurnLayers::<Autodiff<Flex>>::load(&model, &device).unwrap();
        assert_eq!(network.weights(), model.weights);
        let right = model.logits(&pixels(20), Options::default()).unwrap();
        assert_close(&values(network.forward(tensor(20))), &right, 1e-3);
        let mut adam = AdamConfig::new().init();
        let mut losses = Vec::new();
        for _ in 0..4 {
            let says = log_softmax(network.forward_training(tensor(20)), 1);
            let loss = says.slice([0..20, 3..4]).mean().neg();
            losses.push(loss.clone().into_scalar());
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            network = adam.step(0.005, network, gradients);
        }
        assert!(losses[3] < losses[0], "{}: {losses:?}", model.genome);
        // The trained weights can be put back into a model.
        let before = std::mem::replace(&mut model.weights, network.weights());
        assert_ne!(before, model.weights);
        let right = model.logits(&pixels(20), Options::default()).unwrap();
        assert_close(&values(network.forward(tensor(20))), &right, 1e-3);
    }
}

#[test]
fn networks_of_the_macro_space_are_named_as_burn_networks() {
    let digits = Dataset::digits();
    let space = MacroSpace {
        phases: 1,
        nodes: 2,
        input: digits.shape,
        init_channels: 2,
        classes: 10,
    };
    let genome = "10".parse().unwrap();
    let mut recipe = Recipe::default();
    (recipe.epochs, recipe.train_images, recipe.validation_images) = (1, 20, 10);
    let network = space.decode(&genome).unwrap();
    let mut proceed = |_: &_| ControlFlow::Continue(());
    let trained = train(&network, &digits, &recipe, Options::default(), &mut proceed).unwrap();
    let model = Model::new(&space, &genome, &digits, &recipe, trained).unwrap();
    let error = BurnLayers::<Flex>::load(&model, &Default::default()).unwrap_err();
    let right = "BurnLayers works with networks of the micro and the mobile space (BurnNetwork loads others); this one is of the macro space";
    assert_eq!(error.to_string(), right);
}
