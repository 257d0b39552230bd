//! The same training in PyTorch: same network, initial weights, batches and recipe.

#[allow(dead_code)] // its `main` is not used here
#[path = "../../examples/dump_training.rs"]
mod dump_training;
#[allow(dead_code)] // each test program uses some of the functions
use std::path::Path;

use naschain_train::{DataName, Dataset};

#[test]
#[ignore = "20 seconds"]
fn pytorch_gives_the_same_losses() {
    if !crate::python::has("torch") {
        return;
    }
    for space in ["macro", "micro", "mobile"] {
        let file = format!("training-{space}.safetensors");
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(file);
        let digits = Dataset::digits();
        dump_training::dump(&file, DataName::Digits, Some(space), &digits).unwrap();
        let printed = crate::python::run("check_training.py", &[file.to_str().unwrap()]);
        println!("{printed}");
        let right = "losses of the first 50 steps agree";
        assert!(printed.contains(right), "{space}: {printed}");
    }
}
