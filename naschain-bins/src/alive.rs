//! A file with the time at which a program last did its work, for health checks.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::clock;
use crate::files::{check_writable, write_whole};

/// Minimum time between two writes.
const INTERVAL: Duration = Duration::from_secs(10);

/// Writes the time to a file, or does nothing.
#[derive(Clone, Debug, Default)]
pub struct Alive(Option<Arc<AliveFile>>);

#[derive(Debug)]
struct AliveFile {
    path: PathBuf,
    /// When it was last written.
    written: Mutex<Option<Instant>>,
}

impl Alive {
    /// Writes to this file, if there is one.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn at(path: Option<&Path>) -> Result<Alive> {
        let Some(path) = path else {
            return Ok(Alive::default());
        };
        check_writable(path)?;
        let written = Mutex::default();
        let path = path.to_owned();
        Ok(Alive(Some(Arc::new(AliveFile { path, written }))))
    }

    /// Says that work was done just now.
    pub(crate) fn beat(&self) {
        let Some(file) = &self.0 else {
            return;
        };
        let now = clock::now();
        let mut written = file.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.is_some_and(|before| now.duration_since(before) < INTERVAL) {
            return;
        }
        let seconds = clock::unix_nanos() / 1_000_000_000;
        match write_whole(&file.path, format!("{seconds}\n").as_bytes()) {
            Ok(()) => *written = Some(now),
            // The health check fails, which says it.
            Err(error) => tracing::debug!("{error:#}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_folder::test_folder;

    #[test]
    fn the_file_is_written_at_the_first_beat_and_then_at_intervals() {
        let dir = test_folder("alive");
        let file = dir.join("alive");
        let alive = Alive::at(Some(&file)).unwrap();
        assert!(!file.exists());
        alive.beat();
        let text = std::fs::read_to_string(&file).unwrap();
        let seconds: u64 = text.trim_end().parse().unwrap();
        assert!(clock::unix_nanos() / 1_000_000_000 - seconds < 60);
        std::fs::remove_file(&file).unwrap();
        // All clones of it count.
        alive.clone().beat();
        assert!(!file.exists());
        Alive::default().beat();
        let error = Alive::at(Some(&dir.join("no/alive"))).unwrap_err();
        assert!(error.to_string().contains("does not exist"), "{error}");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
