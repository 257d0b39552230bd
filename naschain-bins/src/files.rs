//! Writes files so that a crash or a power failure leaves the old content or the new one.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

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
