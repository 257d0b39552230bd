//! A miner's outbox: a folder that holds each answer from the end of its training until its
//! delivery.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use naschain_consensus::{JobId, LeaseId, MinerId, Row};
use naschain_core::Digest;
use serde::{Deserialize, Serialize};

use crate::files::write_whole;

/// An answer that the genomaster may not have received.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The miner.
    pub miner: MinerId,
    /// The run.
    pub run: Digest,
    /// The job.
    #[serde(rename = "batch")]
    pub job: JobId,
    /// The lease of the job.
    pub lease: LeaseId,
    /// The result.
    pub row: Row,
}

impl Answer {
    fn path(&self, dir: &Path) -> PathBuf {
        // Lease numbers start again in every run, so the name contains the run.
        let run = &self.run.to_string()[..16];
        dir.join(format!("{}-{run}-{}.json", self.miner, self.lease.0))
    }

    /// Writes it into the outbox `dir`.
    pub fn store(&self, dir: &Path) -> Result<()> {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        write_whole(&self.path(dir), serde_json::to_string(self)?.as_bytes())
    }

    /// Deletes it from the outbox `dir`.
    pub fn remove(&self, dir: &Path) {
        // There is no file if it could not be stored.
        let _ = std::fs::remove_file(self.path(dir));
    }
}

/// The answers of a miner in the outbox `dir`, in the order of leases. Logs a warning for a file
/// that is not an answer.
pub(crate) fn pending(dir: &Path, miner: &MinerId) -> Vec<Answer> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let paths = paths.filter(|path| path.extension().is_some_and(|end| end == "json"));
    let read = |path: PathBuf| -> Option<Answer> {
        let text = std::fs::read_to_string(&path).ok()?;
        let answer = serde_json::from_str(&text);
        if let Err(error) = &answer {
            tracing::warn!(
                "{} is ignored, because it is not a stored answer: {error}",
                path.display()
            );
        }
        answer.ok()
    };
    let mut answers: Vec<Answer> = paths.filter_map(read).collect();
    answers.retain(|answer| answer.miner == *miner);
    answers.sort_by_key(|answer| answer.lease);
    answers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_folder::test_folder;

    #[test]
    fn answers_are_pending_until_removed() {
        let dir = test_folder("outbox");
        let answer = |miner: &str, lease| Answer {
            miner: miner.parse().unwrap(),
            run: Digest([7; 32]),
            job: JobId(1),
            lease: LeaseId(lease),
            row: Row::Failed("it".to_owned()),
        };
        let (ada, later, bob) = (answer("ada", 2), answer("ada", 10), answer("bob", 3));
        for answer in [&later, &bob, &ada] {
            answer.store(&dir).unwrap();
        }
        std::fs::write(dir.join("broken.json"), "{").unwrap();
        let name = "ada".parse().unwrap();
        assert_eq!(pending(&dir, &name), [ada.clone(), later.clone()]);
        ada.remove(&dir);
        assert_eq!(pending(&dir, &name), [later]);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
