//! Repeating a search in which networks failed for lack of memory, once the limit admits them.
//!
//! The earlier journal and history are moved into a folder of their own. The search then starts
//! over; for each network with a stored result its miners submit that result instead of training,
//! because a training gives the same bits each time. All other networks are trained as usual, so the
//! search has the history that it would have had without the limit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use naschain_consensus::Row;
use naschain_core::{Genome, Measurement};
use naschain_run::{EndedJob, RunSpec};
use naschain_train::{Options, training_memory_bytes};

use crate::artifacts::history::{HISTORY_FILE, read_history};
use crate::files::{create_folder, sync_folder};

/// Files that make up the history of a run in its folder, in the order in which they are moved. After a
/// crash between two of them the run resumes from what is left of its journal; a history without a
/// journal would be refused.
const FILES: [&str; 4] = [
    HISTORY_FILE,
    "journal.sqlite-wal",
    "journal.sqlite-shm",
    "journal.sqlite",
];

/// Whether a network failed because its training needs more memory than the limit.
pub(crate) fn lacked_memory(job: &EndedJob) -> bool {
    let says_so = |row: &Row| matches!(row, Row::Failed(reason) if is_memory_limit(reason));
    job.result().is_none() && job.rows.iter().any(|(_, row)| says_so(row))
}

/// Whether a reason is the text of [`naschain_train::Error::MemoryLimit`].
fn is_memory_limit(reason: &str) -> bool {
    reason.contains("MiB of memory")
}

/// Moves the history of a search away if it has networks that failed for lack of memory and fit into
/// the limit of `options`. Returns their number.
///
/// # Errors
/// If a file cannot be moved.
pub(crate) fn start_over(dir: &Path, spec: &RunSpec, options: Options) -> Result<usize> {
    let ended = match read_history(dir) {
        Ok(ended) => ended.unwrap_or_default(),
        // Its last line may be incomplete. The journal has everything, and the start writes it again.
        Err(error) => {
            tracing::warn!("{error:#}; networks that failed for lack of memory are not retried");
            return Ok(0);
        }
    };
    let now_fit = ended.iter().filter(|job| now_fits(job, spec, options));
    let count = now_fit.count();
    if count == 0 {
        return Ok(0);
    }
    let earlier = earlier_folder(dir, earlier_folders(dir).count());
    create_folder(&earlier)?;
    for name in FILES {
        let from = dir.join(name);
        if from.exists() {
            let to = earlier.join(name);
            std::fs::rename(&from, &to)
                .with_context(|| format!("cannot move {} to {}", from.display(), to.display()))?;
        }
    }
    sync_folder(&earlier.join(HISTORY_FILE))?;
    sync_folder(&dir.join(HISTORY_FILE))?;
    Ok(count)
}

/// The results in the histories that [`start_over`] moved away.
///
/// # Errors
/// If a history cannot be read.
pub(crate) fn earlier_results(dir: &Path) -> Result<BTreeMap<Genome, Measurement>> {
    let mut results = BTreeMap::new();
    for earlier in earlier_folders(dir) {
        for job in read_history(&earlier)?.unwrap_or_default() {
            if let Some(measurement) = job.result() {
                results.insert(job.genome, measurement);
            }
        }
    }
    Ok(results)
}

fn now_fits(job: &EndedJob, spec: &RunSpec, options: Options) -> bool {
    let needed_bytes = spec
        .space
        .decode(&job.genome)
        .map(|architecture| training_memory_bytes(&architecture, &spec.recipe, options.threads));
    let limit_bytes = options.memory_limit_bytes.unwrap_or(u64::MAX);
    lacked_memory(job) && needed_bytes.is_ok_and(|needed_bytes| needed_bytes <= limit_bytes)
}

fn earlier_folders(dir: &Path) -> impl Iterator<Item = PathBuf> {
    let folders = (0..).map(move |number| earlier_folder(dir, number));
    folders.take_while(|folder| folder.exists())
}

fn earlier_folder(dir: &Path, number: usize) -> PathBuf {
    dir.join(format!("earlier-{}", number + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use naschain_train::Error;

    #[test]
    fn the_reason_of_a_training_without_enough_memory_is_recognised() {
        let too_large = Error::MemoryLimit {
            batch_size: 32,
            needed_bytes: 3 << 20,
            limit_bytes: 1 << 20,
        };
        assert!(is_memory_limit(&too_large.to_string()), "{too_large}");
        let stopped = Error::Stopped { epoch: 2 };
        assert!(!is_memory_limit(&stopped.to_string()), "{stopped}");
    }
}
