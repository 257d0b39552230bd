//! Progress of a run: a bar on a terminal, lines in a log, and the time that is left.

mod estimate;
mod front_work;

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use naschain_run::{EndedJob, RunState};

use crate::artifacts::extent::work_done;
use crate::artifacts::workload::Workload;
use crate::clock;
use crate::printable::{about_from_1_s, printable};
pub(crate) use estimate::time_left;
use estimate::{Estimate, Left};
pub(crate) use front_work::FrontWork;

/// Time between two lines of a search without a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(30);
/// Time until the first line, so that a log soon shows that there is progress.
const FIRST_LINE: Duration = Duration::from_secs(6);

/// Least time between two lines about verdicts, so that the log of a day stays below 10 MB however many
/// jobs end.
const VERDICT_INTERVAL: Duration = Duration::from_secs(5);

/// Where progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProgressOutput {
    /// A bar on a terminal.
    Bar,
    /// A line in the log now and then.
    Lines,
    /// A line for each verdict, or for several that come at once.
    Verdicts,
    /// Nowhere.
    Hidden,
}

/// Shows the progress of a run.
pub(crate) struct Progress {
    place: ProgressOutput,
    bar: ProgressBar,
    estimate: Estimate,
    lines: LineTimes,
    /// Whether the training of the front's models is shown.
    at_front: bool,
    /// Number of verdicts that were logged, or counted in a line.
    verdicts: usize,
}

/// When lines are due.
struct LineTimes {
    started: Instant,
    latest: Option<Instant>,
}

impl LineTimes {
    /// Whether a line is due: the first one after [`FIRST_LINE`], and at once if `news` are to be told
    /// after that.
    fn is_due(&mut self, now: Instant, news: bool) -> bool {
        let due = match self.latest {
            Some(latest) => news || now.duration_since(latest) >= LINE_INTERVAL,
            None => now.duration_since(self.started) >= FIRST_LINE,
        };
        if due {
            self.latest = Some(now);
        }
        due
    }

    /// Whether a line about a verdict is due.
    fn is_verdict_due(&mut self, now: Instant) -> bool {
        let waited = |latest| now.duration_since(latest) >= VERDICT_INTERVAL;
        let due = self.latest.is_none_or(waited);
        if due {
            self.latest = Some(now);
        }
        due
    }
}

impl Progress {
    /// Of a search in one process that does `expected_rate` FLOPs per second.
    pub(crate) fn of_search(load: Workload, expected_rate: Option<f64>) -> Progress {
        let terminal = std::io::stderr().is_terminal();
        let place = if terminal {
            ProgressOutput::Bar
        } else {
            ProgressOutput::Lines
        };
        Progress::new(place, Estimate::new(load, expected_rate), 0)
    }

    /// Of a served run with this many ended jobs: further verdicts are logged.
    pub(crate) fn of_server(load: Workload, ended: usize) -> Progress {
        Progress::new(ProgressOutput::Verdicts, Estimate::new(load, None), ended)
    }

    /// Of one of many runs, which is not shown.
    pub(crate) fn hidden(load: Workload) -> Progress {
        Progress::new(ProgressOutput::Hidden, Estimate::new(load, None), 0)
    }

    fn new(place: ProgressOutput, estimate: Estimate, verdicts: usize) -> Progress {
        Progress {
            place,
            bar: progress_bar(place),
            lines: LineTimes {
                started: clock::now(),
                latest: None,
            },
            estimate,
            at_front: false,
            verdicts,
        }
    }

    /// Shows the state of the run.
    pub(crate) fn show(&mut self, state: &RunState) {
        let left = self.estimate.update(state);
        match self.place {
            ProgressOutput::Bar => {
                self.bar.set_position((left.done * 1_000.0) as u64);
                self.bar.set_message(summary(state, left));
            }
            ProgressOutput::Lines => {
                if self.lines.is_due(clock::now(), false) {
                    tracing::info!("{}", summary(state, left));
                }
            }
            ProgressOutput::Verdicts => {
                let ended = state.ended_jobs();
                let new = ended.len().saturating_sub(self.verdicts);
                let Some(last) = ended.last().filter(|_| new > 0) else {
                    return;
                };
                if self.lines.is_verdict_due(clock::now()) || state.is_finished() {
                    self.verdicts = ended.len();
                    let line = verdicts(new, last);
                    tracing::info!("{line}; {}", summary(state, left));
                }
            }
            ProgressOutput::Hidden => {}
        }
    }

