//! `history.jsonl`: each evaluated genome with all rows and the verdict, one JSON object per line.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use naschain_run::EndedJob;

use crate::files::{append_whole, write_whole};

/// The file, in the folder of a run.
pub(crate) const HISTORY_FILE: &str = "history.jsonl";

/// Appends ended jobs to the file as the run proceeds.
pub struct History {
    path: PathBuf,
    written: usize,
}

impl History {
    /// Writes the jobs that have ended so far.
    ///
    /// The file is written from the beginning: the journal is authoritative, and the last line of
    /// an old file may be incomplete.
    pub fn start(dir: &Path, ended: &[EndedJob]) -> Result<History> {
        let mut history = History {
            path: dir.join(HISTORY_FILE),
            written: 0,
        };
        write_whole(&history.path, b"")?;
        history.follow(ended)?;
        Ok(history)
    }

    /// Appends the jobs that have ended since the last call. After an error the next call appends
    /// them again.
    pub fn follow(&mut self, ended: &[EndedJob]) -> Result<()> {
        let mut text = String::new();
        for job in ended.iter().skip(self.written) {
            text += &serde_json::to_string(job)?;
            text.push('\n');
        }
        if text.is_empty() {
            return Ok(());
        }
        // Never recreated here, which would lose the jobs before.
        ensure!(
            self.path.exists(),
            "{} was removed; restart the genomaster to write it again",
            self.path.display()
        );
        append_whole(&self.path, text.as_bytes())?;
        self.written = ended.len();
        Ok(())
    }
}

/// Number of jobs in the file; `None` if there is no file.
pub(crate) fn count_jobs(dir: &Path) -> Result<Option<usize>> {
    let path = dir.join(HISTORY_FILE);
    let context = || format!("cannot read {}", path.display());
    let mut file = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => BufReader::new(opened.with_context(context)?),
    };
    let mut jobs = 0;
    loop {
        // Not by lines: nothing bounds the length of one in a damaged file.
        let buffer = file.fill_buf().with_context(context)?;
        if buffer.is_empty() {
            return Ok(Some(jobs));
        }
        jobs += buffer.iter().filter(|byte| **byte == b'\n').count();
        let read = buffer.len();
        file.consume(read);
    }
}

/// Reads all jobs of the file; an error if there is no file.
pub(crate) fn existing_history(dir: &Path) -> Result<Vec<EndedJob>> {
    read_history(dir)?.with_context(|| not_evaluated(dir))
}

/// Says that a run has no results yet.
pub(crate) fn not_evaluated(dir: &Path) -> String {
    format!(
        "{}: no network has been evaluated yet; run the search again",
        dir.display()
    )
}

/// Reads all jobs of the file; `None` if there is no file.
pub(crate) fn read_history(dir: &Path) -> Result<Option<Vec<EndedJob>>> {
    let path = dir.join(HISTORY_FILE);
    let shown = path.display();
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        read => read.with_context(|| format!("cannot read {shown}"))?,
    };
    let job = |(index, line)| {
        serde_json::from_str(line)
            .with_context(|| format!("{shown}, line {}: not an ended job in JSON", index + 1))
    };
    text.lines()
        .enumerate()
        .map(job)
        .collect::<Result<_>>()
        .map(Some)
}
