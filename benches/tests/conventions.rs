//! The rules of CONTRIBUTING.md that can be counted: documentation, sizes and open types.

#[path = "sources/code.rs"]
mod code;
#[path = "sources/crates.rs"]
mod crates;
mod sources;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use toml::Table;

use code::code_only;
use crates::{all_files, exported_types, read, source_files};
use sources::{LIBRARIES, root, rust_files};

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
fn files_are_short_and_not_vaguely_named() {
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

/// Public settings, and enums that users of a library read or pass: a release may add to them, so
/// other crates make the settings by a constructor and match the enums with a wildcard.
const OPEN_TYPES: [&str; 22] = [
    "Agreement",
    "Argument",
    "Augmentation",
    "DataSpec",
    "Due",
    "Mode",
    "Objective",
    "Options",
    "Pace",
    "Recipe",
    "Remedy",
    "Reputation",
    "RequestRules",
    "Rules",
    "RunSpec",
    "ScoringTerms",
    "SearchConfig",
    "Signers",
    "SigningTerms",
    "Trust",
    "Watchdog",
    "WeightLimits",
];

#[test]
fn types_that_may_grow_are_non_exhaustive() {
    let sources: Vec<String> = source_files().iter().map(read).collect();
    for name in OPEN_TYPES {
        let kinds = ["struct", "enum"].into_iter();
        let mut starts = kinds.map(|kind| format!("#[non_exhaustive]\npub {kind} {name}"));
        let is_open = starts.any(|start| {
            let mut parts = sources
                .iter()
                .flat_map(|source| source.split(&start).skip(1));
            parts.any(|after| after.starts_with([' ', '<']))
        });
        assert!(is_open, "{name} is not #[non_exhaustive]");
    }
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
    let mut documents = vec![
        "README.md".to_owned(),
        "ARCHITECTURE.md".to_owned(),
        "CONTRIBUTING.md".to_owned(),
        "CHANGELOG.md".to_owned(),
    ];
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name();
        documents.push(format!("docs/{}", name.to_str().unwrap()));
    }
    documents.retain(|name| name.ends_with(".md"));
    let mut checked = 0;
    for document in documents {
        let text = read(&document);
        let paths = quoted(&text).filter(|path| {
            path.contains('/') && path.ends_with(".rs") && !path.contains(['*', '<', ' ', '\n'])
        });
        for path in paths {
            // A document may leave the crate out where the text has named it.
            let path = path.trim_start_matches("../");
            let found = files.iter().any(|file| file.ends_with(&format!("/{path}")));
            assert!(found, "{document} names {path}, which does not exist");
            checked += 1;
        }
    }
    assert!(checked > 60, "only {checked} paths");
}

/// Whether a text between backticks is the path of a function, such as `Type::function`.
fn is_function(text: &&str) -> bool {
    let is_name = |letter: char| letter.is_alphanumeric() || "_:".contains(letter);
    let name = text.rsplit(':').next().unwrap();
    name.starts_with(|first: char| first.is_ascii_lowercase()) && text.chars().all(is_name)
}

#[test]
fn the_questions_of_the_architecture_name_functions_of_their_files() {
    let text = read("ARCHITECTURE.md");
    let (_, questions) = text.split_once("| question | answer |").unwrap();
    let all = all_files();
    let mut checked = 0;
    for row in questions.lines().skip(1).take_while(|row| !row.is_empty()) {
        let files: Vec<&str> = quoted(row).filter(|text| text.ends_with(".rs")).collect();
        let is_named = |path: &Path| files.iter().any(|file| path.ends_with(file));
        let named = all.iter().filter(|path| is_named(path));
        let sources: Vec<String> = named.map(read).collect();
        for function in quoted(row).filter(is_function) {
            let (owner, name) = function.rsplit_once("::").unwrap_or(("", function));
            let found = sources.iter().any(|source| {
                let declares = |start: String| source.contains(&start);
                declares(format!("fn {name}(")) || declares(format!("fn {name}<"))
            });
            let is_owned = sources.iter().any(|source| source.contains(owner));
            assert!(
                found && is_owned,
                "no file of this row has {function}: {row}"
            );
            checked += 1;
        }
    }
    assert!(checked > 6, "only {checked} functions");
}

fn public_types(library: &str) -> BTreeSet<String> {
    exported_types(&format!("{library}/src/lib.rs"))
}

/// The libraries whose types a library's README may name besides its own.
fn dependencies(library: &str) -> Vec<&'static str> {
    let manifest: Table = read(format!("{library}/Cargo.toml")).parse().unwrap();
    let dependencies = manifest["dependencies"].as_table().unwrap();
    let is_used = |name: &&str| dependencies.contains_key(*name);
    LIBRARIES.into_iter().filter(is_used).collect()
}

/// Whether a source file of the library declares an enum's variant of this name.
fn has_variant(library: &str, name: &str) -> bool {
    let files = rust_files(&root().join(library).join("src"));
    files.iter().any(|path| {
        let source = fs::read_to_string(path).unwrap();
        source.lines().any(|line| {
            let after = line.trim_start().strip_prefix(name);
            after.is_some_and(|after| [",", " {", "("].iter().any(|end| after.starts_with(end)))
        })
    })
}

