//! Reading the data set of a run.

use std::path::Path;

use anyhow::Result;
use naschain_train::{BadPicture, DataName, Dataset};

use crate::printable::{counted, printable};

/// Default of `--keep-images`, in MiB.
pub(crate) const KEEP_MIB: u64 = 1024;

/// Loads a data set for a run, without pictures that cannot be read: its digest then shows whether
/// it is the run's.
///
/// A part (train, val) of a folder of images is kept decoded in memory if it takes at most `keep_mib`
/// MiB; a larger part is decoded whenever it is read.
pub(crate) fn load(name: &DataName, dir: Option<&Path>, keep_mib: u64) -> Result<Dataset> {
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
