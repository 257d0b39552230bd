//! Training with a checkpoint after each epoch.

use std::ops::ControlFlow;

use anyhow::ensure;
use naschain_core::{Network, Recipe};
use naschain_train::{
    Checkpoint, CurvePoint, Dataset, Epoch, Error, Options, Trained, train_until,
    training_memory_bytes,
};

use crate::clock;
use crate::miner::checkpoint_folder::CheckpointFolder;
use naschain_run::RunSpec;

/// Runs a miner's trainings.
#[derive(Clone, Debug)]
pub struct Trainer {
    /// Device, threads and memory limit.
    pub options: Options,
    /// Folder of the checkpoints; without one, an interrupted training starts over, and questions about
    /// a training are answered by training again.
    pub checkpoints: Option<CheckpointFolder>,
}

impl Trainer {
    /// Refuses a run whose largest network needs more memory than one training may use: its jobs would end
    /// this process, or fail and count against the miner.
    ///
    /// # Errors
    /// Names both amounts.
    pub fn check_run(&self, spec: &RunSpec) -> anyhow::Result<()> {
        let Some(limit_bytes) = self.options.memory_limit_bytes else {
            return Ok(());
        };
        let threads = self.options.threads;
        let needed = spec.space.largest_networks()?;
        let needed = needed
            .iter()
            .map(|network| training_memory_bytes(network, &spec.recipe, threads));
        let needed_bytes = needed.max().unwrap_or(0);
        ensure!(
            needed_bytes <= limit_bytes,
            "the networks of run {} need up to {} MiB of memory; --memory-limit is {} MiB",
            spec.digest(),
            needed_bytes.div_ceil(1 << 20),
            limit_bytes >> 20
        );
        Ok(())
    }

    /// Trains until epoch `last` of the recipe's, resuming from the latest checkpoint of the same
    /// training if there is one. `on_epoch` gets each epoch and its speed in images per second.
    ///
    /// A checkpoint that cannot be read or written only causes a warning.
    pub fn train(
        &self,
        architecture: &Network,
        dataset: &Dataset,
        recipe: &Recipe,
        last: u32,
        on_epoch: &mut (dyn FnMut(&Epoch, f64) -> ControlFlow<()> + Send),
    ) -> Result<Trained, Error> {
        let checkpoint = self.stored(architecture, dataset, recipe, last);
        if let Some(checkpoint) = &checkpoint {
            tracing::info!("resuming after epoch {}", checkpoint.epoch());
        }
        let training = CheckpointFolder::training(architecture, dataset, recipe);
        let mut before = clock::now();
        let mut report = |epoch: &Epoch, checkpoint: &Checkpoint| {
            let now = clock::now();
            let speed = epoch.images_per_second(now - before);
            let folder = self.checkpoints.as_ref();
            let saved = folder.map(|folder| folder.save(&training, checkpoint, epoch, recipe));
            if let Some(Err(error)) = saved {
                let number = epoch.number;
                tracing::warn!("cannot save the checkpoint of epoch {number}: {error:#}");
            }
            let flow = on_epoch(epoch, speed);
            // Only now, so that the time for saving the checkpoint does not count for the next
            // epoch.
            before = clock::now();
            flow
        };
        let (options, report) = (self.options, &mut report);
        train_until(
            architecture,
            dataset,
            recipe,
            options,
            checkpoint,
            last,
            report,
        )
    }

    /// The latest stored checkpoint of a training after at most `epochs` epochs.
    pub(crate) fn stored(
        &self,
        architecture: &Network,
        dataset: &Dataset,
        recipe: &Recipe,
        epochs: u32,
    ) -> Option<Checkpoint> {
        let training = CheckpointFolder::training(architecture, dataset, recipe);
        self.checkpoints.as_ref()?.latest(&training, epochs)
    }

    /// The epoch of [`Trainer::stored`], without reading it.
    pub(crate) fn stored_epoch(
        &self,
        architecture: &Network,
        dataset: &Dataset,
        recipe: &Recipe,
        epochs: u32,
    ) -> Option<u32> {
        let training = CheckpointFolder::training(architecture, dataset, recipe);
        self.checkpoints.as_ref()?.latest_epoch(&training, epochs)
    }

    /// The learning curve of a training whose checkpoints are stored.
    pub(crate) fn curve(
        &self,
        architecture: &Network,
        dataset: &Dataset,
        recipe: &Recipe,
    ) -> Vec<CurvePoint> {
        let training = CheckpointFolder::training(architecture, dataset, recipe);
        let folder = self.checkpoints.as_ref();
        folder.map_or_else(Vec::new, |folder| folder.curve(&training))
    }

    /// Deletes the checkpoints of a training.
    pub fn forget(&self, architecture: &Network, dataset: &Dataset, recipe: &Recipe) {
        if let Some(folder) = &self.checkpoints {
            folder.forget(&CheckpointFolder::training(architecture, dataset, recipe));
        }
    }
}
