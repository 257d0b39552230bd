//! A miner's folder of checkpoints: to resume trainings, and to answer questions about them later.

use std::fs::{remove_dir_all, remove_file};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use naschain_core::{Network, Recipe};
use naschain_train::{Checkpoint, CurvePoint, Dataset, Epoch};

use crate::files::delete_oldest;

/// About how many checkpoints of one training are kept: with them any step is computed again in a
/// sixteenth of the training.
const KEPT: u32 = 16;
/// The file of a training's learning curve, in its folder.
const CURVE: &str = "curve.json";

/// Checkpoints of the latest trainings, at most as many as fit into the limit.
///
/// Several workers and programs may use one folder: a file that another one has deleted only means
/// that a training is computed again.
#[derive(Clone, Debug)]
pub struct CheckpointFolder {
    dir: PathBuf,
    limit_bytes: u64,
}

impl CheckpointFolder {
    /// The checkpoints in `dir`, of which the oldest trainings are deleted above `limit_bytes`.
    pub fn new(dir: impl Into<PathBuf>, limit_bytes: u64) -> CheckpointFolder {
        let dir = dir.into();
        CheckpointFolder { dir, limit_bytes }
    }

    fn folder(&self, training: &str) -> PathBuf {
        self.dir.join(training)
    }

    /// The name of a training's folder.
    pub(crate) fn training(architecture: &Network, dataset: &Dataset, recipe: &Recipe) -> String {
        Checkpoint::name(architecture, dataset, recipe)
    }

    /// The latest checkpoint of a training after at most `epochs` epochs.
    pub(crate) fn latest(&self, training: &str, epochs: u32) -> Option<Checkpoint> {
        let mut stored = self.epochs(training);
        stored.retain(|epoch| *epoch <= epochs);
        // From the last on: one that was damaged is passed over.
        stored.into_iter().rev().find_map(|epoch| {
            let path = file(&self.folder(training), epoch);
            match Checkpoint::load(&path) {
                Ok(checkpoint) => Some(checkpoint),
                Err(error) => {
                    tracing::warn!("{error}");
                    None
                }
            }
        })
    }

    /// The epoch of [`CheckpointFolder::latest`], without reading it.
    pub(crate) fn latest_epoch(&self, training: &str, epochs: u32) -> Option<u32> {
        let mut stored = self.epochs(training);
        stored.retain(|epoch| *epoch <= epochs);
        stored.pop()
    }

    /// Stores the checkpoint after an epoch, and deletes what is not needed any more.
    pub(crate) fn save(
        &self,
        training: &str,
        checkpoint: &Checkpoint,
        epoch: &Epoch,
        recipe: &Recipe,
    ) -> Result<()> {
        // First, so that a training that goes on from this checkpoint after a crash has the curve up to it.
        // The curve is only shown: the checkpoint is saved without it, too.
        let curve = self.add_to_curve(training, epoch);
        let folder = self.write(training, checkpoint)?;
        curve?;
        let (epoch, interval) = (epoch.number, recipe.epochs.div_ceil(KEPT));
        for earlier in self.epochs(training) {
            let is_kept = earlier % interval == 0 || recipe.rungs.contains(&earlier);
            if earlier < epoch && !is_kept {
                let _ = remove_file(file(&folder, earlier));
            }
        }
        delete_oldest(&self.dir, self.limit_bytes, &folder);
        Ok(())
    }

    /// Stores a checkpoint at the end of an epoch that another miner trained.
    pub(crate) fn add(&self, training: &str, checkpoint: &Checkpoint) -> Result<()> {
        let folder = self.write(training, checkpoint)?;
        delete_oldest(&self.dir, self.limit_bytes, &folder);
        Ok(())
    }

    /// Writes the file of a checkpoint at the end of an epoch; returns the training's folder.
    fn write(&self, training: &str, checkpoint: &Checkpoint) -> Result<PathBuf> {
        let folder = self.create(training)?;
        checkpoint.save(&file(&folder, checkpoint.epoch()))?;
        Ok(folder)
    }

    /// Writes the learning curve with a further epoch. It is replaced at once, but not waited for.
    fn add_to_curve(&self, training: &str, epoch: &Epoch) -> Result<()> {
        let mut curve = self.curve(training);
        curve.retain(|point| point.epoch < epoch.number);
        curve.push(CurvePoint::from(epoch));
        let path = self.create(training)?.join(CURVE);
        let partial = path.with_extension("partial");
        let written = std::fs::write(&partial, serde_json::to_vec(&curve)?);
        let renamed = written.and_then(|()| std::fs::rename(&partial, &path));
        renamed.with_context(|| format!("cannot write {}", path.display()))
    }

    /// The folder of a training, which is created if there is none.
    fn create(&self, training: &str) -> Result<PathBuf> {
        let folder = self.folder(training);
        let created = std::fs::create_dir_all(&folder);
        created.with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(folder)
    }

    /// The learning curve of a training; empty if it is not stored.
    pub(crate) fn curve(&self, training: &str) -> Vec<CurvePoint> {
        let stored = std::fs::read(self.folder(training).join(CURVE));
        let curve = stored
            .ok()
            .and_then(|json| serde_json::from_slice(&json).ok());
        curve.unwrap_or_default()
    }

    /// Deletes the checkpoints of a training.
    pub(crate) fn forget(&self, training: &str) {
        // There is no folder if no epoch was finished.
        let _ = remove_dir_all(self.folder(training));
    }

    /// The epochs after which there are checkpoints of a training, ascending.
    fn epochs(&self, training: &str) -> Vec<u32> {
        let entries = std::fs::read_dir(self.folder(training));
        let entries = entries.into_iter().flatten().flatten();
        let mut epochs: Vec<u32> = entries
            .filter_map(|entry| entry.path().file_stem()?.to_str()?.parse().ok())
            .collect();
        epochs.sort_unstable();
        epochs
    }
}

fn file(folder: &Path, epoch: u32) -> PathBuf {
    folder.join(format!("{epoch}.safetensors"))
}
