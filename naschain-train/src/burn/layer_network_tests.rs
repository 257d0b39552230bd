//! Networks of the micro and the mobile space as burn modules.

use burn::backend::{Autodiff, Flex};
use burn::optim::{AdamConfig, GradientsParams, Optimizer};
use burn::tensor::activation::log_softmax;
use naschain_core::MacroSpace;

use super::BurnLayers;
use super::layers::values;
use super::tests::{assert_close, pixels, tensor};
use crate::test_models::{of_layers, trained};
use crate::{Dataset, Options};

#[test]
fn it_gives_the_same_logits_as_the_model_also_after_training_in_burn() {
    let device = Default::default();
    for mut model in of_layers() {
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
    let model = trained(&space.into(), &"10".parse().unwrap());
    let error = BurnLayers::<Flex>::load(&model, &Default::default()).unwrap_err();
    let right = "BurnLayers works with networks of the micro and the mobile space (BurnNetwork loads others); this one is of the macro space";
    assert_eq!(error.to_string(), right);
}
