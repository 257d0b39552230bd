//! Folding and eight bits, without another program; `tests/integration/export.rs` compares with onnxruntime.

use naschain_core::{MacroSpace, Network};
use prost::Message;

use crate::onnx::evaluate::{Evaluator, FeatureMap};
use crate::onnx::fold::fold;
use crate::onnx::graph;
use crate::onnx::messages::{GraphProto, ModelProto};
use crate::test_models::{of_layers, trained};
use crate::{Dataset, Error, Model, Options, evaluate};

fn model(genome: &str, init_channels: usize) -> Model {
    let space = MacroSpace {
        phases: 2,
        nodes: 3,
        input: Dataset::digits().shape,
        init_channels,
        classes: 10,
    };
    trained(&space.into(), &genome.parse().unwrap())
}

fn operators(graph: &GraphProto, op_type: &str) -> usize {
    let nodes = graph.node.iter();
    nodes.filter(|node| node.op_type == op_type).count()
}

/// Joins, several inputs, a phase whose output is one node (whose batch norm has no convolution
/// before it), one without phases, and networks of the other spaces.
#[test]
fn the_folded_graph_computes_the_logits_of_the_model() {
    let genomes = [
        ("1110-1010", 4),
        ("1010-0001", 4),
        ("1101-1111", 1),
        ("0000-0000", 4),
    ];
    let of_phases = genomes.map(|(genome, channels)| model(genome, channels));
    let dataset = Dataset::digits();
    for model in of_phases.into_iter().chain(of_layers()) {
        let genome = &model.genome;
        let folded = fold(graph(&model).unwrap());
        assert_eq!(operators(&folded, "BatchNormalization"), 0, "{genome}");
        let of_concatenations = folded.node.iter().filter(|node| {
            let from = folded
                .node
                .iter()
                .find(|from| from.output[0] == node.input[0]);
            from.is_some_and(|from| from.op_type == "Concat")
                && node.input[1..]
                    .iter()
                    .any(|part| part.ends_with(".factors"))
        });
        assert_eq!(of_concatenations.count(), 0, "{genome}");
        let evaluator = Evaluator::new(&folded);
        let indices: Vec<usize> = (0..20).collect();
        let pixels = dataset.test.pixels(&indices).unwrap();
        let pixels: Vec<f32> = pixels.into_iter().map(f32::from).collect();
        let logits = model.logits(&pixels, Options::default()).unwrap();
        for (image, expected) in pixels.chunks_exact(64).zip(logits.chunks_exact(10)) {
            let map = FeatureMap {
                shape: [1, 8, 8],
                values: image.to_vec(),
            };
            let found = &evaluator.values(map)["logits"];
            for (found, expected) in found.values.iter().zip(expected) {
                assert!(
                    (found - expected).abs() < 1e-3,
                    "{genome}: {found} {expected}"
                );
            }
        }
    }
}

#[test]
fn networks_of_all_spaces_keep_their_accuracy_in_eight_bits() {
    let dataset = Dataset::digits();
    for model in of_layers() {
        let tested = model.test_int8(&dataset, Options::default()).unwrap();
        let [before, after] = [tested.before, tested.after].map(|a| a.percent());
        assert!(before > 50.0, "{}: {before}", model.genome);
        assert!(after > before - 5.0, "{}: {after} {before}", model.genome);
    }
}

#[test]
fn eight_bits_are_small_and_always_the_same() {
    let (model, dataset) = (model("1110-1110", 16), Dataset::digits());
    let [small, whole] = [
        model.to_onnx_int8(&dataset).unwrap(),
        model.to_onnx().unwrap(),
    ];
    assert_eq!(model.to_onnx_int8(&dataset).unwrap(), small);
    let share = small.len() as f64 / whole.len() as f64;
    assert!(share < 0.3, "{share}");
    let graph = ModelProto::decode(small.as_slice()).unwrap().graph.unwrap();
    assert_eq!(operators(&graph, "BatchNormalization"), 0);
    let quantised = operators(&graph, "QuantizeLinear");
    assert!(quantised > 8, "{quantised}");
    // Two for each convolution and linear layer, for weights and bias, and one for each activation;
    // joins have no bias.
    let products = operators(&graph, "Conv") + operators(&graph, "Gemm");
    let expected = products + quantised..=2 * products + quantised;
    let found = operators(&graph, "DequantizeLinear");
    assert!(expected.contains(&found), "{found} {expected:?}");
}

#[test]
fn eight_bits_are_tested_on_the_test_images() {
    let (model, dataset) = (model("1110-1110", 16), Dataset::digits());
    let options = Options::default();
    let tested = model.test_int8(&dataset, options).unwrap();
    assert_eq!(tested.images, dataset.test.len());
    let (architecture, weights) = (&model.network, &model.weights);
    let whole = evaluate(architecture, weights, &dataset, &dataset.test, options).unwrap();
    let [whole, before, after] = [whole, tested.before, tested.after].map(|a| a.percent());
    assert!(whole > 50.0, "{whole}");
    // Pixels are scaled otherwise, which may round to another answer.
    assert!((before - whole).abs() <= 0.5, "{before} {whole}");
    assert!((after - before).abs() <= 10.0, "{after} {before}");
}

#[test]
fn images_of_another_shape_cannot_calibrate() {
    let (mut model, dataset) = (model("1010-1010", 2), Dataset::digits());
    let Network::Macro(architecture) = &mut model.network else {
        panic!("{:?}", model.network)
    };
    architecture.classes = 7;
    let error = model.to_onnx_int8(&dataset).unwrap_err();
    assert!(
        matches!(error, Error::DataMismatch { classes: 7, .. }),
        "{error}"
    );
}
