//! Writes files so that a crash or a power failure leaves the old content or the new one.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};

/// Writes a file atomically: a reader, or a restart after a crash or a power failure, finds the old
/// content or the new one, never a part.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    // In the same folder, because renaming is atomic only within one file system.
    let partial = path.with_extension("partial");
    let written = File::create(&partial).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let renamed = written.and_then(|()| std::fs::rename(&partial, path));
    if let Err(error) = renamed {
        let _ = std::fs::remove_file(&partial);
        return Err(unwritable(path, error));
    }
    sync_folder(path)
}

/// The first line of a file, such as one with a password or a token.
pub(crate) fn first_line(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file);
    let text = text.with_context(|| format!("cannot read {}", file.display()))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Fails as [`write_whole`] would, for a file that is written only after long work.
pub(crate) fn check_writable(path: &Path) -> Result<()> {
    let partial = path.with_extension("partial");
    let created = File::create(&partial).and_then(|_| std::fs::remove_file(&partial));
    created.map_err(|error| unwritable(path, error))
}

/// The error of a file that cannot be written: it names the file and the reason, not the temporary
/// file beside it.
fn unwritable(path: &Path, error: std::io::Error) -> anyhow::Error {
    let folder = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let shown = path.display();
    match folder {
        Some(dir) if !dir.exists() => anyhow!(
            "cannot write {shown}: the folder {} does not exist",
            dir.display()
        ),
        Some(dir) if !dir.is_dir() => {
            anyhow!("cannot write {shown}: {} is not a folder", dir.display())
        }
        _ => anyhow::Error::new(error).context(format!("cannot write {shown}")),
    }
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

/// The folder for what a program remembers: `naschain/PROGRAM` in `$XDG_STATE_HOME` or
/// `~/.local/state`; `None` if neither variable is set.
pub(crate) fn user_state_folder(program: &str) -> Option<PathBuf> {
    let state = user_folder("XDG_STATE_HOME", ".local/state")?;
    Some(state.join("naschain").join(program))
}

/// The folder for downloaded data sets: `naschain/data` in `$XDG_CACHE_HOME` or `~/.cache`; `None` if
/// neither variable is set.
pub(crate) fn user_data_cache() -> Option<PathBuf> {
    Some(user_folder("XDG_CACHE_HOME", ".cache")?.join("naschain/data"))
}

/// The folder that a variable names, or else the one of this name in the user's home.
fn user_folder(variable: &str, in_home: &str) -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let own = set(variable).map(PathBuf::from);
    own.or_else(|| set("HOME").map(|home| Path::new(&home).join(in_home)))
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

/// Deletes the oldest files, and folders of files, in a folder until it has at most this size; never
/// `newest`.
pub(crate) fn delete_oldest(dir: &Path, most_bytes: u64, newest: &Path) {
    let entries = |dir: &Path| std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries(dir)
        .filter_map(|entry| {
            let data = entry.metadata().ok()?;
            let files = entries(&entry.path()).filter_map(|file| file.metadata().ok());
            let bytes = if data.is_dir() {
                files.map(|file| file.len()).sum()
            } else {
                data.len()
            };
            Some((data.modified().ok()?, bytes, entry.path()))
        })
        .collect();
    found.sort();
    let mut bytes: u64 = found.iter().map(|(_, bytes, _)| bytes).sum();
    for (_, size, path) in found {
        if bytes <= most_bytes {
            return;
        }
        let is_deleted = path != newest
            && (std::fs::remove_file(&path).is_ok() || std::fs::remove_dir_all(&path).is_ok());
        bytes -= if is_deleted { size } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_folder::test_folder;

    #[test]
    fn errors_name_the_file_that_was_asked_for() {
        let dir = test_folder("files");
        let file = dir.join("file");
        write_whole(&file, b"x").unwrap();
        check_writable(&file).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"x");
        let below = |name: &str| dir.join(name).join("a.onnx");
        for (path, reason) in [
            (below("none"), "none does not exist"),
            (below("file"), "file is not a folder"),
        ] {
            for error in [
                write_whole(&path, b"").unwrap_err(),
                check_writable(&path).unwrap_err(),
            ] {
                let error = error.to_string();
                let start = format!("cannot write {}", path.display());
                assert!(error.starts_with(&start), "{error}");
                assert!(error.contains(reason), "{error}");
                assert!(!error.contains("partial"), "{error}");
            }
        }
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn the_oldest_entries_are_deleted_and_the_newest_stays() {
        let dir = test_folder("oldest");
        let (first, second, newest) = (dir.join("first"), dir.join("second"), dir.join("newest"));
        let old = |path: &Path, seconds| {
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            File::open(path).unwrap().set_modified(time).unwrap();
        };
        std::fs::create_dir(&first).unwrap();
        std::fs::write(first.join("file"), [0; 40]).unwrap();
        std::fs::write(&second, [0; 30]).unwrap();
        std::fs::write(&newest, [0; 50]).unwrap();
        old(&first, 2);
        old(&second, 3);
        old(&newest, 1);
        delete_oldest(&dir, 120, &newest);
        assert!(first.exists());
        delete_oldest(&dir, 90, &newest);
        assert!(!first.exists() && second.exists());
        delete_oldest(&dir, 1, &newest);
        assert!(!second.exists() && newest.exists());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
