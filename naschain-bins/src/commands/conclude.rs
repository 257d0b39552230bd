//! Follows a run to its end: history and progress during the search, then the front's models.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use naschain_consensus::Row;
use naschain_train::Dataset;

use crate::artifacts::front;
use crate::artifacts::front_model::{FrontModel, read_front};
use crate::artifacts::history::{HISTORY_FILE, History};
use crate::artifacts::models::MODEL_FILE;
use crate::artifacts::table::front_table;
use crate::cli::printable::printable;
use crate::cli::program::print;
use crate::coordinator::Coordinator;
use naschain_run::RunState;

/// Keeps the history and the progress bar up to date until the run is finished.
pub(crate) async fn follow(coordinator: &Coordinator, dir: &Path, bar: Option<&Bar>) -> Result<()> {
    let mut changes = coordinator.changes();
    let mut history = coordinator
        .with_state(|state| History::start(dir, state.ended_jobs()))
        .await?;
    let mut failing = false;
    loop {
        changes.mark_unchanged();
        let (written, finished) = coordinator
            .with_state(|state| {
                if let Some(bar) = bar {
                    bar.show(state);
                }
                (history.follow(state.ended_jobs()), state.is_finished())
            })
            .await;
        // Nothing is lost while the history cannot be written, for example on a full disk, because
        // the journal has everything. Logged once per failure, not at every attempt.
        if let (Err(error), false) = (&written, failing) {
            tracing::error!("{error:#}; retrying until it can be written");
        } else if failing && written.is_ok() {
            tracing::info!("{HISTORY_FILE} is complete again");
        }
        failing = written.is_err();
        if finished && !failing {
            return Ok(());
        }
        // With a time limit, because answers to open jobs advance the bar but are not announced.
        let _ = tokio::time::timeout(Duration::from_millis(500), changes.changed()).await;
    }
}

/// Trains and tests the front's models, writes the front's files, and prints its table. Returns the
/// reason if the front is empty.
pub(crate) async fn conclude(
    coordinator: &Arc<Coordinator>,
    dir: &Path,
    dataset: &Arc<Dataset>,
    options: naschain_train::Options,
) -> Result<Option<String>> {
    let front = coordinator.with_state(RunState::front).await;
    let spec = coordinator.spec().clone();
    // A finished run that is served again need not train its models again.
    let models = match stored_models(dir, &front) {
        Some(models) => models,
        None => {
            let bar = bar(
                front.len() as u64,
                "training the front's models: {pos}/{len}",
            );
            let (dir, dataset, members) = (dir.to_owned(), dataset.clone(), front.clone());
            let spec = spec.clone();
            let work = move || {
                let done = || bar.inc(1);
                let models = front::write_models(&dir, &spec, &members, &dataset, options, &done);
                bar.finish_and_clear();
                models
            };
            tokio::task::spawn_blocking(work).await??
        }
    };
    let wrong = models.iter().filter(|m| m.digest != m.model_digest).count();
    let results = coordinator
        .with_state(|state| front::write_front(dir, state, models))
        .await?;
    if front.is_empty() {
        return Ok(Some(coordinator.with_state(no_front).await));
    }
    let mut text = front_table(&results);
    if wrong > 0 {
        text += &format!(
            "{wrong} digests were not reproduced on this machine; see the warnings above\n"
        );
    }
    text += &format!(
        "run: {}; open its report.html in a browser\n",
        dir.display()
    );
    print(&text)?;
    Ok(None)
}

/// Why no network has a result, with the reason of the first one.
fn no_front(state: &RunState) -> String {
    let count = state.ended_jobs().len();
    let first = state.ended_jobs().first().map(|job| {
        let reported = job.rows.iter().find_map(|(_, row)| match row {
            Row::Failed(reason) => Some(reason.clone()),
            _ => None,
        });
        let failure = job.failure.as_ref().map(ToString::to_string);
        let reason = reported.or(failure).unwrap_or_default();
        format!("; the first, {}: {}", job.genome, printable(&reason))
    });
    let first = first.unwrap_or_default();
    format!("none of the {count} networks has a result on which miners agree{first}")
}

/// The models of a run that was concluded before, if they are complete and of this front.
fn stored_models(dir: &Path, front: &[naschain_run::FrontMember]) -> Option<Vec<FrontModel>> {
    let models = read_front(dir).ok()?;
    let complete = models.len() == front.len()
        && models.iter().zip(front).all(|(model, member)| {
            let weights = dir.join(&model.model).join(MODEL_FILE);
            model.digest == member.measurement.digest && weights.is_file()
        });
    complete.then_some(models)
}

/// Number of finished trainings, and the maximum number that the search takes.
pub(crate) async fn progress(coordinator: &Coordinator) -> (u64, u64) {
    let numbers = |state: &RunState| (state.trainings_done(), state.max_trainings());
    let numbers = coordinator.try_with_state(|state| state.map(numbers)).await;
    let (done, total) = numbers.unwrap_or_default();
    (done as u64, total as u64)
}

/// The progress bar of a search.
pub(crate) struct Bar(pub(crate) ProgressBar);

impl Bar {
    /// A progress bar for the trainings of this run.
    pub(crate) async fn new(coordinator: &Coordinator) -> Bar {
        let (done, total) = progress(coordinator).await;
        let bar = bar(
            total,
            "{msg} {bar:30} {pos}/{len} trainings, elapsed {elapsed}, remaining {eta}",
        );
        bar.set_position(done);
        bar.reset_eta();
        bar.enable_steady_tick(Duration::from_millis(250));
        Bar(bar)
    }

    fn show(&self, state: &RunState) {
        let best = state.best().and_then(|job| job.verdict.consensus);
        let best = best.map_or("-".to_owned(), |m| format!("{} %", m.accuracy));
        let search = &state.spec().search;
        let generation = state.search().generation().min(search.generations);
        self.0.set_message(format!(
            "generation {generation}/{}, best {best}",
            search.generations
        ));
        self.0.set_position(state.trainings_done() as u64);
    }
}

fn bar(length: u64, template: &str) -> ProgressBar {
    // In a file or a pipe the control characters of a bar would only be noise.
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
