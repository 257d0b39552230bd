//! `history.jsonl`: each evaluated genome with all rows and the verdict, one JSON object per line.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use naschain_run::ClosedJob;

use crate::journal::run_folder::write_whole;

/// The file, in the folder of a run.
pub const HISTORY_FILE: &str = "history.jsonl";

/// Appends ended jobs to the file as the run proceeds.
pub struct History {
    path: PathBuf,
    written: usize,
    bytes: u64,
}

impl History {
    /// Writes the jobs that have ended so far.
    ///
    /// The file is written from the beginning: the journal is authoritative, and the last line of
    /// an old file may be incomplete.
    pub fn start(dir: &Path, closed: &[ClosedJob]) -> Result<History> {
        let mut history = History {
            path: dir.join(HISTORY_FILE),
            written: 0,
            bytes: 0,
        };
        write_whole(&history.path, b"")?;
        history.follow(closed)?;
        Ok(history)
    }

    /// Appends the jobs that have ended since the last call. After an error the next call appends
    /// them again.
    pub fn follow(&mut self, closed: &[ClosedJob]) -> Result<()> {
        let mut text = String::new();
        for job in closed.iter().skip(self.written) {
            text += &serde_json::to_string(job)?;
            text.push('\n');
        }
        let context = || format!("cannot write {}", self.path.display());
        let open = std::fs::OpenOptions::new().append(true).open(&self.path);
        let mut file = open.with_context(context)?;
        if let Err(error) = file.write_all(text.as_bytes()) {
            // A partial line would make the whole file unreadable.
            let _ = file.set_len(self.bytes);
            return Err(error).with_context(context);
        }
        // Only after the write succeeded, so that the next call appends the same jobs again.
        self.bytes += text.len() as u64;
        self.written = closed.len();
        Ok(())
    }
}

/// Reads all jobs of the file; `None` if there is no file.
pub fn read_history(dir: &Path) -> Result<Option<Vec<ClosedJob>>> {
    let path = dir.join(HISTORY_FILE);
    let shown = path.display();
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        read => read.with_context(|| format!("cannot read {shown}"))?,
    };
    let job = |(index, line)| {
        serde_json::from_str(line)
            .with_context(|| format!("{shown}, line {}: not a finished job in JSON", index + 1))
    };
    text.lines()
        .enumerate()
        .map(job)
        .collect::<Result<_>>()
        .map(Some)
}
