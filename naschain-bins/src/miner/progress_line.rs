//! Progress of a miner's trainings: one line at the bottom of the terminal and messages about each job
//! or, without a terminal, so few messages that the log of a service stays small.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Stderr, Write};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::clock;

/// Without a terminal, the minimum time between two log messages about one training, and between two
/// about ended jobs.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Whether this process shows the line; only `miner` does, on a terminal.
///
/// A static, because the log writer, which the logging library calls, must clear the line.
static HAS_LINE: AtomicBool = AtomicBool::new(false);
/// The text for each training, by its name.
static TRAININGS: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// Jobs that have ended since the last message about them.
static ENDED: Mutex<UnsaidJobs> = Mutex::new(UnsaidJobs {
    count: 0,
    last: String::new(),
    said: None,
});

struct UnsaidJobs {
    count: u64,
    /// The text about the last one.
    last: String,
    /// When the last message was logged.
    said: Option<Instant>,
}

impl UnsaidJobs {
    fn say(&mut self) {
        match self.count {
            0 => return,
            1 => tracing::info!("{}", self.last),
            count => tracing::info!("{count} jobs have ended, the last: {}", self.last),
        }
        self.count = 0;
    }
}

/// Enables the line if standard error is a terminal.
pub(crate) fn show() {
    HAS_LINE.store(std::io::stderr().is_terminal(), Relaxed);
}

/// Standard error for a message of the log. Clears the line first, as the message would be appended
/// to it otherwise.
pub(crate) fn stderr() -> Stderr {
    let mut stderr = std::io::stderr();
    if HAS_LINE.load(Relaxed) {
        let _ = stderr.write_all(b"\r\x1b[K");
    }
    stderr
}

/// Says that a job begins, on a terminal.
pub(crate) fn job_began(text: impl FnOnce() -> String) {
    if HAS_LINE.load(Relaxed) {
        tracing::info!("{}", text());
    } else {
        tracing::debug!("{}", text());
    }
}

/// Says that a job has ended; without a terminal in at most one message a minute for all of them.
pub(crate) fn job_ended(text: &str) {
    if HAS_LINE.load(Relaxed) {
        tracing::info!("{text}");
        return;
    }
    tracing::debug!("{text}");
    let mut ended = ENDED.lock().unwrap_or_else(PoisonError::into_inner);
    let now = clock::now();
    ended.count += 1;
    text.clone_into(&mut ended.last);
    let said = ended.said;
    if said.is_none_or(|said| now.duration_since(said) >= LOG_INTERVAL) {
        ended.say();
        ended.said = Some(now);
    }
}

/// Says what is left to be said of ended jobs, as there will be no more.
pub(crate) fn no_more_jobs() {
    ENDED.lock().unwrap_or_else(PoisonError::into_inner).say();
}

/// Progress of one training. Removed from the line when dropped.
#[derive(Debug)]
pub(crate) struct ProgressLine {
    name: String,
    epochs: u32,
    logged: Instant,
}

impl ProgressLine {
    /// A training of `epochs` epochs that has not begun.
    pub(crate) fn new(name: String, epochs: u32) -> ProgressLine {
        ProgressLine {
            name,
            epochs,
            logged: clock::now(),
        }
    }

    /// Shows that an epoch has finished.
    pub(crate) fn epoch(&mut self, number: u32, images_per_second: f64) {
        let text = self.text(number, images_per_second);
        if !HAS_LINE.load(Relaxed) {
            if self.logged.elapsed() >= LOG_INTERVAL {
                tracing::info!("{text}");
                self.logged = clock::now();
            }
            return;
        }
        let mut trainings = TRAININGS.lock().unwrap_or_else(PoisonError::into_inner);
        trainings.insert(self.name.clone(), text);
        // Under the lock, so that the lines of two trainings do not mix.
        draw(&trainings);
    }

    fn text(&self, number: u32, images_per_second: f64) -> String {
        let ProgressLine { name, epochs, .. } = self;
        format!("{name}: epoch {number} of {epochs}, {images_per_second:.0} images/s")
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        let mut trainings = TRAININGS.lock().unwrap_or_else(PoisonError::into_inner);
        if trainings.remove(&self.name).is_some() {
            draw(&trainings);
        }
    }
}

fn draw(trainings: &BTreeMap<String, String>) {
    // Progress is not worth an error.
    let _ = write!(std::io::stderr(), "\r{}\x1b[K", line(trainings));
}

fn line(trainings: &BTreeMap<String, String>) -> String {
    let texts: Vec<&str> = trainings.values().map(String::as_str).collect();
    texts.join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_shows_the_progress_of_each_training() {
        let one = ProgressLine::new("job 3".to_owned(), 10);
        let other = ProgressLine::new("job 12".to_owned(), 10);
        let mut trainings = BTreeMap::new();
        for (line, epoch, speed) in [(&one, 1, 99.6), (&other, 4, 7.2), (&one, 2, 1234.0)] {
            trainings.insert(line.name.clone(), line.text(epoch, speed));
        }
        assert_eq!(
            line(&trainings),
            "job 12: epoch 4 of 10, 7 images/s | job 3: epoch 2 of 10, 1234 images/s"
        );
    }
}
