//! Runs of the micro space, from the search to models that other programs use.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::programs::{
    Server, folder, genomaster, miner, read, refused, succeeded, text, wait_until,
};

const FLAGS: [&str; 11] = [
    "--data=digits",
    "--space=micro",
    "--blocks=2",
    "--layers=3",
    "--init-channels=4",
    "--epochs=3",
    "--train-images=320",
    "--validation-images=200",
    "--population=6",
    "--generations=2",
    "--replication=3",
];

fn command(name: &str, out: &Path) -> Command {
    let mut command = genomaster();
    command.arg(name).args(FLAGS).arg("--out").arg(out);
    command
}

pub(crate) fn printed(args: &[&str]) -> String {
    succeeded(genomaster().args(args).output().unwrap())
}

#[test]
fn a_search_of_cells_ends_with_models_that_can_be_used() {
    let dir = folder("cells");
    let run = dir.join("run");
    let table = succeeded(command("search", &run).output().unwrap());
    let path = run.to_str().unwrap();
    let spec: Value = serde_json::from_str(&read(run.join("run.json"))).unwrap();
    assert_eq!(spec["space"]["blocks"], 2);
    let front: Vec<Value> = serde_json::from_str(&read(run.join("front.json"))).unwrap();
    let genome = front[0]["genome"].as_str().unwrap();
    assert_eq!(genome.len(), 44);
    let grouped = format!("{}-{}", &genome[..22], &genome[22..]);
    assert!(table.contains(&grouped), "{table}");
    let shown = printed(&["show", path, "--genome", &grouped]);
    for part in [
        "stem: 3x3 convolution",
        "cell 1, block 1",
        "classifier: linear",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let svg = read(run.join("models").join(genome).join("network.svg"));
    assert!(svg.contains("normal cell: 1") && svg.contains("reduction cell: 2, 3"));
    let inspected = printed(&["inspect", "--run", path, &grouped]);
    assert!(
        inspected.contains("reduction   cells 2, 3; the first: 8x4x4"),
        "{inspected}"
    );
    is_used(&run, genome);
    std::fs::remove_dir_all(dir).unwrap();
}

/// A model of the run is exported and retrained, and the run is audited.
pub(crate) fn is_used(run: &Path, genome: &str) {
    let path = run.to_str().unwrap();
    let onnx = run.join("exported.onnx");
    let out = onnx.to_str().unwrap();
    printed(&["export", path, "--genome", genome, "--out", out]);
    assert!(std::fs::metadata(&onnx).unwrap().len() > 4_000);
    let rounded = printed(&["export", path, "--genome", genome, "--int8"]);
    assert!(rounded.contains(" % in eight bits, "), "{rounded}");
    let retrained = printed(&["retrain", path, "--genome", genome, "--epochs=4"]);
    assert!(retrained.contains("test accuracy on digits"), "{retrained}");
    printed(&["audit", path]);
}

#[test]
fn miners_agree_about_cells_and_the_result_is_that_of_a_search_alone() {
    miners_agree("cells-miners", command);
}

/// Three miners make the same front as a search alone.
pub(crate) fn miners_agree(name: &str, command: fn(&str, &Path) -> Command) {
    let dir = folder(name);
    let (run, alone) = (dir.join("run"), dir.join("alone"));
    succeeded(command("search", &alone).output().unwrap());
    let mut serve = command("serve", &run);
    serve.args(["--unsigned", "--public-seeds", "--listen=127.0.0.1:0"]);
    let server = Server::spawn(serve.stdout(Stdio::piped()));
    let _miners = ["ada", "bob", "eve"].map(|name| server.miner(name));
    wait_until("the front is written", || run.join("front.json").exists());
    assert_eq!(read(run.join("front.json")), read(alone.join("front.json")));
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn sizes_of_other_spaces_are_refused() {
    let dir = folder("cells-flags");
    for (flags, right) in [
        (
            ["--space=micro", "--phases=2"],
            "--phases is a size of the macro space; use it with --space macro",
        ),
        (
            ["--space=macro", "--layers=2"],
            "--layers is a size of the micro space; use it with --space micro",
        ),
        (
            ["--space=macro", "--depth=2"],
            "--depth is a size of the mobile space; use it with --space mobile",
        ),
        (
            ["--space=mobile", "--stages=7"],
            "stages is 7; it must be a whole number from 1 to 6",
        ),
        (
            ["--space=micro", "--layers=65"],
            "layers is 65; it must be a whole number from 1 to 64",
        ),
    ] {
        let error = refused(
            genomaster()
                .arg("search")
                .args(flags)
                .arg("--out")
                .arg(&dir),
        );
        assert!(error.contains(right), "{flags:?}: {error}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn networks_of_cells_are_measured_by_speed_and_selftest() {
    measured("micro");
}

/// `miner speed` and `miner selftest --random` train networks of a space.
pub(crate) fn measured(space: &str) {
    let space = format!("--space={space}");
    let speed = miner()
        .args(["speed", &space, "--input=1x8x8", "--json"])
        .output();
    let speed: Value = serde_json::from_str(&succeeded(speed.unwrap())).unwrap();
    assert!(speed["images_per_second"].as_f64().unwrap() > 0.0);
    let test = miner()
        .args(["selftest", "--random=2", &space, "--epochs=1"])
        .output()
        .unwrap();
    let lines = text(&test.stdout);
    assert!(
        test.status.success() && lines.lines().count() == 2,
        "{lines}"
    );
}
