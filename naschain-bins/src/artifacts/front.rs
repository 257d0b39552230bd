//! The Pareto front in the run's folder: `front.json`, `front.svg`, `report.html` and the models.

use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context, Result};
use naschain_core::Accuracy;
use naschain_train::{CurvePoint, Dataset, Epoch, Options, Trained};

use crate::artifacts::data_place::shown_name;
use crate::artifacts::front_model::{FRONT_FILE, FrontModel};
use crate::artifacts::models;
use crate::artifacts::models::{Member, recipe_of};
use crate::artifacts::results::Results;
use crate::artifacts::{plot, report};
use crate::files::write_whole;
use crate::journal::secret::read_secret;
use crate::printable::counted;
use naschain_run::{FrontMember, RunSpec};

/// Writes `front.svg`, `report.html` and `front.json`.
pub(crate) fn write_front(results: &Results) -> Result<()> {
    let (dir, spec) = (&results.dir, &results.spec);
    let title = format!(
        "{}: {} evaluated, seed {}",
        shown_name(dir, &spec.data.name),
        counted(results.ended.len(), "genome"),
        spec.search.seed
    );
    let svg = plot::front_svg(results, &title)?;
    write_whole(&dir.join("front.svg"), svg.as_bytes())?;
    write_report(results)?;
    let json = serde_json::to_string_pretty(&results.models)?;
    write_whole(&dir.join(FRONT_FILE), json.as_bytes())
}

/// Writes `report.html`.
fn write_report(results: &Results) -> Result<()> {
    let name = shown_name(&results.dir, &results.spec.data.name);
    let title = format!("{name}, seed {}", results.spec.search.seed);
    let html = report::report_html(results, &title)?;
    write_whole(&results.dir.join(report::REPORT_FILE), html.as_bytes())
}

/// Writes `report.html` again if the run has one, so that it shows what was trained since.
pub(crate) fn renew_report(dir: &Path) -> Result<()> {
    if dir.join(report::REPORT_FILE).is_file() {
        write_report(&Results::read(dir)?)?;
    }
    Ok(())
}

/// Tests every network of the front and writes its model. Those that no miner has delivered are trained
/// again; `on_epoch` is called after each epoch of each of these.
pub(crate) fn write_models(
    dir: &Path,
    spec: &RunSpec,
    front: &[FrontMember],
    dataset: &Dataset,
    options: Options,
    on_epoch: &(dyn Fn(&FrontMember, &Epoch) + Sync),
) -> Result<Vec<FrontModel>> {
    // Trainings side by side are faster in total than one training with all threads.
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get() / options.threads);
    let next = Mutex::new(front.iter().enumerate());
    let finished = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..workers.max(1).min(front.len()) {
            scope.spawn(|| {
                loop {
                    let taken = next.lock().map_or(None, |mut next| next.next());
                    let Some((index, member)) = taken else { return };
                    let model = write_model(dir, spec, member, dataset, options, on_epoch);
                    if let Ok(mut finished) = finished.lock() {
                        finished.push((index, model));
                    }
                }
            });
        }
    });
    let mut finished = finished.into_inner().unwrap_or_default();
    // Threads finish in any order; `front.json` is in the order of the front.
    finished.sort_by_key(|(index, _)| *index);
    finished.into_iter().map(|(_, model)| model).collect()
}

fn write_model(
    dir: &Path,
    spec: &RunSpec,
    member: &FrontMember,
    dataset: &Dataset,
    options: Options,
    on_epoch: &(dyn Fn(&FrontMember, &Epoch) + Sync),
) -> Result<FrontModel> {
    let measurement = member.measurement;
    let secret = read_secret(dir, spec)?;
    let found = Member {
        recipe: recipe_of(spec, secret, member.job, &member.genome),
        dir: dir.to_owned(),
        spec: spec.clone(),
        genome: member.genome.clone(),
        digest: Some(measurement.digest),
    };
    let mut curve = Vec::new();
    let model = match found.delivered() {
        Some(delivered) => {
            curve = delivered.curve;
            let trained = Trained {
                measurement,
                digest_before: delivered.digest_before,
                weights: delivered.weights,
            };
            found.finish(dataset, options, trained)?
        }
        None => {
            let mut note = |epoch: &Epoch| {
                curve.push(CurvePoint::from(epoch));
                on_epoch(member, epoch);
            };
            found.train(dataset, options, &mut note)?
        }
    };
    Ok(FrontModel {
        genome: member.genome.clone(),
        accuracy: measurement.accuracy,
        test_accuracy: model
            .test_accuracy
            .context("the model has no test accuracy")?,
        guessing_accuracy: guessing_accuracy(dataset)?,
        params: measurement.params,
        flops: measurement.flops,
        latency_us: spec.latency_us_of(&member.genome),
        digest: measurement.digest,
        model_digest: model.digest,
        model: models::folder(&member.genome),
        curve,
    })
}

/// The accuracy on the test images of always answering their most frequent class.
pub(crate) fn guessing_accuracy(dataset: &Dataset) -> Result<Option<Accuracy>> {
    let mut counts = vec![0; dataset.classes];
    for &label in dataset.test.labels() {
        counts[usize::from(label)] += 1;
    }
    let most = counts.into_iter().max().unwrap_or(0);
    let images = dataset.test.len() as u64;
    Ok(Some(Accuracy::from_counts(most, images)?))
}
