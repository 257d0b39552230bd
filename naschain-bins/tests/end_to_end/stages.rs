//! Runs of the mobile space, from the search to models that other programs use.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::cells::{self, printed};
use crate::programs::{folder, genomaster, read, succeeded};

fn command(name: &str, out: &Path) -> Command {
    let mut command = genomaster();
    let flags = [
        "--data=digits",
        "--space=mobile",
        "--stages=2",
        "--depth=2",
        "--init-channels=6",
        "--epochs=3",
        "--train-images=320",
        "--validation-images=200",
        "--population=6",
        "--generations=2",
        "--replication=3",
    ];
    command.arg(name).args(flags).arg("--out").arg(out);
    command
}

#[test]
fn a_search_of_sizes_ends_with_models_that_can_be_used() {
    let dir = folder("stages");
    let run = dir.join("run");
    let table = succeeded(command("search", &run).output().unwrap());
    let path = run.to_str().unwrap();
    let spec: Value = serde_json::from_str(&read(run.join("run.json"))).unwrap();
    assert_eq!(spec["space"]["depth"], 2);
    let front: Vec<Value> = serde_json::from_str(&read(run.join("front.json"))).unwrap();
    let genome = front[0]["genome"].as_str().unwrap();
    // 12 bits for each stage, and 2 for the resolution.
    let grouped = format!("{}-{}-{}", &genome[..12], &genome[12..24], &genome[24..]);
    assert!(table.contains(&grouped), "{table}");
    let shown = printed(&["show", path, "--genome", &grouped]);
    for layer in [
        "stem.convolution: 3x3 convolution",
        "blocks.0.expand.activation: ReLU",
        "head.activation: h-swish",
        "classifier: linear",
    ] {
        assert!(shown.contains(layer), "{layer}: {shown}");
    }
    let svg = read(run.join("models").join(genome).join("network.svg"));
    assert!(
        svg.contains("stage 1:") && svg.contains("stage 2:"),
        "{svg}"
    );
    let inspected = printed(&["inspect", "--run", path, &grouped]);
    assert!(inspected.contains("  block 1   "), "{inspected}");
    cells::is_used(&run, genome);
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn miners_agree_about_sizes_and_the_result_is_that_of_a_search_alone() {
    cells::miners_agree("stages-miners", command);
}

#[test]
fn networks_of_sizes_are_measured_by_speed_selftest_and_latency() {
    cells::measured("mobile");
    let dir = folder("stages-latency");
    let file = dir.join("table.json");
    let out = format!("--out={}", file.display());
    let said = printed(&[
        "latency",
        "--measure=24",
        "--data=digits",
        "--space=mobile",
        "--init-channels=4",
        &out,
    ]);
    let right = "measured 24 networks of the mobile space";
    assert!(said.contains(right), "{said}");
    std::fs::remove_dir_all(dir).unwrap();
}
