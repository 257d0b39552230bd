//! The lock on a run's folder, which one genomaster holds as long as it runs.
//!
//! The store of the journal has a lock of its own, but `run.json`, the history and the models in
//! the folder belong to one process, wherever the journal is.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::files::create_folder;

/// The file that is locked. It stays in the folder: only the lock on it counts, and that ends with
/// the process, however it ends.
const LOCK_FILE: &str = "genomaster.lock";

/// A locked folder; dropping it unlocks the folder.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Locks a folder, which is created if it is missing.
    pub(crate) fn take(dir: &Path) -> Result<FolderLock> {
        create_folder(dir)?;
        let path = dir.join(LOCK_FILE);
        let opened = File::options().create(true).append(true).open(&path);
        let file = opened.with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(
                "another genomaster is running on the folder {}; give each genomaster a folder of its own with --out or --home, also where they share a --store",
                dir.display()
            ),
            // A network file system without locks. The journal has its own.
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
                tracing::warn!(
                    "the file system of {} has no locks: make sure that no other genomaster uses this folder",
                    dir.display()
                );
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        Ok(FolderLock { _file: file })
    }
}

/// Whether a genomaster holds the lock of a folder. Where the file system has no locks, it seems
/// that none does.
pub(crate) fn is_locked(dir: &Path) -> Result<bool> {
    let path = dir.join(LOCK_FILE);
    let file = match File::options().append(true).open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        opened => opened.with_context(|| format!("cannot open {}", path.display()))?,
    };
    Ok(matches!(
        file.try_lock_shared(),
        Err(TryLockError::WouldBlock)
    ))
}
