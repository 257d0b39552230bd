//! `run.json`: everything needed to repeat a run.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use naschain_consensus::Rules;
use naschain_core::{Digest, MacroSpace, Recipe};
use naschain_nsga::{Objective, SearchConfig};
use naschain_train::{DataName, Dataset};
use serde::{Deserialize, Serialize};

/// What a run searches, trains and agrees on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSpec {
    /// Versions of the parts that decide results.
    pub versions: BTreeMap<String, String>,
    /// Which networks there are.
    pub space: MacroSpace,
    /// How each is trained.
    pub recipe: Recipe,
    /// On what.
    pub data: DataSpec,
    /// How the next ones are chosen.
    pub search: SearchConfig,
    /// How miners share and agree.
    pub rules: Rules,
}

/// A data set by name and content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSpec {
    /// Which data set.
    pub name: DataName,
    /// What it must hold.
    pub digest: Digest,
}

/// The objectives of every run, in this order.
pub fn objectives() -> Vec<Objective> {
    vec![
        Objective::maximize("accuracy"),
        Objective::minimize("params"),
        Objective::minimize("flops"),
    ]
}

/// The versions that this build writes into `run.json`.
pub fn versions() -> BTreeMap<String, String> {
    let versions = [
        ("arithmetic", naschain_train::ARITHMETIC_VERSION.to_string()),
        ("naschain", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    BTreeMap::from(versions.map(|(part, version)| (part.to_owned(), version)))
}

impl RunSpec {
    /// Checks every part and that they fit each other.
    pub fn validate(&self) -> Result<()> {
        self.space.validate()?;
        self.recipe.validate()?;
        self.rules.validate()?;
        naschain_nsga::Search::new(self.search.clone())?;
        ensure!(
            self.search.genome_len == self.space.genome_len(),
            "the search's genomes have {} bits; the space's have {}",
            self.search.genome_len,
            self.space.genome_len()
        );
        Ok(())
    }

    /// BLAKE3 of its JSON: the run's identity, and the first link of its journal.
    pub fn digest(&self) -> Digest {
        let json = serde_json::to_vec(self).expect("a run specification is plain data");
        Digest(*blake3::hash(&json).as_bytes())
    }

    /// Checks that `dataset` is what the run was made with.
    pub fn check_data(&self, dataset: &Dataset) -> Result<()> {
        let found = dataset.digest();
        ensure!(
            found == self.data.digest,
            "data set {} has digest {found}; the run needs {}: get the same files",
            self.data.name,
            self.data.digest
        );
        Ok(())
    }

    /// Reads `run.json`.
    pub fn read(path: &Path) -> Result<RunSpec> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let spec: RunSpec = serde_json::from_str(&text)
            .with_context(|| format!("{} is not a run specification", path.display()))?;
        spec.validate()
            .with_context(|| format!("{} is wrong", path.display()))?;
        Ok(spec)
    }

    /// Makes the run's folder, or checks that the one there is of the same run.
    pub fn settle(&self, dir: &Path) -> Result<()> {
        let path = dir.join("run.json");
        if path.exists() {
            let there = RunSpec::read(&path)?;
            if there != *self {
                bail!(
                    "{} holds a run with other settings: {}; give the same settings to go on with it, or another folder with --out",
                    dir.display(),
                    difference(&there, self)
                );
            }
            return Ok(());
        }
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let json = serde_json::to_string_pretty(self)?;
        write_whole(&path, json.as_bytes())
    }
}

/// Writes a file so that it is there whole or not at all.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let partial = path.with_extension("partial");
    std::fs::write(&partial, bytes)
        .with_context(|| format!("cannot write {}", partial.display()))?;
    std::fs::rename(&partial, path).with_context(|| format!("cannot write {}", path.display()))
}

/// The first values in which two specifications differ, as `name is old, not new`.
fn difference(there: &RunSpec, asked: &RunSpec) -> String {
    let (Ok(there), Ok(asked)) = (serde_json::to_value(there), serde_json::to_value(asked)) else {
        return "they cannot be compared".to_owned();
    };
    let mut found = Vec::new();
    compare("", &there, &asked, &mut found);
    found.join(", ")
}

fn compare(
    name: &str,
    there: &serde_json::Value,
    asked: &serde_json::Value,
    found: &mut Vec<String>,
) {
    match (there.as_object(), asked.as_object()) {
        (Some(there), Some(asked)) => {
            let keys: std::collections::BTreeSet<_> = there.keys().chain(asked.keys()).collect();
            for key in keys {
                let name = if name.is_empty() {
                    key.clone()
                } else {
                    format!("{name}.{key}")
                };
                let null = serde_json::Value::Null;
                let (there, asked) = (there.get(key), asked.get(key));
                compare(&name, there.unwrap_or(&null), asked.unwrap_or(&null), found);
            }
        }
        _ if there != asked => found.push(format!("{name} is {there}, not {asked}")),
        _ => {}
    }
}
