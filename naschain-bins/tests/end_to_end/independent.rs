//! docs/arithmetic.md is complete: an implementation in C and Python that was written from it
//! (python/independent) produces the same digests as the miner.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::programs::{folder, skipped, succeeded};
use serde_json::Value;

/// Together they cover no phase (6) to three, colours, label smoothing, warm-up, momentum with and
/// without Nesterov's, batches of several blocks, clipped gradients, feature maps with several readers
/// under drop-path (19), and a first convolution that is not applied (36).
const PHASES: [u64; 7] = [1, 6, 12, 18, 19, 31, 36];
/// In the micro space they cover every operation with both strides, layers that nobody reads, ReLU that is
/// shared, and drop-path over sums of which some are left out.
const CELLS: [u64; 5] = [1, 4, 11, 15, 17];
/// In the mobile space they cover every kernel, both strides and functions, one to three stages, networks with
/// and without squeeze-and-excitation, resized images, and drop-path.
const STAGES: [u64; 6] = [0, 1, 2, 9, 13, 18];

/// Python of python/install or of the system; `None` if NumPy is missing.
fn python(root: &Path) -> Option<PathBuf> {
    let candidates = [root.join("target/python/bin/python"), "python3".into()];
    let found = candidates.into_iter().find(|python| {
        let check = Command::new(python).args(["-c", "import numpy"]).output();
        check.is_ok_and(|output| output.status.success())
    });
    if found.is_none() {
        skipped(
            "no Python with NumPy in target/python or as python3; install it with python/install",
        );
    }
    found
}

/// Compiles the operations as a library for Python; `None` if there is no C compiler.
fn operations(sources: &Path, dir: &Path) -> Option<PathBuf> {
    let library = dir.join("operations.so");
    let mut cc = Command::new("cc");
    cc.args("-std=c99 -O2 -ffp-contract=off -shared -fPIC".split(' '));
    cc.args(["operations.c", "cells.c", "stages.c", "loss.c", "update.c"]);
    cc.args(["-lm", "-o"]);
    let Ok(output) = cc.arg(&library).current_dir(sources).output() else {
        skipped("no C compiler named cc");
        return None;
    };
    succeeded(output);
    Some(library)
}

/// The miner's digests by index.
fn miners_digests(space: &str, indices: &[u64]) -> BTreeMap<u64, String> {
    let count = indices.iter().max().unwrap() + 1;
    let mut miner = crate::programs::miner();
    miner.args(["selftest", "--json", &format!("--random={count}")]);
    miner.args(["--space", space]);
    let found = succeeded(miner.output().unwrap());
    let found = found.lines().map(|line| {
        let found: Value = serde_json::from_str(line).unwrap();
        let digest = found["digest"].as_str().unwrap().to_owned();
        (found["index"].as_u64().unwrap(), digest)
    });
    found.collect()
}

#[test]
#[ignore = "takes 10 to 20 seconds; .ci/run runs it"]
fn an_independent_implementation_produces_the_same_digests() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let sources = root.join("python/independent");
    let dir = folder("independent");
    let Some(python) = python(&root) else { return };
    let Some(library) = operations(&sources, &dir) else {
        return;
    };
    let spaces = [
        ("macro", &PHASES[..]),
        ("micro", &CELLS),
        ("mobile", &STAGES),
    ];
    for (space, indices) in spaces {
        let mut training = Command::new(&python);
        training
            .arg("-B") // no compiled files among the sources
            .arg(sources.join("training.py"))
            .arg("--operations")
            .arg(&library)
            .args(["--genomaster", env!("CARGO_BIN_EXE_genomaster")])
            .args(["--space", space])
            .args(indices.iter().map(u64::to_string));
        let independent = succeeded(training.output().unwrap());
        let miners = miners_digests(space, indices);
        let miners = indices
            .iter()
            .map(|index| format!("{} {index}", miners[index]));
        let miners: Vec<String> = miners.collect();
        assert_eq!(independent.lines().collect::<Vec<_>>(), miners, "{space}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}
