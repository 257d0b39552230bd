//! The rules of CONTRIBUTING.md that can be counted: documentation, sizes and names.

mod sources;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use toml::Table;

use sources::{root, rust_files};

/// The crates that other projects may depend on.
const LIBRARIES: [&str; 7] = [
    "naschain-core",
    "naschain-nsga",
    "naschain-consensus",
    "naschain-train",
    "naschain-identity",
    "naschain-run",
    "naschain-bittensor",
];

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All source files of all crates, without tests and examples.
fn source_files() -> Vec<PathBuf> {
    let crates = LIBRARIES.into_iter().chain(["naschain-bins"]);
    let files: Vec<_> = crates
        .flat_map(|name| rust_files(&root().join(name).join("src")))
        .collect();
    assert!(files.len() > 150, "{} files", files.len());
    files
}

#[test]
fn a_library_has_a_readme_that_is_its_documentation() {
    for name in LIBRARIES {
        let manifest: Table = read(format!("{name}/Cargo.toml")).parse().unwrap();
        let package = manifest["package"].as_table().unwrap();
        assert_eq!(package["readme"].as_str(), Some("README.md"), "{name}");
        for (list, most) in [("keywords", 5), ("categories", 5)] {
            let length = package[list].as_array().unwrap().len();
            assert!((1..=most).contains(&length), "{name}: {length} {list}");
        }
        let readme = read(format!("{name}/README.md"));
        assert!(readme.contains("```rust"), "{name}: no example");
        let lib = read(format!("{name}/src/lib.rs"));
        let included = "#![doc = include_str!(\"../README.md\")]";
        assert!(lib.contains(included), "{name}");
    }
}

#[test]
fn files_hold_one_idea() {
    for path in source_files() {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 400, "{}: {lines} lines", path.display());
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let vague = ["utils", "util", "misc", "common", "prelude", "helpers"];
        assert!(!vague.contains(&stem), "{}", path.display());
    }
}

#[test]
fn the_programs_are_thin_and_not_published() {
    let manifest: Table = read("naschain-bins/Cargo.toml").parse().unwrap();
    assert_eq!(manifest["package"]["publish"].as_bool(), Some(false));
    for program in ["genomaster", "miner", "validator"] {
        let lines = read(format!("naschain-bins/src/bin/{program}.rs"))
            .lines()
            .count();
        assert!(lines <= 80, "{program}: {lines} lines");
    }
}

#[test]
fn the_libraries_embed_in_under_100_lines() {
    let example = read("naschain-bins/examples/embed.rs");
    assert!(example.lines().count() < 100);
    assert!(!example.contains("naschain_bins"));
}

/// The texts between backticks.
fn quoted(document: &str) -> impl Iterator<Item = &str> {
    document.split('`').skip(1).step_by(2)
}

#[test]
fn the_documents_name_files_that_exist() {
    let mut files: Vec<String> = Vec::new();
    for folder in LIBRARIES.into_iter().chain(["naschain-bins", "benches"]) {
        for path in rust_files(&root().join(folder)) {
            files.push(path.to_str().unwrap().to_owned());
        }
    }
    let documents = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"];
    let mut checked = 0;
    for document in documents {
        let text = read(document);
        let paths = quoted(&text).filter(|path| {
            path.contains('/') && path.ends_with(".rs") && !path.contains(['*', '<', ' ', '\n'])
        });
        for path in paths {
            // A document may leave the crate out where the text has named it.
            let found = files.iter().any(|file| file.ends_with(&format!("/{path}")));
            assert!(found, "{document} names {path}, which does not exist");
            checked += 1;
        }
    }
    assert!(checked > 40, "only {checked} paths");
}

/// The public types and traits of a library, as its `lib.rs` exports them.
fn public_types(library: &str) -> Vec<String> {
    let lib = read(format!("{library}/src/lib.rs"));
    lib.split(';')
        .filter_map(|statement| statement.split_once("pub use "))
        .flat_map(|(_, exported)| exported.split(['{', '}', ',', ':', ' ', '\n']))
        .filter(|name| name.starts_with(|first: char| first.is_ascii_uppercase()))
        .filter(|name| name.contains(|letter: char| letter.is_ascii_lowercase()))
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_public_name_has_one_meaning() {
    let mut owners: BTreeMap<String, &str> = BTreeMap::new();
    for library in LIBRARIES {
        for name in public_types(library) {
            // Each library has its own `Error`, as Rust libraries do.
            if name == "Error" {
                continue;
            }
            if let Some(other) = owners.insert(name.clone(), library) {
                panic!("{name} is a type of {other} and of {library}");
            }
        }
    }
    assert!(owners.len() > 80, "only {} names", owners.len());
}
