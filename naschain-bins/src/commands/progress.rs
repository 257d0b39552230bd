//! Progress of a run: a bar on a terminal, lines in a log, and the time that is left.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use naschain_run::{EndedJob, RunState};

use crate::clock;

/// Time between two lines of a search without a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(30);
/// For this long the expected speed still counts, because the first networks may be unusually small or
/// large.
const TRUSTED_AFTER_S: f64 = 10.0;

/// Estimates how much of a run's work is done, in FLOPs: those of trainings are known exactly, and
/// running trainings report their epochs.
struct Estimate {
    /// Number of ended jobs that `ended_flops` counts, one training of each.
    ended: usize,
    ended_flops: f64,
    started: Instant,
    /// At the first look.
    done_before: Option<f64>,
    /// FLOPs per second that this machine can do, where the miners run on it.
    expected_rate: Option<f64>,
}

/// What is left of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Left {
    /// The share that is done, 0 to 1.
    done: f64,
    /// `None` until it can be estimated.
    time: Option<Duration>,
}

impl Estimate {
    fn new(expected_rate: Option<f64>) -> Estimate {
        Estimate {
            ended: 0,
            ended_flops: 0.0,
            started: clock::now(),
            done_before: None,
            expected_rate,
        }
    }

    /// Notes what is done at the first look.
    fn begin(&mut self, state: &RunState) {
        if self.done_before.is_none() {
            self.done_before = Some(self.work(state).0);
        }
    }

    fn update(&mut self, state: &RunState) -> Left {
        let (done, total) = self.work(state);
        let before = self.done_before.unwrap_or(0.0);
        let elapsed_s = clock::now().duration_since(self.started).as_secs_f64();
        Left {
            done: if total > 0.0 { done / total } else { 0.0 },
            time: time_left(done - before, total - done, elapsed_s, self.expected_rate),
        }
    }

    /// FLOPs that are done, and of the whole search. Genomes that are not known yet count as the
    /// average of those that are.
    fn work(&mut self, state: &RunState) -> (f64, f64) {
        let spec = state.spec();
        let ended = state.ended_jobs();
        for job in ended.iter().skip(self.ended) {
            self.ended_flops += spec.training_flops(&job.genome) as f64;
        }
        self.ended = ended.len();
        let seats = spec.rules.seats as f64;
        let (mut known, mut flops, mut done) = (ended.len(), self.ended_flops, self.ended_flops);
        for (_, of_job, seats_done) in state.board().work() {
            known += 1;
            flops += of_job as f64;
            done += of_job as f64 * seats_done.min(seats) / seats;
        }
        let networks = state.max_networks().max(known) as f64;
        let total = flops / known.max(1) as f64 * networks;
        (done * seats, (total * seats).max(done * seats))
    }
}

/// The time that `rest` FLOPs take, if `done` took `elapsed_s` seconds.
fn time_left(done: f64, rest: f64, elapsed_s: f64, expected_rate: Option<f64>) -> Option<Duration> {
    let rate = match expected_rate {
        Some(expected) => (done + expected * TRUSTED_AFTER_S) / (elapsed_s + TRUSTED_AFTER_S),
        None if elapsed_s > 0.0 => done / elapsed_s,
        None => 0.0,
    };
    Duration::try_from_secs_f64(rest / rate).ok()
}

/// A duration in words, such as `7 min`: estimates are not known to the second.
pub(crate) fn about(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (value, unit) = match seconds {
        s if s < 90.0 => (s, "s"),
        s if s < 90.0 * 60.0 => (s / 60.0, "min"),
        s if s < 36.0 * 3600.0 => (s / 3600.0, "h"),
        s => (s / 86_400.0, "days"),
    };
    format!("{value:.0} {unit}")
}

/// Where progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProgressOutput {
    /// A bar on a terminal.
    Bar,
    /// A line in the log now and then.
    Lines,
    /// A line for each verdict.
    Verdicts,
}

/// Shows the progress of a run.
pub(crate) struct Progress {
    place: ProgressOutput,
    bar: ProgressBar,
    estimate: Estimate,
    shown: Instant,
    /// Number of verdicts that were logged.
    verdicts: usize,
}

impl Progress {
    /// Of a search in one process that does `expected_rate` FLOPs per second.
    pub(crate) fn of_search(expected_rate: Option<f64>) -> Progress {
        let terminal = std::io::stderr().is_terminal();
        let place = if terminal {
            ProgressOutput::Bar
        } else {
            ProgressOutput::Lines
        };
        Progress::new(place, expected_rate, 0)
    }

    /// Of a served run with this many ended jobs: every further verdict is logged.
    pub(crate) fn of_server(ended: usize) -> Progress {
        Progress::new(ProgressOutput::Verdicts, None, ended)
    }

