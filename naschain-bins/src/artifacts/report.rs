//! The run's folder: history, front, picture and models.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result};
use naschain_core::{Accuracy, Digest, Genome};
use naschain_train::{Dataset, Options};
use serde::{Deserialize, Serialize};

use crate::artifacts::models;
use crate::artifacts::models::Member;
use crate::artifacts::plot;
use crate::journal::run_folder::write_whole;
use naschain_run::{ClosedJob, FrontMember, RunSpec, RunState};

/// One object of `front.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrontModel {
    /// The genome.
    pub genome: Genome,
    /// Validation accuracy in percent, as the miners agreed.
    pub accuracy: Accuracy,
    /// Test accuracy in percent, measured once, at the end.
    pub test_accuracy: Accuracy,
    /// Trainable parameters.
    pub params: u64,
    /// FLOPs of one image.
    pub flops: u64,
    /// The training digest that the miners reported.
    pub digest: Digest,
    /// The digest of the training that made `weights`; equal where miners and genomaster
    /// compute the same bits.
    pub model_digest: Digest,
    /// The folder with `model.safetensors` and `model.json`, within the run's.
    pub model: PathBuf,
}

/// `history.jsonl`: each evaluated genome with all rows and the verdict, one JSON object a line.
pub struct History {
    path: PathBuf,
    written: usize,
    bytes: u64,
}

impl History {
    /// Writes the jobs that have ended so far and goes on from there.
    pub fn start(dir: &Path, closed: &[ClosedJob]) -> Result<History> {
        let mut history = History {
            path: dir.join("history.jsonl"),
            written: 0,
            bytes: 0,
        };
        write_whole(&history.path, b"")?;
        history.follow(closed)?;
        Ok(history)
    }

    /// Appends what has ended since. After an error the next call writes it again, whole.
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
            // What came through of a line would be read as damage.
            let _ = file.set_len(self.bytes);
            return Err(error).with_context(context);
        }
        self.bytes += text.len() as u64;
        self.written = closed.len();
        Ok(())
    }
}

/// Writes `front.svg` and `front.json`.
pub fn write_front(dir: &Path, state: &RunState, models: &[FrontModel]) -> Result<()> {
    let spec = state.spec();
    let title = format!(
        "{}: {} genomes evaluated, seed {}",
        spec.data.name,
        state.closed().len(),
        spec.search.seed
    );
    let svg = plot::front_svg(state.closed(), &state.front(), &title)?;
    write_whole(&dir.join("front.svg"), svg.as_bytes())?;
    let json = serde_json::to_string_pretty(models)?;
    write_whole(&dir.join("front.json"), json.as_bytes())
}

/// Trains every network of the front once more, tests it, and writes its model.
///
/// The genomaster never saw the miners' weights; it makes its own, and by that it also checks
/// the miners' digests. `done` is called after each.
pub fn write_models(
    dir: &Path,
    spec: &RunSpec,
    front: &[FrontMember],
    dataset: &Dataset,
    options: Options,
    done: &(dyn Fn() + Sync),
) -> Result<Vec<FrontModel>> {
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get() / options.threads);
    let next = Mutex::new(front.iter().enumerate());
    let finished = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..workers.max(1).min(front.len()) {
            scope.spawn(|| {
                loop {
                    let taken = next.lock().map_or(None, |mut next| next.next());
                    let Some((place, member)) = taken else { return };
                    let model = write_model(dir, spec, member, dataset, options);
                    if let Ok(mut finished) = finished.lock() {
                        finished.push((place, model));
                    }
                    done();
                }
            });
        }
    });
    let mut finished = finished.into_inner().unwrap_or_default();
    finished.sort_by_key(|(place, _)| *place);
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
    let found = Member {
        dir: dir.to_owned(),
        spec: spec.clone(),
        genome: member.genome.clone(),
        digest: Some(measurement.digest),
    };
    let model = found.train(dataset, options, &mut |_| ())?;
    Ok(FrontModel {
        genome: member.genome.clone(),
        accuracy: measurement.accuracy,
        test_accuracy: model.test_accuracy.context("it was just tested")?,
        params: measurement.params,
        flops: measurement.flops,
        digest: measurement.digest,
        model_digest: model.digest,
        model: models::folder(&member.genome),
    })
}
