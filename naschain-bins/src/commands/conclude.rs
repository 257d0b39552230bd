//! Follows a run to its end: history and progress during the search, then the front's models.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use naschain_consensus::Row;
use naschain_train::{Dataset, Epoch, Model};

use crate::artifacts::extent::SearchExtent;
use crate::artifacts::front;
use crate::artifacts::front_model::{FrontModel, read_front};
use crate::artifacts::history::{HISTORY_FILE, History};
use crate::artifacts::lineage::Lineage;
use crate::artifacts::models::MODEL_FILE;
use crate::artifacts::results::{Results, by_network};
use crate::artifacts::table::front_table;
use crate::cli::program::print;
use crate::clock;
use crate::commands::overfitting::overfitting;
use crate::commands::progress::{FrontWork, Progress};
use crate::coordinator::Coordinator;
use crate::coordinator::deliveries::delivered_file;
use crate::printable::{counted, pasteable, printable};
use naschain_run::{EndedJob, FrontMember, RunState};

/// Time between two looks at a run's progress.
const SHOW_INTERVAL: Duration = Duration::from_millis(500);

/// Keeps the history and the shown progress up to date until the run is finished, or `enough` of its
/// state. Returns whether it is finished.
pub(crate) async fn follow(
    coordinator: &Coordinator,
    dir: &Path,
    shown: &mut Progress,
    enough: impl Fn(&RunState) -> bool,
) -> Result<bool> {
    let mut changes = coordinator.changes();
    let mut history = coordinator
        .with_state(|state| History::start(dir, state.ended_jobs()))
        .await?;
    let mut failing = false;
    loop {
        changes.mark_unchanged();
        let (written, finished, ends) = coordinator
            .with_state(|state| {
                shown.show(state);
                let finished = state.is_finished();
                let written = history.follow(state.ended_jobs());
                (written, finished, finished || enough(state))
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
        if ends && !failing {
            return Ok(finished);
        }
        // With a time limit, because answers to open jobs advance the bar but are not announced.
        let _ = tokio::time::timeout(SHOW_INTERVAL, changes.changed()).await;
    }
}

/// Tests the front's models, and trains those that no miner delivers, which `shown` shows; writes the
/// front's files, and prints its table. Waits for models until none came for as long as `wait`. Returns
/// the reason if the front is empty.
pub(crate) async fn conclude(
    coordinator: &Arc<Coordinator>,
    dir: &Path,
    dataset: &Arc<Dataset>,
    options: naschain_train::Options,
    wait: Duration,
    shown: &mut Progress,
) -> Result<Option<String>> {
    let results = concluded(coordinator, dir, dataset, options, wait, shown).await?;
    if results.front.is_empty() {
        return Ok(Some(no_front(&results.ended)));
    }
    print(&conclusion(&results))?;
    Ok(None)
}

/// Like [`conclude`], but prints nothing.
pub(crate) async fn concluded(
    coordinator: &Arc<Coordinator>,
    dir: &Path,
    dataset: &Arc<Dataset>,
    options: naschain_train::Options,
    wait: Duration,
    shown: &mut Progress,
) -> Result<Results> {
    let copied = |state: &RunState| {
        let (ended, front) = (state.ended_jobs().to_vec(), state.front());
        (ended, front, SearchExtent::of(state), Lineage::of(state))
    };
    let (ended, front, extent, lineage) = coordinator.with_state(copied).await;
    let (ended, stopped) = by_network(coordinator.spec(), ended);
    let mut results = Results {
        dir: dir.to_owned(),
        spec: coordinator.spec().clone(),
        ended,
        stopped,
        front,
        extent,
        models: Vec::new(),
    };
    if stored_models(dir, &results.front).is_none() {
        wait_for_models(coordinator, wait).await;
    }
    let is_delivered =
        |member: &FrontMember| delivered_file(dir, member.measurement.digest).is_file();
    let tests = dataset.test.len();
    let progress = FrontWork::new(&results.spec, &results.front, is_delivered, tests);
    let progress = Arc::new(progress);
    let (dataset, noted) = (dataset.clone(), progress.clone());
    // On a thread of its own, and without the lock of the state: training, drawing and writing take
    // from seconds to hours.
    let work = move || -> Result<Results> {
        // A finished run that is served again need not train its models again.
        results.models = match stored_models(&results.dir, &results.front) {
            Some(models) => models,
            None => trained_models(&results, &dataset, options, &noted)?,
        };
        results.extent.write(&results.dir)?;
        lineage.write(&results.dir)?;
        front::write_front(&results)?;
        Ok(results)
    };
    let mut work = tokio::task::spawn_blocking(work);
    let results = loop {
        match tokio::time::timeout(SHOW_INTERVAL, &mut work).await {
            Ok(results) => break results,
            Err(_) => shown.show_front(&progress),
        }
    };
    shown.finish();
    results?
}

/// Waits until the miners have delivered the models that they were asked for, or none came for as long
/// as `most`.
async fn wait_for_models(coordinator: &Coordinator, most: Duration) {
    let mut changes = coordinator.changes();
    let mut was_told = false;
    let mut latest = (usize::MAX, clock::now());
    loop {
        changes.mark_unchanged();
        let open = |state: &RunState| state.board().open_questions().count();
        let open = coordinator.with_state(open).await;
        if open < latest.0 {
            latest = (open, clock::now());
        }
        if open == 0 || latest.1.elapsed() >= most {
            return;
        }
        if !std::mem::replace(&mut was_told, true) {
            let models = counted(open, "model");
            tracing::info!("waiting for {models} of the front, which miners deliver");
        }
        let _ = tokio::time::timeout(SHOW_INTERVAL, changes.changed()).await;
    }
}

/// What is printed of a run with a front.
fn conclusion(results: &Results) -> String {
    let models = results.models.iter();
    let wrong = models.filter(|m| m.digest != m.model_digest).count();
    let mut text = front_table(results);
    if wrong > 0 {
        text += &format!(
            "not reproduced on this machine: {}; see the warnings above\n",
            counted(wrong, "digest")
        );
    }
    if let Some(failed) = failed_networks(&results.ended) {
        text += &(failed + "\n");
    }
    if let Some(hint) = overfitting_best(results) {
        text += &(hint + "\n");
    }
    let dir = results.dir.display().to_string();
    text += &format!("run: {dir}; open its report.html in a browser\n");
    // Of networks that are no better than guessing, none is the best. A retraining is followed by what
    // is printed of it.
    let is_search = !results.spec.recipe.is_measured_on_test();
    if is_search && !results.useful_front().is_empty() {
        let dir = pasteable(&dir);
        text += &format!("next: genomaster retrain {dir}; genomaster export {dir} --retrained\n");
    }
    text
}

fn trained_models(
    results: &Results,
    dataset: &Dataset,
    options: naschain_train::Options,
    progress: &FrontWork,
) -> Result<Vec<FrontModel>> {
    let (dir, spec, front) = (&results.dir, &results.spec, &results.front);
    let on_epoch = |member: &FrontMember, epoch: &Epoch| {
        // The backward pass costs twice as much as the forward pass.
        progress.epoch(3 * epoch.images * member.measurement.flops);
        if epoch.number == spec.recipe.epochs {
            progress.finished();
        }
    };
    progress.begin();
    front::write_models(dir, spec, front, dataset, options, &on_epoch)
}

/// Says that the best network overfits, if it does.
fn overfitting_best(results: &Results) -> Option<String> {
    let front = results.useful_front();
    let best = results.model(&front.first()?.genome)?;
    let train = best.curve.last()?.train_accuracy;
    let spec = &results.spec;
    let hint = overfitting(train, best.test_accuracy, &spec.recipe, spec.space.input())?;
    Some(format!("best: {hint}"))
}

/// How many networks have no result, with the reason of the first one; `None` if all have one.
pub(crate) fn failed_networks(ended: &[EndedJob]) -> Option<String> {
    let mut failed = ended.iter().filter(|job| job.failure.is_some());
    let first = failed.next()?;
    Some(format!(
        "{} of {} networks have no result; the first, {}: {}",
        1 + failed.count(),
        ended.len(),
        first.genome,
        printable(&reason_of(first))
    ))
}

/// Why a job has no result: what a miner reported, if one did.
fn reason_of(job: &EndedJob) -> String {
    let reported = job.rows.iter().find_map(|(_, row)| match row {
        Row::Failed(reason) => Some(reason.clone()),
        _ => None,
    });
    let failure = job.failure.as_ref().map(ToString::to_string);
    reported.or(failure).unwrap_or_default()
}

/// Why no network has a result, with the reason of the first one.
fn no_front(ended: &[EndedJob]) -> String {
    let count = ended.len();
    let failed = ended.iter().find(|job| job.result().is_none());
    let Some(first) = failed else {
        return format!("none of the {count} networks was trained to the end");
    };
    let reason = reason_of(first);
    format!(
        "none of the {count} networks has a result on which miners agree; the first, {}: {}",
        first.genome,
        printable(&reason)
    )
}

/// The models of a run that was concluded before, if they are complete and of this front.
fn stored_models(dir: &Path, front: &[FrontMember]) -> Option<Vec<FrontModel>> {
    let models = read_front(dir).ok()?;
    let complete = models.len() == front.len()
        && models.iter().zip(front).all(|(model, member)| {
            let weights = dir.join(&model.model).join(MODEL_FILE);
            // A damaged model does not load.
            let is_whole = |stored: Model| stored.digest == model.model_digest;
            model.digest == member.measurement.digest && Model::load(&weights).is_ok_and(is_whole)
        });
    complete.then_some(models)
}

/// Number of ended jobs, and the maximum number of the search's.
pub(crate) async fn progress(coordinator: &Coordinator) -> (usize, usize) {
    let numbers = |state: &RunState| (state.ended_jobs().len(), state.max_jobs());
    let numbers = coordinator.try_with_state(|state| state.map(numbers)).await;
    numbers.unwrap_or_default()
}
