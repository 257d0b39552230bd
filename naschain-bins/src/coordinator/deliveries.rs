//! What miners deliver besides answers: checkpoints for the referee and for miners that continue a
//! training, and the weights of the front.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, ensure};
use naschain_consensus::Question;
use naschain_core::{Digest, Network, Recipe};
use naschain_train::{Checkpoint, Dataset, LinkedWeights, Options};
use tokio::sync::Mutex;

use crate::coordinator::received::ReceivedFiles;
use crate::files::{create_folder, delete_oldest, write_whole};

/// Folder of incomplete files, in the run's folder.
const INCOMPLETE: &str = "received";
/// Folder of delivered checkpoints, in the run's folder: those by which the referee decided, and those
/// from which jobs continue.
pub(crate) const STATES: &str = "states";
/// Folder of delivered weights, in the run's folder.
pub(crate) const DELIVERED: &str = "delivered";
/// Maximum size of all delivered checkpoints, and of all delivered weights. Above it the oldest are
/// deleted, because each false answer can cause one file.
const MAX_FOLDER_BYTES: u64 = 4 << 30;
/// Bytes of a checkpoint for each parameter: weight, velocity, and at most two statistics.
const BYTES_PER_PARAMETER: u64 = 16;
/// Bytes of a checkpoint besides its tensors, at most.
const HEADER_BYTES: u64 = 4 << 20;

/// The file of the checkpoint with this state.
pub(crate) fn state_file(run_dir: &Path, state: Digest) -> PathBuf {
    run_dir.join(STATES).join(format!("{state}.safetensors"))
}

/// The file of the weights that a miner delivered for a training.
pub(crate) fn delivered_file(run_dir: &Path, digest: Digest) -> PathBuf {
    let name = format!("{digest}.safetensors");
    run_dir.join(DELIVERED).join(name)
}

/// Stores a file of the run's folder where other genomasters find it.
pub(crate) type Publish = Arc<dyn Fn(&Path) + Send + Sync>;

/// Receives files, checks them, and stores them in the run's folder.
pub(crate) struct Deliveries {
    pub(super) run_dir: PathBuf,
    pub(super) dataset: Arc<Dataset>,
    /// Device and threads of the referee.
    pub(super) options: Options,
    pub(super) files: ReceivedFiles,
    /// One part is added at a time.
    pub(super) turn: Mutex<()>,
    publish: Option<Publish>,
}

/// A training of the run.
pub(super) struct JobTraining {
    pub(super) architecture: Network,
    pub(super) recipe: Recipe,
    /// The epoch after which it ends, which is before the recipe's last at a rung.
    pub(super) epochs: u32,
}

impl JobTraining {
    /// Whether the training goes on in another job.
    pub(super) fn pauses(&self) -> bool {
        self.epochs < self.recipe.epochs
    }
}

impl Deliveries {
    pub(crate) fn new(run_dir: &Path, dataset: Arc<Dataset>, options: Options) -> Deliveries {
        Deliveries {
            run_dir: run_dir.to_owned(),
            dataset,
            options,
            files: ReceivedFiles::in_folder(run_dir.join(INCOMPLETE)),
            turn: Mutex::new(()),
            publish: None,
        }
    }

    /// The same for a run that another genomaster may lead next. `publish` may block.
    pub(crate) fn with_publish(self, publish: Publish) -> Deliveries {
        let publish = Some(publish);
        Deliveries { publish, ..self }
    }

    /// Checks a complete file and stores it. The error says what is wrong with the file.
    pub(super) fn store(
        &self,
        what: &Question,
        training: &JobTraining,
        bytes: &[u8],
    ) -> Result<()> {
        let (architecture, recipe) = (&training.architecture, &training.recipe);
        let path = match what {
            Question::Checkpoint { step, state } => {
                let checkpoint = Checkpoint::from_bytes(bytes)?;
                checkpoint.check_state(architecture, &self.dataset, recipe, *step, *state)?;
                state_file(&self.run_dir, state.state)
            }
            Question::Weights { digest } if training.pauses() => {
                let checkpoint = Checkpoint::from_bytes(bytes)?;
                let (dataset, epoch) = (&self.dataset, training.epochs);
                checkpoint.check_pause(architecture, dataset, recipe, epoch, *digest)?;
                state_file(&self.run_dir, *digest)
            }
            Question::Weights { digest } => {
                let weights = LinkedWeights::from_bytes(bytes)?;
                weights.check(architecture, *digest)?;
                // It begins later where the miner continued from another one's checkpoint.
                let first = weights.curve.first().map_or(1, |point| point.epoch.max(1));
                let epochs = weights.curve.iter().map(|point| point.epoch);
                ensure!(
                    weights.curve.is_empty() || epochs.eq(first..=training.epochs),
                    "the epochs of its learning curve are not consecutive up to {}",
                    training.epochs
                );
                delivered_file(&self.run_dir, *digest)
            }
            _ => anyhow::bail!("it was not asked for a file"),
        };
        create_folder(path.parent().unwrap_or(&self.run_dir))?;
        write_whole(&path, bytes)?;
        if let Some(publish) = &self.publish {
            publish(&path);
        }
        for folder in [STATES, DELIVERED] {
            delete_oldest(&self.run_dir.join(folder), MAX_FOLDER_BYTES, &path);
        }
        Ok(())
    }
}

/// The size of the largest file that can be a checkpoint of this training.
pub(super) fn most_bytes(training: &JobTraining) -> u64 {
    let costs = training.architecture.costs();
    let params = costs.map_or(0, |costs| costs.params);
    params
        .saturating_mul(BYTES_PER_PARAMETER)
        .saturating_add(HEADER_BYTES)
}
