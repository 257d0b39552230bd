//! Reading the data set of a run.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use naschain_train::{BadPicture, DataName, Dataset, Error};

use crate::printable::{counted, printable};

/// Default of `--keep-images`, in MiB.
pub(crate) const KEEP_MIB: u64 = 1024;

/// The flag that says where the data set of an existing run is.
pub(crate) const DATA_DIR: &str = "--data-dir";

/// The folder or file of a data set; `None` for the embedded digits. If it is not found, the error
/// names the flag of the command that says where it is.
pub(crate) fn find(name: &DataName, dir: Option<&Path>, flag: &str) -> Result<Option<PathBuf>> {
    Dataset::find(name, dir).map_err(|error| match error {
        Error::DataNotFound { .. } => anyhow!("{error}; say where it is with {flag}"),
        other => other.into(),
    })
}

/// Loads a data set for a run, without pictures that cannot be read: its digest then shows whether
/// it is the run's.
///
/// A part (train, val) of a folder of images is kept decoded in memory if it takes at most `keep_mib`
/// MiB; a larger part is decoded whenever it is read.
pub(crate) fn load(name: &DataName, dir: Option<&Path>, keep_mib: u64) -> Result<Dataset> {
    find(name, dir, DATA_DIR)?;
    let (dataset, skipped) = Dataset::load_readable(name, dir)?;
    if !skipped.is_empty() {
        tracing::warn!("{}", left_out(&skipped));
    }
    in_memory(dataset, keep_mib)
}

/// Keeps the parts of a folder of images that take at most `keep_mib` MiB in memory.
pub(crate) fn in_memory(dataset: Dataset, keep_mib: u64) -> Result<Dataset> {
    // A huge value just means no limit.
    Ok(dataset.into_memory(keep_mib.saturating_mul(1 << 20))?)
}

/// Says which pictures are left out.
pub(crate) fn left_out(skipped: &[BadPicture]) -> String {
    let lines = skipped.iter().map(|bad| {
        let path = bad.path.display().to_string();
        format!("\n  {}: {}", printable(&path), printable(&bad.problem))
    });
    format!(
        "left out {} that cannot be read:{}",
        counted(skipped.len(), "picture"),
        lines.collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_one_flag() {
        let name = "cifar10".parse().unwrap();
        let error = find(&name, Some(Path::new("src")), "--data").unwrap_err();
        let text = error.to_string();
        assert!(text.contains("looked for test_batch.bin in src"), "{text}");
        assert!(text.ends_with("; say where it is with --data"), "{text}");
        assert!(!text.contains(DATA_DIR), "{text}");
    }
}
