//! Imports run one way, and the pure crates stay pure: ARCHITECTURE.md's diagram, kept by a test.
//!
//! It lives in a package that is never published, because it reads its neighbours' files.

mod sources;

use std::fs;

use toml::{Table, Value};

use sources::{LIBRARIES, root, rust_files};

/// Each package and the packages of this workspace that it may depend on.
const DIAGRAM: [(&str, &[&str]); 9] = [
    ("naschain-core", &[]),
    ("naschain-nsga", &["naschain-core"]),
    ("naschain-consensus", &["naschain-core"]),
    ("naschain-train", &["naschain-core"]),
    ("naschain-identity", &[]),
    (
        "naschain-run",
        &[
            "naschain-core",
            "naschain-nsga",
            "naschain-consensus",
            "naschain-identity",
        ],
    ),
    ("naschain-bittensor", &["naschain-identity"]),
    ("naschain-bins", &LIBRARIES),
    (
        "naschain-benches",
        &[
            "naschain-core",
            "naschain-nsga",
            "naschain-consensus",
            "naschain-train",
        ],
    ),
];
/// Packages without IO, clock and threads, and what they may depend on besides the diagram.
const PURE: [&str; 4] = [
    "naschain-core",
    "naschain-nsga",
    "naschain-consensus",
    "naschain-run",
];
const PURE_DEPENDENCIES: [&str; 12] = [
    "blake3",
    "foldhash",
    "hashbrown",
    "hex",
    "ndarray",
    "rand",
    "rand_chacha",
    "rmp-serde",
    "serde",
    "serde_json",
    "smallvec",
    "thiserror",
];
/// The one library that knows burn, and the package that measures it.
const BURN_HOMES: [&str; 2] = ["naschain-train", "naschain-benches"];
/// Modules that no path in a pure package may lead through.
const IMPURE_MODULES: [&str; 5] = ["env", "fs", "net", "process", "thread"];
/// The one file of a pure package that may start threads: `Search::run` calls a function of the caller
/// on them, and its result does not depend on their number.
const THREADED: &str = "naschain-nsga/src/run.rs";
const IMPURE_NAMES: [&str; 7] = [
    "Instant",
    "SystemTime",
    "dbg",
    "eprint",
    "eprintln",
    "print",
    "println",
];

/// What is wrong with one manifest.
fn manifest_problems(manifest: &Table) -> Vec<String> {
    let package = manifest["package"]["name"].as_str().unwrap();
    let Some((_, siblings)) = DIAGRAM.iter().find(|(name, _)| *name == package) else {
        return vec![format!("{package} is not in the diagram")];
    };
    let mut problems = Vec::new();
    for (kind, name) in dependencies(manifest) {
        let wrong = if name.starts_with("naschain-") {
            // A package may turn on its own features for its tests.
            let tests_only = kind == "dev-dependencies";
            let itself = name == package && tests_only;
            // The README's program searches and trains.
            let is_readme =
                (package, name.as_str()) == ("naschain-train", "naschain-nsga") && tests_only;
            !itself && !is_readme && !siblings.contains(&name.as_str())
        } else if name.starts_with("burn") || name.starts_with("cubecl") {
            !BURN_HOMES.contains(&package)
        } else {
            let tests_only = kind == "dev-dependencies";
            PURE.contains(&package) && !tests_only && !PURE_DEPENDENCIES.contains(&name.as_str())
        };
        if wrong {
            problems.push(format!("{package} has {name} among its {kind}"));
        }
    }
    problems
}

/// Each dependency's kind and its true name, also those of one target only.
fn dependencies(manifest: &Table) -> Vec<(&'static str, String)> {
    let targets = manifest.get("target").and_then(Value::as_table);
    let of_targets = targets.into_iter().flat_map(Table::values);
    let tables = of_targets.filter_map(Value::as_table).chain([manifest]);
    let mut found = Vec::new();
    for table in tables {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let entries = table.get(kind).and_then(Value::as_table);
            for (key, value) in entries.into_iter().flatten() {
                let renamed = value.get("package").and_then(Value::as_str);
                found.push((kind, renamed.unwrap_or(key).to_owned()));
            }
        }
    }
    found
}

/// Lines of a pure package's source that reach for the world; comments and test modules may.
fn source_problems(source: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut lines = source.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            let indent = &line[..line.find('#').unwrap()];
            let ends = |line: &str| line.ends_with([';', ',']) || line == format!("{indent}}}");
            let same_indent = |line: &str| {
                let rest = line.strip_prefix(indent);
                rest.is_some_and(|rest| !rest.starts_with([' ', '\n']))
            };
            lines.find(|(_, line)| same_indent(line) && ends(line));
        } else if !line.trim_start().starts_with("//") && reaches_out(line) {
            problems.push(format!("line {}: {}", index + 1, line.trim()));
        }
    }
    problems
}

