//! The scripts of the report: the modules of the page, inside an import map.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::web::assets;

/// Modules of a file cannot name each other by relative paths; this prefix makes their names absolute.
const PREFIX: &str = "naschain/";

/// An import map with a module and all that it imports, as JSON.
pub(super) fn import_map(entry: &str) -> String {
    let scripts = assets::scripts();
    let mut imports = BTreeMap::new();
    let mut open = BTreeSet::from([entry.to_owned()]);
    while let Some(name) = open.pop_first() {
        let Some(source) = scripts.get(&name) else {
            continue;
        };
        let imported = imported(source);
        let absolute = absolute(source);
        let url = format!("data:text/javascript;base64,{}", STANDARD.encode(absolute));
        imports.insert(format!("{PREFIX}{name}"), url);
        let is_new = |name: &String| !imports.contains_key(&format!("{PREFIX}{name}"));
        open.extend(imported.into_iter().filter(is_new));
    }
    serde_json::json!({ "imports": imports }).to_string()
}

/// The names of the modules that a module imports: all are beside it.
fn imported(source: &str) -> Vec<String> {
    let paths = source.split("\"./").skip(1);
    let names = paths.filter_map(|rest| rest.split_once('"').map(|(name, _)| name));
    names
        .filter(|name| name.ends_with(".js"))
        .map(str::to_owned)
        .collect()
}

/// A module that imports the others by absolute names.
fn absolute(source: &str) -> String {
    let mut text = source.to_owned();
    for name in imported(source) {
        text = text.replace(&format!("\"./{name}\""), &format!("\"{PREFIX}{name}\""));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_has_everything_that_is_imported() {
        let map: serde_json::Value = serde_json::from_str(&import_map("dashboard.js")).unwrap();
        let imports = map["imports"].as_object().unwrap();
        assert!(imports.len() > 5);
        for (name, url) in imports {
            let encoded = url.as_str().unwrap().split_once(',').unwrap().1;
            let source = String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap();
            assert!(!source.contains("from \"./"), "{name}");
            for rest in source.split("from \"naschain/").skip(1) {
                let wanted = format!("naschain/{}", rest.split('"').next().unwrap());
                assert!(imports.contains_key(&wanted), "{name} imports {wanted}");
            }
        }
    }
}
