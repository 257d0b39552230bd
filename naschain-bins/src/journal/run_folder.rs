//! A run's folder and its `run.json`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use naschain_run::RunSpec;
use naschain_train::Dataset;

use crate::files::{create_folder, write_whole};

/// The versions that this build writes into `run.json`. A miner compares them with its own, because
/// another version may compute other digests.
pub fn versions() -> BTreeMap<String, String> {
    let versions = [
        ("arithmetic", naschain_train::ARITHMETIC_VERSION.to_string()),
        ("naschain", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    BTreeMap::from(versions.map(|(part, version)| (part.to_owned(), version)))
}

/// Checks that `dataset` is the one that the run was created with.
pub(crate) fn check_data(spec: &RunSpec, dataset: &Dataset) -> Result<()> {
    let found = dataset.digest();
    ensure!(
        found == spec.data.digest,
        "data set {} has digest {found}; the run needs {}: use the files that the run was created with",
        spec.data.name,
        spec.data.digest
    );
    Ok(())
}

/// Reads `run.json`.
pub fn read_spec(path: &Path) -> Result<RunSpec> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let spec: RunSpec = serde_json::from_str(&text)
        .with_context(|| format!("{} is not a run specification", path.display()))?;
    spec.validate()
        .with_context(|| format!("{} is invalid", path.display()))?;
    Ok(spec)
}

/// Like [`create_or_check`], but the stored run may have fewer generations; the caller then extends it.
pub(crate) fn create_or_extend(mut spec: RunSpec, dir: &Path) -> Result<RunSpec> {
    let path = dir.join("run.json");
    if path.exists() {
        let stored = read_spec(&path)?.search.generations;
        spec.search.generations = spec.search.generations.min(stored);
    }
    create_or_check(spec, dir)
}

/// Creates the run's folder, or checks that an existing one belongs to the same run. Returns the
/// run's specification, which in a folder of an earlier version lacks newer settings.
pub fn create_or_check(spec: RunSpec, dir: &Path) -> Result<RunSpec> {
    let path = dir.join("run.json");
    if path.exists() {
        // The journal can only be replayed under the settings with which it was written.
        let stored = read_spec(&path)?;
        let differences = stored.differences(&spec);
        if !differences.is_empty() {
            bail!(
                "{} holds a run with other settings: {}; give the same settings to resume it, or another folder with --out",
                dir.display(),
                differences.join(", ")
            );
        }
        return Ok(stored);
    }
    create_folder(dir)?;
    let json = serde_json::to_string_pretty(&spec)?;
    write_whole(&path, json.as_bytes())?;
    Ok(spec)
}
