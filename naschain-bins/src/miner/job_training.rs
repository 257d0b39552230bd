//! Trains the network of one job, perhaps from a checkpoint of other miners.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use naschain_consensus::Row;
use naschain_core::{Digest, Network, Recipe};
use naschain_run::Job;
use naschain_train::{Checkpoint, Dataset, Epoch, Error};
use tokio::task::spawn_blocking;

use crate::client::transport::TransportError;
use crate::miner::checkpoint_folder::CheckpointFolder;
use crate::miner::progress_line::ProgressLine;
use crate::miner::trainer::Trainer;
use crate::miner::training_control::TrainingControl;
use crate::miner::{Miner, PreparedRun};
use crate::printable::printable;

/// Maximum size of a checkpoint that is fetched.
const MAX_CHECKPOINT_BYTES: usize = 1 << 30;
/// For how long a miner waits for a checkpoint that another one is delivering. After that it trains the
/// epochs before it itself.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// Pause between two requests for it.
const PAUSE: Duration = Duration::from_millis(500);

/// The training of a job that this miner has leased.
#[derive(Clone)]
struct AssignedTraining {
    trainer: Trainer,
    dataset: Arc<Dataset>,
    architecture: Network,
    recipe: Recipe,
    /// The epoch after which it ends.
    last_epoch: u32,
}

impl Miner {
    /// Trains the job's genome; `None` when the training was stopped.
    ///
    /// # Errors
    /// A fault of this machine. A training that fails on every machine is a result.
    pub(super) async fn train_job(
        &self,
        prepared: &PreparedRun,
        job: &Job,
        control: Arc<TrainingControl>,
    ) -> Result<Option<Row>> {
        let spec = &prepared.spec;
        let recipe = spec.seeded_recipe(job.training_seed);
        let training = AssignedTraining {
            trainer: self.trainer.clone(),
            dataset: prepared.dataset.clone(),
            architecture: spec.space.decode(&job.genome)?,
            last_epoch: job.part.map_or(recipe.epochs, |part| part.until_epoch),
            recipe,
        };
        let mut unchecked = job
            .part
            .and_then(|part| Some((part.from_epoch, part.from_state?)));
        if let Some((epoch, state)) = unchecked
            && self.has_start(&training, epoch, state, &control).await
        {
            unchecked = None;
        }
        let line = ProgressLine::new(job.job.to_string(), training.last_epoch);
        // A training computes for minutes, so it must not occupy a thread that sends heartbeats.
        let trained = spawn_blocking(move || training.train(unchecked, &control, line));
        trained.await.context("the training panicked")?
    }

    /// Stores the checkpoint with this state, from which a job continues, unless it is stored already.
    /// Returns false where it cannot be had: this machine then trains the epochs before it itself, and
    /// has to come to this state. Without stored checkpoints everything is trained once, from the start,
    /// and nothing is checked.
    async fn has_start(
        &self,
        training: &AssignedTraining,
        epoch: u32,
        state: Digest,
        control: &TrainingControl,
    ) -> bool {
        let Some(folder) = training.trainer.checkpoints.clone() else {
            return true;
        };
        // Checkpoints are read and hashed on other threads than those that send heartbeats.
        let own = training.clone();
        let is_stored = spawn_blocking(move || own.has_checkpoint(epoch, state));
        if is_stored.await.unwrap_or(false) {
            return true;
        }
        let stored = match self.wait_for_file(state, control).await {
            Ok(Some(file)) => {
                let own = training.clone();
                let storing = spawn_blocking(move || own.store(&folder, &file, epoch, state));
                storing.await.map_err(anyhow::Error::from).flatten()
            }
            Ok(None) => return false,
            Err(error) => Err(error.into()),
        };
        let name = &self.name;
        match &stored {
            Ok(()) => tracing::info!("{name}: continuing from another miner's epoch {epoch}"),
            Err(error) => {
                let error = format!("{error:#}");
                let error = printable(&error);
                tracing::info!("{name}: training epochs 1 to {epoch} again: {error}");
            }
        }
        stored.is_ok()
    }

    /// Waits for a file that is being delivered, unless the lease ends.
    async fn wait_for_file(
        &self,
        digest: Digest,
        control: &TrainingControl,
    ) -> Result<Option<Vec<u8>>, TransportError> {
        let mut waited = Duration::ZERO;
        loop {
            match self.transport.file(digest, MAX_CHECKPOINT_BYTES).await {
                Err(TransportError::Unavailable(_)) if waited < MAX_WAIT => {}
                other => return other,
            }
            if control.abandoned.load(Ordering::Acquire) {
                return Ok(None);
            }
            tokio::time::sleep(PAUSE).await;
            waited += PAUSE;
        }
    }
}

impl AssignedTraining {
    fn has_checkpoint(&self, epoch: u32, state: Digest) -> bool {
        let (architecture, recipe) = (&self.architecture, &self.recipe);
        let dataset = &self.dataset;
        let stored = self.trainer.stored(architecture, dataset, recipe, epoch);
        stored.is_some_and(|stored| {
            let check = stored.check_pause(architecture, dataset, recipe, epoch, state);
            check.is_ok()
        })
    }

    /// Stores another miner's checkpoint after an epoch if it has this state.
    fn store(
        &self,
        folder: &CheckpointFolder,
        file: &[u8],
        epoch: u32,
        state: Digest,
    ) -> Result<()> {
        let received = Checkpoint::from_bytes(file)?;
        let (architecture, recipe) = (&self.architecture, &self.recipe);
        received.check_pause(architecture, &self.dataset, recipe, epoch, state)?;
        let name = CheckpointFolder::training(architecture, &self.dataset, recipe);
        folder.add(&name, &received)
    }

    /// Trains; if an epoch and a state are given, the training must come to this state after the epoch.
    fn train(
        &self,
        unchecked: Option<(u32, Digest)>,
        control: &TrainingControl,
        mut line: ProgressLine,
    ) -> Result<Option<Row>> {
        if control.abandoned.load(Ordering::Acquire) {
            return Ok(None);
        }
        let (architecture, recipe) = (&self.architecture, &self.recipe);
        let (trainer, dataset) = (&self.trainer, &self.dataset);
        let mut on_epoch = |epoch: &Epoch, speed| {
            line.epoch(epoch.number, speed);
            control.after(epoch, speed)
        };
        let mut until = |epoch| trainer.train(architecture, dataset, recipe, epoch, &mut on_epoch);
        let trained = match unchecked {
            None => until(self.last_epoch),
            Some((epoch, state)) => match until(epoch) {
                Ok(before) if before.measurement.digest != state => bail!(
                    "after epoch {epoch} the state is {} on this machine, but the job continues from {state}",
                    before.measurement.digest
                ),
                Ok(_) => until(self.last_epoch),
                Err(error) => Err(error),
            },
        };
        match trained {
            Ok(trained) => Ok(Some(Row::Measured(trained.measurement))),
            Err(Error::Stopped { .. }) => {
                if !control.leaving.load(Ordering::Acquire) {
                    trainer.forget(architecture, dataset, recipe);
                }
                Ok(None)
            }
            Err(error @ (Error::Diverged { .. } | Error::MemoryLimit { .. })) => {
                Ok(Some(Row::Failed(error.to_string())))
            }
            Err(error) => Err(error.into()),
        }
    }
}