    fn new(place: ProgressOutput, expected_rate: Option<f64>, verdicts: usize) -> Progress {
        let bar = bar(1_000, "{bar:30} {msg}");
        if place == ProgressOutput::Bar {
            bar.enable_steady_tick(Duration::from_millis(250));
        }
        Progress {
            place,
            bar,
            estimate: Estimate::new(expected_rate),
            shown: clock::now(),
            verdicts,
        }
    }

    /// Shows the state of the run.
    pub(crate) fn show(&mut self, state: &RunState) {
        self.estimate.begin(state);
        match self.place {
            ProgressOutput::Bar => {
                let left = self.estimate.update(state);
                self.bar.set_position((left.done * 1_000.0) as u64);
                self.bar.set_message(summary(state, left));
            }
            ProgressOutput::Lines => {
                let now = clock::now();
                if now.duration_since(self.shown) >= LINE_INTERVAL {
                    self.shown = now;
                    tracing::info!("{}", summary(state, self.estimate.update(state)));
                }
            }
            ProgressOutput::Verdicts => {
                let new = state.ended_jobs().iter().skip(self.verdicts);
                let lines: Vec<String> = new.map(verdict).collect();
                self.verdicts += lines.len();
                if let Some((last, others)) = lines.split_last() {
                    for line in others {
                        tracing::info!("{line}");
                    }
                    let left = self.estimate.update(state);
                    tracing::info!("{last}; {}", summary(state, left));
                }
            }
        }
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// How a job ended.
fn verdict(ended: &EndedJob) -> String {
    let agreed = ended
        .verdict
        .agreed
        .iter()
        .filter(|agreed| **agreed)
        .count();
    let result = match (ended.result(), &ended.failure) {
        (Some(m), _) => format!(
            "{agreed} of {} agree on {} %, {} parameters, {} FLOPs",
            ended.rows.len(),
            m.accuracy,
            m.params,
            m.flops
        ),
        (None, Some(failure)) => format!("failed: {failure}"),
        (None, None) => "no answers agree".to_owned(),
    };
    let text = format!("job {} of genome {}: {result}", ended.job, ended.genome);
    crate::printable::printable(&text).to_string()
}

/// One line about a run.
fn summary(state: &RunState, left: Left) -> String {
    let spec = state.spec();
    let best = state.best().and_then(|job| job.verdict.consensus);
    let best = best.map_or(String::new(), |m| format!(", best {} %", m.accuracy));
    let generations = state.search().config().generations;
    let generation = state.search().generation().min(generations);
    let networks = state.max_networks();
    let mut text = format!(
        "{} of {networks} networks, generation {generation} of {generations}{best}",
        state.ended_jobs().len()
    );
    let epochs = running_epochs(state);
    if !epochs.is_empty() {
        text += &format!(", in training: epoch {epochs} of {}", spec.recipe.epochs);
    }
    match left.time {
        Some(time) if left.done < 1.0 => text + &format!(", about {} left", about(time)),
        _ => text,
    }
}

/// Epochs of running trainings, such as `3, 7, 1`.
fn running_epochs(state: &RunState) -> String {
    let leases = state.board().leases();
    let epochs = leases.filter_map(|(lease, _, _)| state.board().last_heartbeat(lease));
    let mut texts: Vec<String> = epochs.map(|(_, epoch, _)| epoch.to_string()).collect();
    let more = texts.len().saturating_sub(8);
    if more > 0 {
        texts.truncate(8);
        texts.push(format!("and {more} more"));
    }
    texts.join(", ")
}

/// A bar on standard error, hidden unless that is a terminal: in a file or a pipe its control
/// characters would only be noise.
pub(crate) fn bar(length: u64, template: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_moves_from_the_expected_to_the_measured_speed() {
        let seconds = |done, elapsed_s, expected| {
            let time = time_left(done, 1_000.0, elapsed_s, expected);
            time.map(|time| time.as_secs_f64())
        };
        assert_eq!(seconds(0.0, 0.0, None), None);
        assert_eq!(seconds(0.0, 5.0, None), None);
        assert_eq!(seconds(50.0, 5.0, None), Some(100.0));
        assert_eq!(seconds(0.0, 0.0, Some(20.0)), Some(50.0));
        // After ten minutes at half of the expected speed.
        let late = seconds(6_000.0, 600.0, Some(20.0)).unwrap();
        assert!((95.0..100.0).contains(&late), "{late}");
    }

    #[test]
    fn durations_are_rounded() {
        for (seconds, text) in [
            (0, "0 s"),
            (89, "89 s"),
            (100, "2 min"),
            (3_600, "60 min"),
            (7_200, "2 h"),
            (200_000, "2 days"),
        ] {
            assert_eq!(about(Duration::from_secs(seconds)), text);
        }
    }
}