#[test]
fn a_readme_names_types_that_exist() {
    let mut checked = 0;
    for library in LIBRARIES {
        let mut known = public_types(library);
        for dependency in dependencies(library) {
            known.extend(public_types(dependency));
        }
        let readme = read(format!("{library}/README.md"));
        let prose: Vec<&str> = readme.split("```").step_by(2).collect();
        for text in prose.iter().flat_map(|prose| quoted(prose)) {
            let name = text.split("::").next().unwrap();
            let is_type = name.starts_with(|first: char| first.is_ascii_uppercase())
                && name.contains(|letter: char| letter.is_ascii_lowercase())
                && name.chars().all(|letter| letter.is_ascii_alphanumeric());
            if is_type {
                let exists = known.contains(name) || has_variant(library, name);
                assert!(
                    exists,
                    "{library}/README.md names {name}, which does not exist"
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 60, "only {checked} names");
}

/// Kernels, which CubeCL compiles as a whole, may be longer.
const LONG_FUNCTIONS: [(&str, &str); 7] = [
    ("gpu/kernels/convolution.rs", "conv3"),
    ("gpu/kernels/gradient.rs", "conv3_weights"),
    ("gpu/kernels/gradient.rs", "conv1_weights"),
    ("gpu/kernels/join.rs", "conv1"),
    ("gpu/kernels/join.rs", "conv1_back"),
    ("gpu/kernels/norm.rs", "update_statistics"),
    // A table of calls and their refusals.
    ("subtensor/refusals.rs", "each_has_its_name"),
];

/// The name and the number of lines of each function with a body. rustfmt ends an item where its
/// indentation returns.
fn functions(source: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = source.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some((before, after)) = line.split_once("fn ") else {
            continue;
        };
        let is_item = before.split_whitespace().all(|word| {
            let qualifiers = ["const", "async", "unsafe", "extern"];
            word.starts_with("pub") || qualifiers.contains(&word) || word.starts_with('"')
        });
        let name = after.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
        let name = name.into_iter().next().unwrap_or_default();
        if !is_item || name.is_empty() {
            continue;
        }
        let indent = &line[..line.len() - line.trim_start().len()];
        let end = format!("{indent}}}");
        // A declaration without a body ends before a body could.
        let ends = |line: &&str| {
            **line == end
                || line.ends_with(';')
                    && line.starts_with(indent)
                    && !line[indent.len()..].starts_with(' ')
        };
        if let Some(length) = lines[start..].iter().position(ends) {
            found.push((name.to_owned(), length + 1));
        }
    }
    found
}

#[test]
fn functions_are_short() {
    let mut checked = 0;
    for path in all_files() {
        let shown = path.strip_prefix(root()).unwrap().to_str().unwrap();
        let is_test = ["tests/", "/tests.rs", "benches/", "examples/"]
            .iter()
            .any(|part| shown.contains(part));
        let most = if is_test { 80 } else { 70 };
        for (name, lines) in functions(&fs::read_to_string(&path).unwrap()) {
            let is_listed = LONG_FUNCTIONS
                .iter()
                .any(|(file, kernel)| shown.ends_with(file) && name == *kernel);
            assert!(
                lines <= most || is_listed,
                "{shown}: {name} has {lines} lines; at most {most}"
            );
            checked += 1;
        }
    }
    assert!(checked > 1_500, "only {checked} functions");
}

#[test]
fn function_lengths_are_counted() {
    let source = "fn a() {\n    b();\n}\nimpl X {\n    pub(crate) async fn c(\n        x: u8,\n    ) {\n        d();\n    }\n}\ntrait Y {\n    fn e(&self);\n}\n";
    let expected = [("a", 3), ("c", 5), ("e", 1)].map(|(name, lines)| (name.to_owned(), lines));
    assert_eq!(functions(source), expected);
}

#[test]
fn flags_are_not_matched() {
    for path in all_files() {
        let code = code_only(&fs::read_to_string(&path).unwrap());
        let mut lines = code.lines().map(str::trim);
        let found = lines.find(|line| line.starts_with("true =>") || line.starts_with("false =>"));
        let shown = path.display();
        assert_eq!(found, None, "{shown}: use if and else");
    }
}

#[test]
fn code_has_no_comments_and_strings() {
    let source =
        "let a = 'x'; // b\nlet c = \"d \\\" e\"; /* f\n */ let g: &'static str = r#\"h\"i\"#;";
    let expected = "let a = \"\"; \nlet c = \"\"; \n let g: &'static str = \"\";";
    assert_eq!(code_only(source), expected);
}

/// Whether a word is a function's name rather than a field's or a crate's.
fn is_test_name(word: &&str) -> bool {
    word.matches('_').count() >= 3 && !word.contains(|letter: char| letter.is_uppercase())
}

#[test]
fn the_tests_that_docs_threats_names_exist() {
    let sources: Vec<String> = all_files()
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let threats = read("docs/threats.md");
    let (mut tests, mut modules) = (0, 0);
    for text in quoted(&threats) {
        let words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
        for name in words.filter(is_test_name) {
            let function = format!("fn {name}(");
            let exists = sources.iter().any(|source| source.contains(&function));
            assert!(exists, "docs/threats.md names {name}, which does not exist");
            tests += 1;
        }
        let module = text.strip_prefix("attacks::").unwrap_or_default();
        let module = module.split("::").next().unwrap_or_default();
        if !module.is_empty() {
            let file = format!("naschain-bins/tests/end_to_end/attacks/{module}.rs");
            assert!(root().join(&file).exists(), "{file} does not exist");
            modules += 1;
        }
    }
    assert!(
        tests > 25 && modules > 20,
        "{tests} tests, {modules} modules"
    );
}