    /// Shows the training of the front's models, once it has begun.
    pub(crate) fn show_front(&mut self, work: &FrontWork) {
        if !work.has_begun() || self.place == ProgressOutput::Hidden {
            return;
        }
        let begins = !std::mem::replace(&mut self.at_front, true);
        if begins && self.place == ProgressOutput::Bar {
            self.bar.finish_and_clear();
            self.bar = progress_bar(self.place);
        }
        let expected = match self.place {
            // The speed of other machines says nothing about this one.
            ProgressOutput::Verdicts | ProgressOutput::Hidden => None,
            ProgressOutput::Bar | ProgressOutput::Lines => self.estimate.rate(),
        };
        let left = work.left(expected);
        let text = || front_summary(work, left);
        if self.place == ProgressOutput::Bar {
            self.bar.set_position((left.done * 1_000.0) as u64);
            self.bar.set_message(text());
        } else if self.lines.is_due(clock::now(), begins) {
            tracing::info!("{}", text());
        }
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn progress_bar(place: ProgressOutput) -> ProgressBar {
    let bar = bar(1_000, "{bar:30} {msg}");
    if place == ProgressOutput::Bar {
        bar.enable_steady_tick(Duration::from_millis(250));
    }
    bar
}

/// One line about the work on the front's models.
fn front_summary(work: &FrontWork, left: Left) -> String {
    if work.trainings == 0 {
        return models_of_front("testing", work.models);
    }
    let mut text = models_of_front("training", work.trainings);
    match work.trained() {
        0 => {}
        trained => text += &format!(", {trained} done"),
    }
    match left.time.and_then(about_from_1_s) {
        // After the last epochs only tests are left.
        Some(time) if work.trained() < work.trainings => text + &format!(", about {time} left"),
        _ => text,
    }
}

/// Says what is being done with this number of models of the front.
fn models_of_front(doing: &str, models: usize) -> String {
    match models {
        1 => format!("{doing} one model of the front"),
        _ => format!("{doing} {models} models of the front"),
    }
}

/// How the last of some jobs ended.
fn verdicts(count: usize, last: &EndedJob) -> String {
    match count {
        1 => verdict(last),
        _ => format!("{count} jobs have ended, the last is {}", verdict(last)),
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
        (Some(m), _) => {
            let measured = format!(
                "{} %, {} parameters, {} FLOPs",
                m.accuracy, m.params, m.flops
            );
            match ended.rows.len() {
                1 => measured,
                answers => format!("{agreed} of {answers} agree on {measured}"),
            }
        }
        (None, Some(failure)) => format!("failed: {failure}"),
        (None, None) => "no answers agree".to_owned(),
    };
    let text = format!("{} of genome {}: {result}", ended.job, ended.genome);
    printable(&text).to_string()
}

/// One line about a run.
fn summary(state: &RunState, left: Left) -> String {
    let spec = state.spec();
    let best = state.best().and_then(|job| job.verdict.consensus);
    let best = best.map_or(String::new(), |m| format!(", best {} %", m.accuracy));
    let generations = state.search().config().generations;
    let generation = state.search().generation().min(generations);
    let mut text = format!(
        "{}, generation {generation} of {generations}{best}",
        work_done(state)
    );
    let epochs = running_epochs(state);
    if !epochs.is_empty() {
        text += &format!(", in training: epoch {epochs} of {}", spec.recipe.epochs);
    }
    match left.time.and_then(about_from_1_s) {
        Some(time) if left.done < 1.0 => text + &format!(", about {time} left"),
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
    fn one_model_of_the_front_is_one() {
        assert_eq!(
            models_of_front("training", 1),
            "training one model of the front"
        );
        assert_eq!(
            models_of_front("testing", 3),
            "testing 3 models of the front"
        );
    }

    #[test]
    fn the_first_line_comes_soon_and_then_one_now_and_then() {
        let started = clock::now();
        let at = |seconds| started + Duration::from_secs(seconds);
        let mut lines = LineTimes {
            started,
            latest: None,
        };
        assert!(!lines.is_due(at(5), false));
        // A search of a few seconds has no lines at all.
        assert!(!lines.is_due(at(5), true));
        assert!(lines.is_due(at(6), false));
        assert!(!lines.is_due(at(35), false));
        assert!(lines.is_due(at(36), false));
        assert!(lines.is_due(at(37), true));
        assert!(!lines.is_due(at(66), false));
    }

    #[test]
    fn verdicts_are_told_at_once_but_not_all_of_many() {
        let started = clock::now();
        let at = |seconds| started + Duration::from_secs(seconds);
        let mut lines = LineTimes {
            started,
            latest: None,
        };
        let told = (0..20).filter(|second| lines.is_verdict_due(at(*second)));
        assert_eq!(told.collect::<Vec<_>>(), [0, 5, 10, 15]);
    }
}
