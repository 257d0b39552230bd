//! The files of naschain-run, naschain-identity, naschain-bittensor and naschain-bins have no cyclic
//! imports, and neither have the folders of naschain-bins.
//!
//! A module that can only be read together with the module that uses it is not a module. The
//! compiler accepts such cycles, so a test reads the sources: an edge is a path that starts with
//! `crate::`, `super::`, `self::` or the name of a child module, and leads to the file that its
//! longest prefix names. Comments, strings and test modules do not count.

#[path = "sources/code.rs"]
mod code;
#[path = "sources/lines.rs"]
mod lines;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use code::code_only;
use lines::lines_without_tests;

const PACKAGES: [&str; 4] = [
    "naschain-identity",
    "naschain-run",
    "naschain-bittensor",
    "naschain-bins",
];

/// The path of a module from the crate's root: `["server", "legacy"]`.
type Module = Vec<String>;

/// The source of each module of a crate.
type Sources = BTreeMap<Module, String>;

/// Which modules each module imports.
type Graph = BTreeMap<Module, BTreeSet<Module>>;

fn read_sources(src: &Path) -> Sources {
    let mut sources = Sources::new();
    let mut folders: Vec<(PathBuf, Module)> = vec![(src.to_owned(), Module::new())];
    while let Some((folder, module)) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let mut name = module.clone();
            if path.is_dir() {
                name.push(stem);
                folders.push((path, name));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                // Unit tests in files of their own may import what they test.
                if stem == "tests" {
                    continue;
                }
                if !["lib", "mod"].contains(&stem.as_str()) {
                    name.push(stem);
                }
                sources.insert(name, fs::read_to_string(path).unwrap());
            }
        }
    }
    sources
}

/// The words and punctuation of code outside test modules.
fn tokens(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for line in lines_without_tests(code) {
        let mut rest = line;
        while let Some(first) = rest.chars().next() {
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            let length = match rest.find(|c| !is_word(c)) {
                Some(0) if rest.starts_with("::") => 2,
                Some(0) => first.len_utf8(),
                Some(length) => length,
                None => rest.len(),
            };
            let (token, after) = rest.split_at(length);
            if !token.trim().is_empty() {
                found.push(token);
            }
            rest = after;
        }
    }
    found
}

/// The paths of a use tree such as `a::{b, c::D}` that stands at the beginning of `tokens`.
fn use_tree(tokens: &[&str], prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let mut path = prefix.to_vec();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        if *token == "{" {
            at += 1;
            while tokens.get(at).is_some_and(|token| *token != "}") {
                at += use_tree(&tokens[at..], &path, found).max(1);
                // Renames and commas.
                while tokens.get(at).is_some_and(|t| ![",", "}"].contains(t)) {
                    at += 1;
                }
                if tokens.get(at) == Some(&",") {
                    at += 1;
                }
            }
            return at + 1;
        }
        path.push((*token).to_owned());
        at += 1;
        if tokens.get(at) != Some(&"::") {
            break;
        }
        at += 1;
    }
    found.push(path);
    at
}

/// The modules that a module imports.
fn imports(module: &Module, sources: &Sources) -> BTreeSet<Module> {
    let code = code_only(&sources[module]);
    let tokens = tokens(&code);
    let mut paths = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let begins = at == 0 || tokens[at - 1] != "::";
        let leads_on = tokens.get(at + 1) == Some(&"::");
        if !begins || !leads_on {
            continue;
        }
        let child = [&module[..], &[(*token).to_owned()]].concat();
        let supers = tokens[at..].chunks(2).take_while(|pair| pair[0] == "super");
        let supers = supers.count();
        let (base, skip) = match *token {
            "crate" => (Module::new(), 2),
            "self" => (module.clone(), 2),
            "super" => {
                let kept = module.len().saturating_sub(supers);
                (module[..kept].to_vec(), 2 * supers)
            }
            _ if sources.contains_key(&child) => (module.clone(), 0),
            _ => continue,
        };
        use_tree(&tokens[at + skip..], &base, &mut paths);
    }
    let file_of = |path: &Vec<String>| {
        let prefixes = (0..=path.len()).rev().map(|length| path[..length].to_vec());
        prefixes
            .into_iter()
            .find(|prefix| sources.contains_key(prefix))
    };
    let files = paths.iter().filter_map(file_of);
    files.filter(|file| file != module).collect()
}

fn graph(sources: &Sources) -> Graph {
    let modules = sources.keys();
    modules
        .map(|module| (module.clone(), imports(module, sources)))
        .collect()
}

