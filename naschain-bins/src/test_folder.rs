//! Temporary folders of unit tests.

use std::path::PathBuf;

/// An empty folder of this process, for the one test that has this name. The test removes it.
pub(crate) fn test_folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("naschain-{name}-{}", std::process::id()));
    // An interrupted process that had the same number may have left one.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
