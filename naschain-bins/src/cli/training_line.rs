//! The line of a miner's terminal that says how far its trainings are; where there is no terminal,
//! the same in the log.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Stderr, Write};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::clock;

/// The log is told of a training this often at most.
const LOG_PAUSE: Duration = Duration::from_secs(10);

/// Whether there is such a line in this process: only a miner's program has one.
static HAS_LINE: AtomicBool = AtomicBool::new(false);
/// What it says of each training, by name.
static TRAININGS: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// Shows trainings on standard error, if that is a terminal.
pub fn show() {
    HAS_LINE.store(std::io::stderr().is_terminal(), Relaxed);
}

/// Standard error for a line of the log, which must not be appended to the line of trainings.
pub fn stderr() -> Stderr {
    let mut stderr = std::io::stderr();
    if HAS_LINE.load(Relaxed) {
        let _ = stderr.write_all(b"\r\x1b[K");
    }
    stderr
}

/// One training of a miner; its part of the line goes with it.
#[derive(Debug)]
pub struct TrainingLine {
    name: String,
    epochs: u32,
    logged: Instant,
}

impl TrainingLine {
    /// A training of so many epochs that has not begun.
    pub fn new(name: String, epochs: u32) -> TrainingLine {
        TrainingLine {
            name,
            epochs,
            logged: clock::now(),
        }
    }

    /// An epoch is done.
    pub fn epoch(&mut self, number: u32, images_per_second: f64) {
        let text = self.text(number, images_per_second);
        if !HAS_LINE.load(Relaxed) {
            if self.logged.elapsed() >= LOG_PAUSE {
                tracing::info!("{text}");
                self.logged = clock::now();
            }
            return;
        }
        let mut trainings = TRAININGS.lock().unwrap_or_else(PoisonError::into_inner);
        trainings.insert(self.name.clone(), text);
        draw(&trainings);
    }

    fn text(&self, number: u32, images_per_second: f64) -> String {
        let TrainingLine { name, epochs, .. } = self;
        format!("{name}: epoch {number} of {epochs}, {images_per_second:.0} images/s")
    }
}

impl Drop for TrainingLine {
    fn drop(&mut self) {
        let mut trainings = TRAININGS.lock().unwrap_or_else(PoisonError::into_inner);
        if trainings.remove(&self.name).is_some() {
            draw(&trainings);
        }
    }
}

fn draw(trainings: &BTreeMap<String, String>) {
    // One that cannot be drawn is missed by nobody.
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
    fn a_line_says_how_far_each_training_is() {
        let one = TrainingLine::new("job 3".to_owned(), 10);
        let other = TrainingLine::new("job 12".to_owned(), 10);
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
