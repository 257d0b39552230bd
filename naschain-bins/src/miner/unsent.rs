//! A miner's answers on disk, from the end of a training until the genomaster has taken them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use naschain_consensus::{JobId, LeaseId, MinerId, Row};
use naschain_core::Digest;
use serde::{Deserialize, Serialize};

use crate::journal::run_folder::write_whole;

/// An answer that the genomaster may not have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Who answers.
    pub miner: MinerId,
    /// In which run.
    pub run: Digest,
    /// For which job.
    #[serde(rename = "batch")]
    pub job: JobId,
    /// Under which lease.
    pub lease: LeaseId,
    /// What.
    pub row: Row,
}

impl Answer {
    fn path(&self, dir: &Path) -> PathBuf {
        let run = &self.run.to_string()[..16];
        dir.join(format!("{}-{run}-{}.json", self.miner, self.lease.0))
    }

    /// Writes it into the folder.
    pub fn keep(&self, dir: &Path) -> Result<()> {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        write_whole(&self.path(dir), serde_json::to_string(self)?.as_bytes())
    }

    /// Deletes it from the folder.
    pub fn forget(&self, dir: &Path) {
        // It is not there if it could not be written.
        let _ = std::fs::remove_file(self.path(dir));
    }
}

/// The answers of a miner in a folder, by lease. A file that is no answer is left alone, with a
/// warning.
pub fn kept(dir: &Path, miner: &MinerId) -> Vec<Answer> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let paths = paths.filter(|path| path.extension().is_some_and(|end| end == "json"));
    let read = |path: PathBuf| -> Option<Answer> {
        let text = std::fs::read_to_string(&path).ok()?;
        let answer = serde_json::from_str(&text);
        if let Err(error) = &answer {
            tracing::warn!("{} is no answer: {error}", path.display());
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

    #[test]
    fn answers_are_kept_until_they_are_forgotten() {
        let dir = std::env::temp_dir().join(format!("naschain-unsent-{}", std::process::id()));
        let answer = |miner: &str, lease| Answer {
            miner: miner.parse().unwrap(),
            run: Digest([7; 32]),
            job: JobId(1),
            lease: LeaseId(lease),
            row: Row::Failed("it".to_owned()),
        };
        let (ada, later, bob) = (answer("ada", 2), answer("ada", 10), answer("bob", 3));
        for answer in [&later, &bob, &ada] {
            answer.keep(&dir).unwrap();
        }
        std::fs::write(dir.join("broken.json"), "{").unwrap();
        let name = "ada".parse().unwrap();
        assert_eq!(kept(&dir, &name), [ada.clone(), later.clone()]);
        ada.forget(&dir);
        assert_eq!(kept(&dir, &name), [later]);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