fn reaches_out(line: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.split(|c| !is_word(c))
        .filter(|word| !word.is_empty())
        .any(|word| {
            // A word is a part of `line`, so its place is the distance of the two.
            let start = word.as_ptr() as usize - line.as_ptr() as usize;
            let (before, after) = (&line[..start], &line[start + word.len()..]);
            let in_path = before.ends_with("::") || after.starts_with("::");
            IMPURE_NAMES.contains(&word) || in_path && IMPURE_MODULES.contains(&word)
        })
}

fn manifest(folder: &str) -> Table {
    let path = root().join(folder).join("Cargo.toml");
    fs::read_to_string(path).unwrap().parse().unwrap()
}

#[test]
fn imports_run_one_way() {
    let workspace = manifest("");
    let members = workspace["workspace"]["members"].as_array().unwrap();
    assert_eq!(members.len(), DIAGRAM.len(), "{members:?}");
    for member in members {
        let problems = manifest_problems(&manifest(member.as_str().unwrap()));
        assert!(problems.is_empty(), "{problems:#?}");
    }
    // A shared dependency under another name would hide from the check above.
    let shared = workspace["workspace"]["dependencies"].as_table().unwrap();
    assert!(shared.values().all(|value| value.get("package").is_none()));
}

#[test]
fn pure_crates_stay_pure() {
    for package in PURE {
        let files = rust_files(&root().join(package).join("src"));
        assert!(files.len() > 3, "{package} has {} files", files.len());
        for file in files {
            let mut problems = source_problems(&fs::read_to_string(&file).unwrap());
            if file.ends_with(THREADED) {
                problems.retain(|line| !line.contains("thread::") && !line.contains("::thread"));
            }
            assert!(problems.is_empty(), "{}: {problems:#?}", file.display());
        }
    }
}

#[test]
fn a_wrong_manifest_is_found() {
    let problems = |text: &str| manifest_problems(&text.parse().unwrap());
    let right = r#"
        package.name = "naschain-nsga"
        dependencies = { naschain-core.workspace = true, serde = "1" }
        dev-dependencies.proptest = "1"
    "#;
    assert_eq!(problems(right), [""; 0]);
    for (package, wrong) in [
        (
            "naschain-nsga",
            r#"dependencies.naschain-consensus = "0.1""#,
        ),
        (
            "naschain-core",
            r#"dependencies.naschain-nsga.workspace = true"#,
        ),
        (
            "naschain-train",
            r#"dependencies.naschain-bins = { path = "../x" }"#,
        ),
        ("naschain-benches", r#"dependencies.naschain-bins = "0.1""#),
        ("naschain-bins", r#"dependencies.burn = "=0.21.0""#),
        ("naschain-core", r#"dev-dependencies.burn-flex = "0.21""#),
        ("naschain-consensus", r#"dependencies.tokio = "1""#),
        ("naschain-core", r#"build-dependencies.reqwest = "0.12""#),
        (
            "naschain-core",
            r#"dependencies.serde = { package = "sqlx", version = "0.8" }"#,
        ),
        (
            "naschain-core",
            r#"target.'cfg(unix)'.dependencies.libc = "0.2""#,
        ),
        ("naschain-newcomer", ""),
    ] {
        let manifest = format!("package.name = \"{package}\"\n{wrong}");
        assert_eq!(problems(&manifest).len(), 1, "{manifest}");
    }
}

#[test]
fn a_wrong_source_is_found() {
    for wrong in [
        "use std::fs;",
        "use std::{fs::File, io};",
        "let now = std::time::Instant::now();",
        "use std::time::{Duration, SystemTime};",
        "    println!(\"{x}\");",
        "thread::spawn(move || 1);",
        "use std::net::TcpStream; // a comment",
        "#[cfg(test)]\nmod tests {\n    fn f() {\n    }\n}\nfn g() { std::process::exit(1) }",
        "    #[cfg(test)]\n    use x;\n    eprintln!();",
    ] {
        assert_eq!(source_problems(wrong).len(), 1, "{wrong}");
    }
    for right in [
        "//! println!(\"{}\", std::fs::read(path));",
        "let net = thread + process; // names of values",
        "/// An Instant of time.",
        "#[cfg(test)]\nmod tests {\n    use std::fs;\n    fn f() {\n        println!();\n    }\n}\n",
    ] {
        assert_eq!(source_problems(right), [""; 0], "{right}");
    }
}
