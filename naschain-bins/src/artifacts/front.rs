//! The Pareto front in the run's folder: `front.json`, `front.svg` and the models.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result};
use naschain_core::{Accuracy, Digest, Genome};
use naschain_train::{Dataset, Options};
use serde::{Deserialize, Serialize};

use crate::artifacts::models;
use crate::artifacts::models::{Member, recipe_of};
use crate::artifacts::plot;
use crate::journal::run_folder::write_whole;
use crate::journal::secret::read_secret;
use naschain_run::{FrontMember, RunSpec, RunState};

/// One object of `front.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FrontModel {
    /// The genome.
    pub genome: Genome,
    /// Validation accuracy in percent that the miners agreed on.
    pub accuracy: Accuracy,
    /// Test accuracy in percent, measured once, after the search.
    pub test_accuracy: Accuracy,
    /// Trainable parameters.
    pub params: u64,
    /// FLOPs per image.
    pub flops: u64,
    /// The training digest that the miners reported.
    pub digest: Digest,
    /// The digest of the genomaster's training, which produced the stored weights; equal to
    /// `digest` if miners and genomaster compute the same bits.
    pub model_digest: Digest,
    /// Folder of `model.safetensors` and `model.json`, relative to the run's.
    pub model: PathBuf,
}

/// Writes `front.svg` and `front.json`.
pub(crate) fn write_front(dir: &Path, state: &RunState, models: &[FrontModel]) -> Result<()> {
    let spec = state.spec();
    let title = format!(
        "{}: {} genomes evaluated, seed {}",
        spec.data.name,
        state.ended_jobs().len(),
        spec.search.seed
    );
    let svg = plot::front_svg(state.ended_jobs(), &state.front(), &title)?;
    write_whole(&dir.join("front.svg"), svg.as_bytes())?;
    let json = serde_json::to_string_pretty(models)?;
    write_whole(&dir.join("front.json"), json.as_bytes())
}

/// Trains every network of the front again, tests it, and writes its model. `done` is called after
/// each.
///
/// Miners send no weights, so the genomaster trains the networks itself. This also verifies the
/// miners' digests.
pub(crate) fn write_models(
    dir: &Path,
    spec: &RunSpec,
    front: &[FrontMember],
    dataset: &Dataset,
    options: Options,
    done: &(dyn Fn() + Sync),
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
                    let model = write_model(dir, spec, member, dataset, options);
                    if let Ok(mut finished) = finished.lock() {
                        finished.push((index, model));
                    }
                    done();
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
) -> Result<FrontModel> {
    let measurement = member.measurement;
    let secret = read_secret(dir, spec)?;
    let found = Member {
        recipe: recipe_of(spec, secret, member.job),
        dir: dir.to_owned(),
        spec: spec.clone(),
        genome: member.genome.clone(),
        digest: Some(measurement.digest),
    };
    let model = found.train(dataset, options, &mut |_| ())?;
    Ok(FrontModel {
        genome: member.genome.clone(),
        accuracy: measurement.accuracy,
        test_accuracy: model
            .test_accuracy
            .context("the model has no test accuracy")?,
        params: measurement.params,
        flops: measurement.flops,
        digest: measurement.digest,
        model_digest: model.digest,
        model: models::folder(&member.genome),
    })
}
