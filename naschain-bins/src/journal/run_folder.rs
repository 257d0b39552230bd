//! A run's folder: `run.json`, and a function that writes files atomically.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use naschain_run::RunSpec;
use naschain_train::Dataset;

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

/// Writes a file atomically: a reader, or a restart after a crash or a power failure, finds the old
/// content or the new one, never a part.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    // In the same folder, because renaming is atomic only within one file system.
    let partial = path.with_extension("partial");
    let written = File::create(&partial).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.with_context(|| format!("cannot write {}", partial.display()))?;
    std::fs::rename(&partial, path).with_context(|| format!("cannot write {}", path.display()))?;
    sync_folder(path)
}

/// Appends to a file, which is created if it is missing: all of these bytes or none.
pub(crate) fn append_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let context = || format!("cannot write {}", path.display());
    let opened = File::options().create(true).append(true).open(path);
    let mut file = opened.with_context(context)?;
    let before = file.metadata().with_context(context)?.len();
    let written = file.write_all(bytes);
    if let Err(error) = written.and_then(|()| file.sync_data()) {
        // A partial line would make the whole file unreadable.
        let _ = file.set_len(before);
        return Err(error).with_context(context);
    }
    if before == 0 {
        sync_folder(path)?;
    }
    Ok(())
}

/// Waits until a file that a library has written, and its name, are on disk.
pub(crate) fn sync_file(path: &Path) -> Result<()> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.with_context(|| format!("cannot write {}", path.display()))?;
    sync_folder(path)
}

/// Waits until the names in the folder of a file are on disk: a new or renamed file can be lost in
/// a power failure although its bytes are there.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    // Other systems do not open folders as files.
    #[cfg(unix)]
    {
        let folder = match path.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => path,
        };
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.with_context(|| format!("cannot write the folder {}", folder.display()))?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Creates a folder and those above it, and waits until they are on disk.
pub(crate) fn create_folder(dir: &Path) -> Result<()> {
    let missing: Vec<&Path> = dir.ancestors().take_while(|dir| !dir.exists()).collect();
    std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    for created in missing.into_iter().rev() {
        // The last ancestor of a relative path is "", which is there.
        if !created.as_os_str().is_empty() {
            sync_folder(created)?;
        }
    }
    Ok(())
}
