//! Names: a type's name has one meaning, and names that were replaced do not come back.

#[path = "sources/code.rs"]
mod code;
#[path = "sources/crates.rs"]
mod crates;
#[path = "sources/lines.rs"]
mod lines;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use code::code_only;
use crates::{all_files, exported_types, read, source_files};
use lines::lines_without_tests;
use sources::{LIBRARIES, root};

/// The name of the type that a line of code declares. Associated types and types inside a function
/// are indented; these do not count.
fn declared_type(line: &str) -> Option<&str> {
    let declaration = match line.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(") ")?.1,
        Some(rest) => rest.trim_start(),
        None => line,
    };
    let declaration = declaration.strip_prefix("unsafe ").unwrap_or(declaration);
    let (kind, rest) = declaration.split_once(' ')?;
    let is_type = ["struct", "enum", "union", "trait", "type"].contains(&kind);
    let end = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
    is_type.then(|| &rest[..end.unwrap_or(rest.len())])
}

/// The types that a source file declares outside tests, as far as `is_counted` accepts their lines.
fn declared_types(source: &str, is_counted: fn(&str) -> bool) -> Vec<String> {
    let code = code_only(source);
    let lines = lines_without_tests(&code).into_iter();
    let counted = lines.filter(|line| is_counted(line));
    counted
        .filter_map(declared_type)
        .map(str::to_owned)
        .collect()
}

#[test]
fn declarations_of_types_are_found() {
    let source = [
        "pub(in crate::a) struct A<'a> {\n    b: u8,\n}",
        "pub unsafe trait C: D {\n    type E;\n}",
        "type F<T> = Vec<T>;",
        "#[cfg(test)]\nmod tests;",
        "pub enum G {}\nstruct H(u8);\n// struct I;",
        "#[cfg(test)]\nstruct J {\n    k: u8,\n}",
        "pub(crate) struct K;\nfn l() {\n    struct M;\n}",
    ];
    let found = declared_types(&source.join("\n"), |_| true);
    assert_eq!(found, ["A", "C", "F", "G", "H", "K"]);
}

/// The public types of all crates, with the file that exports or declares them.
fn public_types() -> BTreeMap<String, String> {
    let mut files = LIBRARIES.map(|name| format!("{name}/src/lib.rs")).to_vec();
    let others = [
        "naschain-bins/src/lib.rs",
        // Public modules.
        "naschain-train/src/burn/mod.rs",
        "naschain-identity/src/ss58.rs",
        "naschain-bittensor/src/timelock.rs",
    ];
    files.extend(others.map(str::to_owned));
    let mut owners = BTreeMap::new();
    for file in files {
        let declared = declared_types(&read(&file), |line| line.starts_with("pub "));
        let names: BTreeSet<String> = exported_types(&file).into_iter().chain(declared).collect();
        for name in names {
            // Each library has its own `Error`, as Rust libraries do.
            if name == "Error" {
                continue;
            }
            let other = owners.insert(name.clone(), file.clone());
            // `BurnNetwork` is one type that naschain-train exports twice.
            if let Some(other) = other.filter(|_| name != "BurnNetwork") {
                panic!("{name} is a type of {other} and of {file}");
            }
        }
    }
    owners
}

#[test]
fn a_public_name_has_one_meaning() {
    let types = public_types();
    assert!(types.len() > 120, "only {} names", types.len());
    for name in [
        "AddressError",
        "TimelockSecrets",
        "MiniBatch",
        "ProgramArgs",
    ] {
        assert!(types.contains_key(name), "{name}");
    }
}

/// The part of the workspace in which a name is declared once: a crate, such as a program. In
/// naschain-train it is a folder, because an operation has the same name on CPU, GPU and burn.
fn part_of(file: &str) -> String {
    let (package, path) = file.split_once("/src/").unwrap();
    let first = path.split(['/', '.']).next().unwrap();
    let is_folder = root().join(package).join("src").join(first).is_dir();
    if package == "naschain-bins" && first == "bin" {
        file.to_owned()
    } else if package == "naschain-train" && is_folder {
        format!("{package}/src/{first}")
    } else {
        package.to_owned()
    }
}

#[test]
fn a_type_name_has_one_meaning_in_its_crate() {
    let public = public_types();
    let mut declared: BTreeMap<(String, String), String> = BTreeMap::new();
    for path in source_files() {
        let file = path.strip_prefix(root()).unwrap().to_str().unwrap();
        // Unit tests in files of their own.
        if file.contains("/tests/") || file.ends_with("/tests.rs") {
            continue;
        }
        let package = file.split_once('/').unwrap().0;
        for name in declared_types(&fs::read_to_string(&path).unwrap(), |_| true) {
            if let Some(owner) = public.get(&name) {
                let is_own = owner.split_once('/').unwrap().0 == package;
                assert!(
                    is_own,
                    "{name} is a type of {file} and a public one of {owner}"
                );
            }
            let other = declared.insert((part_of(file), name.clone()), file.to_owned());
            if let Some(other) = other {
                panic!("{name} is a type of {other} and of {file}");
            }
        }
    }
    assert!(declared.len() > 500, "only {} types", declared.len());
}

/// Names that were replaced by the terms of the field: no identifier is one of them, or has one of
/// them between underscores.
const RETIRED: [&str; 26] = [
    "dealing",
    "senders",
    "promise",
    "Seen",
    "follow_second",
    "spared",
    "shelf",
    "unsent",
    "made_up",
    "outlook",
    "vacate",
    "untold",
    "leap",
    "gate",
    "why",
    "live_lease",
    "live_leases",
    "redealt",
    "dealings",
    "taken_over",
    "closed_job",
    "legacy_uid",
    "Sights",
    "ClosedJob",
    "SpotChecked",
    "MOST",
];

#[test]
fn retired_names_do_not_come_back() {
    let retired = RETIRED.map(|name| format!("_{name}_"));
    for path in all_files() {
        let code = code_only(&fs::read_to_string(&path).unwrap());
        for word in code.split(|letter: char| !letter.is_alphanumeric() && letter != '_') {
            let padded = format!("_{word}_");
            let found = retired.iter().any(|name| padded.contains(name));
            assert!(!found, "{}: {word}", path.display());
        }
    }
}
