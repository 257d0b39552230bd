//! Notices that another program removed, replaced, truncated or changed a SQLite file while it is
//! open.
//!
//! SQLite keeps writing to an unlinked file, and writes beyond the end of a truncated one, without
//! an error. Comparing device, inode, size and time of the last change with what this genomaster
//! left costs microseconds, so it is done before and after each write.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

/// SQLite may shorten its write-ahead log to this many bytes (`journal_size_limit`).
pub(super) const MAX_WAL_BYTES: u64 = 64 << 20;

/// The journal's file and its write-ahead log.
pub(super) struct FileWatch {
    files: [WatchedFile; 2],
}

struct WatchedFile {
    path: PathBuf,
    seen: FileState,
    /// Size below which its owner never shortens it.
    min_bytes: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct FileState {
    /// Device and inode.
    identity: (u64, u64),
    bytes: u64,
    /// Seconds and nanoseconds of the last change.
    modified: (i64, i64),
}

impl FileWatch {
    /// Watches a file that was just written to, and its write-ahead log.
    pub(super) fn start(path: &Path) -> Result<FileWatch> {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let watched = |path: PathBuf, min_bytes| {
            let seen = state(&path)?;
            Ok::<_, anyhow::Error>(WatchedFile {
                path,
                seen,
                min_bytes,
            })
        };
        Ok(FileWatch {
            files: [
                watched(path.to_owned(), u64::MAX)?,
                watched(log.into(), MAX_WAL_BYTES)?,
            ],
        })
    }

    /// Fails unless the files are exactly as they were left.
    pub(super) fn check_unchanged(&self) -> Result<()> {
        for file in &self.files {
            let found = file.same_file()?;
            ensure!(
                found == file.seen,
                "another program changed {}: it has {} bytes now, and had {}",
                file.path.display(),
                found.bytes,
                file.seen.bytes
            );
        }
        Ok(())
    }

    /// Remembers the files as they are after a write of this genomaster. Fails if they were
    /// replaced, or are shorter than a write can leave them.
    pub(super) fn accept_write(&mut self) -> Result<()> {
        for file in &mut self.files {
            let found = file.same_file()?;
            let least = file.seen.bytes.min(file.min_bytes);
            ensure!(
                found.bytes >= least,
                "another program truncated {}: it has {} bytes now, and had {}",
                file.path.display(),
                found.bytes,
                file.seen.bytes
            );
            file.seen = found;
        }
        Ok(())
    }
}

impl WatchedFile {
    fn same_file(&self) -> Result<FileState> {
        let found = state(&self.path)?;
        ensure!(
            found.identity == self.seen.identity,
            "another program replaced {}, which this genomaster had open",
            self.path.display()
        );
        Ok(found)
    }
}

fn state(path: &Path) -> Result<FileState> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(FileState::of(&metadata)),
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(
            "another program removed or moved {}, which this genomaster had open",
            path.display()
        ),
        Err(error) => Err(error).with_context(|| format!("cannot look at {}", path.display())),
    }
}

impl FileState {
    #[cfg(unix)]
    fn of(metadata: &Metadata) -> FileState {
        use std::os::unix::fs::MetadataExt;
        FileState {
            identity: (metadata.dev(), metadata.ino()),
            bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }

    /// Other systems do not let an open file be replaced.
    #[cfg(not(unix))]
    fn of(metadata: &Metadata) -> FileState {
        FileState {
            identity: (0, 0),
            bytes: metadata.len(),
            modified: (0, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_folder::test_folder;

    #[test]
    fn a_file_that_others_touch_is_noticed() {
        let dir = test_folder("watch");
        let (file, log) = (dir.join("j"), dir.join("j-wal"));
        let start = || {
            std::fs::write(&file, b"12345678").unwrap();
            std::fs::write(&log, b"1234").unwrap();
            FileWatch::start(&file).unwrap()
        };
        let error = |result: Result<()>| result.unwrap_err().to_string();

        let mut watch = start();
        watch.check_unchanged().unwrap();
        std::fs::write(&log, b"12345").unwrap();
        watch.accept_write().unwrap();
        watch.check_unchanged().unwrap();

        std::fs::write(&log, b"123").unwrap();
        assert!(error(watch.check_unchanged()).contains("3 bytes now, and had 5"));
        assert!(error(watch.accept_write()).contains("another program truncated"));

        let mut watch = start();
        std::fs::rename(&file, dir.join("moved")).unwrap();
        assert!(error(watch.check_unchanged()).contains("removed or moved"));
        std::fs::copy(dir.join("moved"), &file).unwrap();
        assert!(error(watch.accept_write()).contains("another program replaced"));
        std::fs::rename(dir.join("moved"), &file).unwrap();
        watch.check_unchanged().unwrap();
        std::fs::remove_dir_all(dir).unwrap();
    }
}
