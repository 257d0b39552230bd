//! PyTorch and fvcore count the same costs of networks of the mobile space.

use std::path::Path;

use naschain_core::{Purpose, SearchSpace, Stream};

use crate::python;

const NETWORKS: u64 = 40;

#[test]
fn fvcore_counts_the_same_costs() {
    if !python::has("fvcore, torch, blake3") {
        return;
    }
    let spaces = [
        r#"{"stages": 2, "depth": 2, "input": "1x8x8", "init_channels": 5, "classes": 10}"#,
        r#"{"stages": 4, "depth": 3, "input": "3x32x40", "init_channels": 8, "classes": 100}"#,
        r#"{"stages": 3, "depth": 4, "input": "1x28x28", "init_channels": 16, "classes": 10}"#,
        r#"{"stages": 1, "depth": 1, "input": "3x7x9", "init_channels": 1, "classes": 2}"#,
    ];
    let mut lines = String::new();
    for number in 0..NETWORKS {
        let json = spaces[number as usize % spaces.len()];
        let space: SearchSpace = serde_json::from_str(json).unwrap();
        let mut stream = Stream::new(11, Purpose::Simulation, 0, number);
        let genome = space.random_genome(&mut stream).unwrap();
        let network = space.decode(&genome).unwrap();
        let costs = network.costs().unwrap();
        let line = serde_json::json!({
            "genome": genome,
            "params": costs.params,
            "flops": costs.flops,
            "network": network,
        });
        lines += &format!("{line}\n");
    }
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("costs.json");
    std::fs::write(&file, lines).unwrap();
    let printed = python::run("count_costs.py", &[file.to_str().unwrap()]);
    let right = format!("{NETWORKS} networks have the same costs in fvcore");
    assert!(printed.contains(&right), "{printed}");
}
