//! A run's folder and its `run.json`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use naschain_run::RunSpec;
use naschain_train::Dataset;

use crate::files::{create_folder, write_whole};
use crate::journal::options::by_option;
use crate::journal::versions::are_compatible;

/// File of a run's specification.
const RUN_FILE: &str = "run.json";

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

/// Reads the specification of the run in a folder that a command was given.
///
/// # Errors
/// Says what is right if it is another folder, or a file.
pub(crate) fn read_run(dir: &Path) -> Result<RunSpec> {
    let file = dir.join(RUN_FILE);
    if file.is_file() {
        return read_spec(&file);
    }
    let shown = dir.display();
    let found = if dir.is_dir() {
        "is not the folder of a run: it has no run.json"
    } else if dir.exists() {
        "is a file, not the folder of a run"
    } else {
        "does not exist; name the folder of a run"
    };
    // The models of a run are in its folder, and runs are in a folder `runs`.
    let above = dir.ancestors().skip(1);
    let mut above = above.filter(|folder| folder.join(RUN_FILE).is_file());
    let hint = match above.next() {
        Some(run) => format!("; its run is {}", run.display()),
        None => match runs_in(dir).or_else(|| runs_in(Path::new("runs"))) {
            Some(run) => format!(
                "; a run is {}, and `genomaster runs` lists all",
                run.display()
            ),
            None => ", such as runs/digits-seed1, which `genomaster search` creates".to_owned(),
        },
    };
    bail!("{shown} {found}{hint}")
}

/// The first run in a folder of runs.
fn runs_in(dir: &Path) -> Option<PathBuf> {
    let folders = std::fs::read_dir(dir).ok()?;
    let folders = folders.filter_map(|entry| Some(entry.ok()?.path()));
    folders
        .filter(|folder| folder.join(RUN_FILE).is_file())
        .min()
}

/// Like [`create_or_check`], but the stored run may have fewer generations; the caller then extends it.
pub(crate) fn create_or_extend(mut spec: RunSpec, dir: &Path) -> Result<RunSpec> {
    let path = dir.join(RUN_FILE);
    if path.exists() {
        let stored = read_spec(&path)?.search.generations;
        spec.search.generations = spec.search.generations.min(stored);
    }
    create_or_check(spec, dir)
}

/// Creates the run's folder, or checks that an existing one belongs to the same run. Returns the
/// run's specification, which in a folder of an earlier version lacks newer settings.
pub fn create_or_check(spec: RunSpec, dir: &Path) -> Result<RunSpec> {
    let path = dir.join(RUN_FILE);
    if path.exists() {
        // The journal can only be replayed under the settings with which it was written.
        let stored = read_spec(&path)?;
        let mut differences = stored.differences(&spec);
        if are_compatible(&stored.versions, &spec.versions) {
            differences.retain(|difference| !difference.name.starts_with("versions."));
        }
        ensure!(
            differences.is_empty(),
            "the run in {} was begun with other settings:\n{}give the same settings to resume it, or another folder with --out",
            dir.display(),
            by_option(&differences)
        );
        return Ok(stored);
    }
    create_folder(dir)?;
    let json = serde_json::to_string_pretty(&spec)?;
    write_whole(&path, json.as_bytes())?;
    Ok(spec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::versions::versions_of;
    use crate::test_folder::test_folder;
    use crate::test_spec::test_spec;

    #[test]
    fn a_run_keeps_its_version_and_goes_on_with_the_next_one() {
        let mut spec = test_spec();
        let dir = test_folder("versions");
        spec.versions = versions_of("0.1.0", 1);
        let begun = create_or_check(spec.clone(), &dir).unwrap();
        spec.versions = versions_of("0.1.1", 1);
        let resumed = create_or_check(spec.clone(), &dir).unwrap();
        assert_eq!(resumed.digest(), begun.digest());
        for (version, arithmetic, part) in [("0.2.0", 1, "naschain"), ("0.1.0", 2, "arithmetic")] {
            spec.versions = versions_of(version, arithmetic);
            let refused = create_or_check(spec.clone(), &dir).unwrap_err().to_string();
            let expected = format!("version of {part} in this program");
            assert!(refused.contains(&expected), "{refused}");
        }
        std::fs::remove_dir_all(dir).unwrap();
    }
}