/// A cycle of imports, as the modules on it, if there is one.
fn cycle(graph: &Graph) -> Option<Vec<String>> {
    fn visit(
        module: &Module,
        graph: &Graph,
        path: &mut Vec<Module>,
        done: &mut BTreeSet<Module>,
    ) -> Option<Vec<Module>> {
        if let Some(at) = path.iter().position(|before| before == module) {
            return Some([&path[at..], std::slice::from_ref(module)].concat());
        }
        if done.contains(module) {
            return None;
        }
        path.push(module.clone());
        let imported = graph.get(module).into_iter().flatten();
        let found = imported
            .filter_map(|next| visit(next, graph, path, done))
            .next();
        path.pop();
        done.insert(module.clone());
        found
    }
    let mut done = BTreeSet::new();
    let mut modules = graph.keys();
    let found = modules.find_map(|module| visit(module, graph, &mut Vec::new(), &mut done))?;
    let name = |module: &Module| format!("crate::{}", module.join("::"));
    Some(found.iter().map(name).collect())
}

#[test]
fn no_imports_are_cyclic() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for package in PACKAGES {
        let sources = read_sources(&root.join(package).join("src"));
        assert!(sources.len() > 5, "{package} has {} files", sources.len());
        let graph = graph(&sources);
        let edges: usize = graph.values().map(BTreeSet::len).sum();
        assert!(edges > 5, "{package} has {edges} imports");
        let cycle = cycle(&graph);
        assert_eq!(cycle, None, "{package}");
    }
}

/// The same graph between the folders in which the modules are. The root, which re-exports, and the
/// programs are left out.
fn folder_graph(graph: &Graph) -> Graph {
    let folder = |module: &Module| module.first().map(|name| vec![name.clone()]);
    let mut folders = Graph::new();
    for (module, imported) in graph {
        let Some(from) = folder(module) else {
            continue;
        };
        let to = imported.iter().filter_map(folder).filter(|to| *to != from);
        folders.entry(from.clone()).or_default().extend(to);
    }
    folders
}

#[test]
fn no_imports_of_folders_are_cyclic() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let sources = read_sources(&root.join("naschain-bins/src"));
    let folders = folder_graph(&graph(&sources));
    assert!(folders.len() > 10, "{} folders", folders.len());
    assert_eq!(cycle(&folders), None);

    let parts = |path: &str| path.split('/').map(str::to_owned).collect::<Module>();
    let edge = |from: &str, to: &str| (parts(from), BTreeSet::from([parts(to)]));
    let files = Graph::from([edge("a/b", "c/d"), edge("c/e", "a/f")]);
    assert!(cycle(&files).is_none() && cycle(&folder_graph(&files)).is_some());
}

/// Whether modules with these paths, such as `b/c`, and sources have a cycle.
fn has_cycle(files: &[(&str, &str)]) -> bool {
    let files = files.iter().map(|(name, text)| {
        let parts = name.split('/').filter(|part| !part.is_empty());
        (parts.map(str::to_owned).collect(), (*text).to_owned())
    });
    cycle(&graph(&files.collect())).is_some()
}

#[test]
fn a_cycle_is_found() {
    let right = [
        ("", "pub mod a;\npub use a::A;"),
        (
            "a",
            "use crate::b::{self, c::C};\n// use crate::d::D;\nconst S: &str = \"crate::d::D\";",
        ),
        ("b", "pub mod c;"),
        ("b/c", "use std::fmt;\nuse super::Parent;"),
        (
            "d",
            "use crate::a::A;\n#[cfg(test)]\nmod tests {\n    use crate::e::E;\n}\n",
        ),
        ("e", "fn f() { crate::d::f() }"),
    ];
    assert!(!has_cycle(&right));
    for (file, text) in [
        ("b/c", "use crate::a::A;"),
        ("b/c", "use crate::A;"),
        ("b/c", "fn f() -> super::super::a::A {}"),
        ("b", "use crate::{d, x::Y};"),
        ("b", "pub mod c;\npub use c::C;"),
        ("b", "pub mod c;\nuse self::c::{C, D};"),
        ("a", "use crate::{b::c, e::{f, g}};"),
        ("a", "use crate::{b as other, d::D as E};"),
    ] {
        let mut wrong = right;
        let at = wrong.iter().position(|(name, _)| *name == file).unwrap();
        wrong[at].1 = text;
        assert!(has_cycle(&wrong), "{file}: {text}");
    }
}
