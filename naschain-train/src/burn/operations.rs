//! Counts the operations of an actual forward pass from its tensors, by the rules of NSGA-Net's
//! counter, to check the costs that naschain-core computes from the architecture.

use std::cell::Cell;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

fn add(operations: usize) {
    COUNT.set(COUNT.get() + operations);
}

fn elements<B: Backend, const D: usize>(tensor: &Tensor<B, D>) -> usize {
    tensor.dims().iter().product()
}

/// Multiply-adds: input channels × kernel area per output element.
pub(crate) fn conv<B: Backend>(weight: &Tensor<B, 4>, y: &Tensor<B, 4>) {
    let [_, input, height, width] = weight.dims();
    add(elements(y) * input * height * width);
}

/// Two per normalised element and one for its ReLU.
pub(crate) fn norm_relu<B: Backend>(y: &Tensor<B, 2>) {
    add((2 + 1) * elements(y));
}

/// One per pooled element.
pub(crate) fn pool<B: Backend>(x: &Tensor<B, 4>) {
    add(elements(x));
}

/// Inputs × outputs per row.
pub(crate) fn linear<B: Backend>(weight: &Tensor<B, 2>, x: &Tensor<B, 2>) {
    let [rows, _] = x.dims();
    add(rows * elements(weight));
}

mod tests {
    use burn::backend::Flex;
    use burn::module::Module;
    use naschain_core::{MacroSpace, Shape};
    use serde_json::Value;

    use super::super::network::BurnNetwork;
    use super::*;
    use crate::Isa;
    use crate::cpu::CpuNetwork;
    use crate::engine::Engine;
    use crate::weights::{TensorSource, Weights};

    #[test]
    fn parameters_and_operations_match_the_core_and_the_reference() {
        let text = include_str!("../../tests/fixtures/macro_costs.json");
        let file: Value = serde_json::from_str(text).unwrap();
        let cases = file["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 139);
        for case in cases {
            let number = |value: &Value| value.as_u64().unwrap() as usize;
            let [channels, height, width] = [0, 1, 2].map(|axis| number(&case["input"][axis]));
            let space = MacroSpace {
                phases: number(&case["phases"]),
                nodes: number(&case["nodes_per_phase"]),
                input: Shape {
                    channels,
                    height,
                    width,
                },
                init_channels: number(&case["init_channels"]),
                classes: number(&case["classes"]),
            };
            let genome = case["bits"].as_str().unwrap().parse().unwrap();
            let architecture = space.decode(&genome).unwrap();
            let costs = architecture.costs().unwrap();
            let device = Default::default();
            let network =
                BurnNetwork::<Flex>::build(&architecture, TensorSource::drawn(1), &device).unwrap();
            // burn also counts tensors that are not trained: running statistics and normalisation.
            let count = |weights: &Weights| {
                weights
                    .tensors
                    .iter()
                    .map(|tensor| tensor.values.len())
                    .sum::<usize>()
            };
            let weights = network.weights();
            let trained = weights
                .parameters()
                .map(|tensor| tensor.values.len())
                .sum::<usize>();
            let untrained = count(&weights) - trained + 2 * channels;
            assert_eq!(
                network.num_params() - untrained,
                number(&case["params"]),
                "{case}"
            );
            assert_eq!(costs.params as usize, number(&case["params"]), "{case}");
            let ours =
                CpuNetwork::build((&architecture).into(), TensorSource::drawn(1), &Isa::best())
                    .unwrap();
            let ours = ours.read();
            let trained = ours.parameters().map(|tensor| tensor.values.len());
            assert_eq!(trained.sum::<usize>(), number(&case["params"]), "{case}");
            COUNT.set(0);
            network.logits(Tensor::zeros([1, channels, height, width], &device));
            assert_eq!(COUNT.get() as u64, costs.flops, "{case}");
            assert_eq!(COUNT.get(), number(&case["flops"]), "{case}");
        }
    }
}
