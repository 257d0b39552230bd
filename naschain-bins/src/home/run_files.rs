//! The files of a run that others may have: its settings, history, front, report and models.

use std::path::Path;

use anyhow::Result;
use naschain_core::Digest;

use crate::home::{Home, run_path};
use crate::journal::secret::SECRET_FILE;

/// What is in a run's folder and is for nobody else: its journal, which has a route of its own, and
/// files of miners that are not complete.
const PRIVATE: [&str; 5] = [
    "journal.sqlite",
    "journal.sqlite-wal",
    "journal.sqlite-shm",
    "genomaster.lock",
    "received",
];
/// Folders below that of the run, at most.
const MAX_DEPTH: usize = 3;

impl Home {
    /// Whether the files of a run are at the place that genomasters share: those of a run that goes on
    /// are in the folder of the genomaster that leads it.
    pub(crate) fn are_files_published(&self, is_open: bool) -> bool {
        self.files.are_shared() && !is_open
    }

    /// The files of a run by path, with their sizes in bytes.
    pub(crate) async fn run_files(&self, run: Digest, is_open: bool) -> Result<Vec<(String, u64)>> {
        if self.are_files_published(is_open) {
            let files = self.files.published(&run_path(run)).await?;
            return Ok(files.unwrap_or_default());
        }
        let dir = self.run_dir(run);
        let mut files = tokio::task::spawn_blocking(move || files_in(&dir)).await??;
        // From it follow the seeds of trainings: for nobody while the run goes on, and needed afterwards
        // to repeat one.
        files.retain(|(path, _)| !is_open || path != SECRET_FILE);
        Ok(files)
    }

    /// The size of one of these files; `None` if there is none with this path.
    pub(crate) async fn run_file_size(
        &self,
        run: Digest,
        is_open: bool,
        path: &str,
    ) -> Result<Option<u64>> {
        if !self.are_files_published(is_open) {
            // Only what is listed: no other path leads anywhere.
            let files = self.run_files(run, is_open).await?;
            let found = files.into_iter().find(|(file, _)| file == path);
            return Ok(found.map(|(_, size)| size));
        }
        let is_plain = |part: &str| !matches!(part, "" | "." | "..");
        if !path.split('/').all(is_plain) {
            return Ok(None);
        }
        let path = format!("{}/{path}", run_path(run));
        self.files.published_size(&path).await
    }

    /// Stores the files of a run that has ended where all genomasters find them.
    pub(crate) async fn publish_run(&self, run: Digest) -> Result<()> {
        if !self.files.are_shared() {
            return Ok(());
        }
        let dir = self.run_dir(run);
        let files = tokio::task::spawn_blocking(move || files_in(&dir)).await??;
        for (path, _) in files {
            let path = format!("{}/{path}", run_path(run));
            self.files.publish(&self.files.local(&path), &path).await?;
        }
        Ok(())
    }
}

/// The files in a folder, by path.
fn files_in(dir: &Path) -> std::io::Result<Vec<(String, u64)>> {
    let mut found = Vec::new();
    let mut folders = vec![(dir.to_owned(), String::new(), 0)];
    while let Some((folder, before, depth)) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if depth == 0 && PRIVATE.contains(&name.as_str()) {
                continue;
            }
            let (kind, path) = (entry.file_type()?, format!("{before}{name}"));
            if kind.is_dir() && depth < MAX_DEPTH {
                folders.push((entry.path(), path + "/", depth + 1));
            } else if kind.is_file() {
                found.push((path, entry.metadata()?.len()));
            }
        }
    }
    found.sort();
    Ok(found)
}
