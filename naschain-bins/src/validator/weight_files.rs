//! The weights of each epoch, as JSON files.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use naschain_core::Digest;
use serde::{Deserialize, Serialize};

use crate::files::write_whole;
use crate::validator::uids::Uids;
use naschain_run::EpochWeights;

/// A folder of one file per epoch, or one file for the latest epoch: a dry run, or a record of the
/// weights that were set.
#[derive(Clone, Debug)]
pub(crate) struct WeightFiles {
    path: PathBuf,
    uids: Uids,
}

/// Contents of a file.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    #[serde(flatten)]
    epoch: EpochWeights,
    /// The vector for the chain: uids, and `values` with their weights in the same order.
    uids: Vec<u16>,
    values: Vec<u16>,
}

impl WeightFiles {
    /// A path that ends in `.json` is one file; any other is a folder, which is created.
    pub(crate) fn new(path: &Path, uids: Uids) -> Result<WeightFiles> {
        let path = path.to_owned();
        let files = WeightFiles { path, uids };
        if !files.is_single_file() {
            let created = std::fs::create_dir_all(&files.path);
            created.with_context(|| format!("cannot create {}", files.path.display()))?;
        }
        Ok(files)
    }

    /// Files for another run: in a subfolder, or beside the single file, so that they do not
    /// overwrite the records of this run.
    pub(crate) fn of_run(&self, run: Digest) -> Result<WeightFiles> {
        let path = if self.is_single_file() {
            self.path.with_file_name(format!("{run}.json"))
        } else {
            self.path.join(run.to_string())
        };
        tracing::warn!("weights of run {run} are written to {}", path.display());
        WeightFiles::new(&path, self.uids.clone())
    }

    fn is_single_file(&self) -> bool {
        self.path.extension().is_some_and(|end| end == "json")
    }

    fn file(&self, epoch: usize) -> PathBuf {
        if self.is_single_file() {
            self.path.clone()
        } else {
            self.path.join(format!("epoch-{epoch:06}.json"))
        }
    }

    /// Whether this epoch, or a later one in a single file, was already written. A restarted
    /// validator thereby knows which weights it has set.
    ///
    /// # Errors
    /// If the file belongs to another run or cannot be read.
    pub(crate) fn has(&self, epoch: &EpochWeights) -> Result<bool> {
        let file = self.file(epoch.epoch);
        if !file.exists() {
            return Ok(false);
        }
        let shown = file.display();
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("cannot read {shown}"))?;
        let record: Record = serde_json::from_str(&text)
            .with_context(|| format!("{shown} is not a record of weights"))?;
        ensure!(
            // Epochs of every run are numbered from 1, so a number alone does not identify one.
            record.epoch.run == epoch.run,
            "{shown} belongs to run {}; use another --weights-out for run {}",
            record.epoch.run,
            epoch.run
        );
        // A single file has only the latest epoch, so it stands for all earlier ones too.
        Ok(record.epoch.epoch >= epoch.epoch)
    }

    /// Writes the weights of an epoch.
    pub(crate) async fn set(&self, epoch: &EpochWeights) -> Result<()> {
        let (uids, values) = self.uids.vector(epoch);
        let epoch = epoch.clone();
        let file = self.file(epoch.epoch);
        let record = Record {
            epoch,
            uids,
            values,
        };
        write_whole(&file, serde_json::to_string_pretty(&record)?.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_folder::test_folder;
    use crate::validator::uids::tests::{ALICE, epoch};

    #[tokio::test]
    async fn each_epoch_or_only_the_latest_is_written() {
        let dir = test_folder("weight-files");
        let uids = Uids::parse(&format!("{ALICE} 12")).unwrap();
        let uids = uids.with_legacy(true);
        let folder = WeightFiles::new(&dir.join("all"), uids.clone()).unwrap();
        let latest = WeightFiles::new(&dir.join("latest.json"), uids).unwrap();
        for files in [&folder, &latest] {
            for number in 1..=2 {
                assert!(!files.has(&epoch(number)).unwrap());
                files.set(&epoch(number)).await.unwrap();
                assert!(files.has(&epoch(number)).unwrap());
            }
            assert!(files.has(&epoch(1)).unwrap() && !files.has(&epoch(3)).unwrap());
            let other = EpochWeights {
                run: Digest([2; 32]),
                ..epoch(2)
            };
            assert!(files.has(&other).is_err());
        }
        assert_eq!(std::fs::read_dir(dir.join("all")).unwrap().count(), 2);
        let text = std::fs::read_to_string(dir.join("latest.json")).unwrap();
        let record: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&record["epoch"], &record["uids"][1], &record["values"][1]),
            (&2.into(), &12.into(), &65_535.into())
        );
        std::fs::remove_dir_all(dir).unwrap();
    }
}
