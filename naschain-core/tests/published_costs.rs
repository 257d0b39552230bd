//! Exact comparison of parameters and FLOPs with published counts: `macro_costs.json` and
//! `micro_costs.json` were made by the NSGA-Net reference implementation, `naschain_published_runs.json` is from NASChain's log.

use std::collections::BTreeSet;

use naschain_core::{Architecture, Costs, Layer, MacroSpace, MicroSpace, Purpose, Shape, Stream};
use proptest::prelude::*;
use serde_json::Value;

fn number(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

fn input_of(case: &Value) -> Shape {
    let input = &case["input"];
    Shape {
        channels: number(&input[0]),
        height: number(&input[1]),
        width: number(&input[2]),
    }
}

fn costs(case: &Value) -> Costs {
    let space = MacroSpace {
        phases: number(&case["phases"]),
        nodes: number(&case["nodes_per_phase"]),
        input: input_of(case),
        init_channels: number(&case["init_channels"]),
        classes: number(&case["classes"]),
    };
    let genome = case["bits"].as_str().unwrap().parse().unwrap();
    let network = space.decode(&genome).unwrap();
    let costs = network.costs().unwrap();
    assert_eq!(sum_of_layers(&network), costs, "{case}");
    costs
}

fn micro_costs(case: &Value) -> Costs {
    let space = MicroSpace {
        blocks: number(&case["blocks"]),
        layers: number(&case["layers"]),
        input: input_of(case),
        init_channels: number(&case["init_channels"]),
        classes: number(&case["classes"]),
    };
    let genes = case["genes"].as_array().unwrap().iter();
    let genes: Vec<u8> = genes.map(|gene| number(gene) as u8).collect();
    let network = space.decode(&genes).unwrap();
    let costs = network.costs().unwrap();
    let layers = network.layers().unwrap();
    assert_eq!(sum_of(&layers, network.classes), costs, "{case}");
    costs
}

fn sum_of_layers(network: &Architecture) -> Costs {
    sum_of(&network.layers().unwrap(), network.classes)
}

/// Checks the names and the last shape, too.
fn sum_of(layers: &[Layer], classes: usize) -> Costs {
    let names: BTreeSet<&String> = layers.iter().map(|layer| &layer.name).collect();
    assert_eq!(names.len(), layers.len(), "{names:?}");
    let output = layers.last().unwrap().output;
    assert_eq!((output.channels, output.len()), (classes, classes));
    Costs {
        params: layers.iter().map(|layer| layer.costs.params).sum(),
        flops: layers.iter().map(|layer| layer.costs.flops).sum(),
    }
}

proptest! {
    #[test]
    fn the_costs_of_the_layers_sum_up(
        seed: u64,
        phases in 1usize..4,
        nodes in 2usize..7,
        channels in 1usize..20,
        init_channels in 1usize..20,
        size in 12usize..40,
    ) {
        let space = MacroSpace {
            phases,
            nodes,
            input: Shape { channels, height: size, width: size + 3 },
            init_channels,
            classes: 7,
        };
        let mut stream = Stream::new(seed, Purpose::User, 0, 0);
        let network = space.decode(&space.random_genome(&mut stream).unwrap()).unwrap();
        prop_assert_eq!(sum_of_layers(&network), network.costs().unwrap());
    }
}

#[test]
fn costs_equal_the_reference_counter() {
    let text = include_str!("fixtures/macro_costs.json");
    let file: Value = serde_json::from_str(text).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 139);
    for case in cases {
        let got = costs(case);
        assert_eq!(got.params, case["params"].as_u64().unwrap(), "{case}");
        assert_eq!(got.flops, case["flops"].as_u64().unwrap(), "{case}");
    }
}

#[test]
fn costs_of_cells_equal_the_reference_counter() {
    let text = include_str!("fixtures/micro_costs.json");
    let file: Value = serde_json::from_str(text).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 60);
    for case in cases {
        let got = micro_costs(case);
        assert_eq!(got.params, case["params"].as_u64().unwrap(), "{case}");
        assert_eq!(got.flops, case["flops"].as_u64().unwrap(), "{case}");
    }
}

#[test]
fn costs_equal_the_published_runs() {
    let text = include_str!("fixtures/naschain_published_runs.json");
    let file: Value = serde_json::from_str(text).unwrap();
    let runs = file["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 13);
    for run in runs {
        let got = costs(run);
        assert_eq!(got.params, run["params"].as_u64().unwrap(), "{run}");
        // The log rounds MFLOPs to four decimals: to the nearest 100 FLOPs.
        let logged = (run["mflops"].as_f64().unwrap() * 1e6).round() as u64;
        assert!(got.flops.abs_diff(logged) <= 50, "{run}: {}", got.flops);
    }
}
