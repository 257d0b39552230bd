//! What the tests of conventions and names read of the crates.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::code::code_only;
use crate::sources::{LIBRARIES, root, rust_files};

/// The text of a file of the workspace.
pub(crate) fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All source files of all crates, without tests and examples.
pub(crate) fn source_files() -> Vec<PathBuf> {
    let crates = LIBRARIES.into_iter().chain(["naschain-bins"]);
    let files: Vec<_> = crates
        .flat_map(|name| rust_files(&root().join(name).join("src")))
        .collect();
    assert!(files.len() > 150, "{} files", files.len());
    files
}

/// The Rust files of all crates that are tests, benchmarks or examples, and the others.
pub(crate) fn all_files() -> Vec<PathBuf> {
    let crates = LIBRARIES.into_iter().chain(["naschain-bins", "benches"]);
    crates
        .flat_map(|name| rust_files(&root().join(name)))
        .collect()
}

/// The public types and traits that a file re-exports.
pub(crate) fn exported_types(file: &str) -> BTreeSet<String> {
    let source = read(file);
    let code = code_only(&source);
    code.split(';')
        .filter_map(|statement| statement.split_once("pub use "))
        .flat_map(|(_, exported)| exported.split(['{', '}', ',', ':', ' ', '\n']))
        .filter(|name| name.starts_with(|first: char| first.is_ascii_uppercase()))
        .filter(|name| name.contains(|letter: char| letter.is_ascii_lowercase()))
        .map(str::to_owned)
        .collect()
}
