//! Training with a checkpoint after each epoch.

use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::ensure;
use naschain_core::{Architecture, Genome, Recipe};
use naschain_train::{
    Checkpoint, Dataset, Epoch, Error, Options, Trained, train_from, training_memory_bytes,
};

use crate::clock;
use naschain_run::RunSpec;

/// Runs a miner's trainings.
#[derive(Clone, Debug)]
pub struct Trainer {
    /// Device, threads and memory limit.
    pub options: Options,
    /// Folder of the checkpoints; without one, an interrupted training starts over.
    pub checkpoints: Option<PathBuf>,
}

impl Trainer {
    /// Refuses a run in which the network with all connections needs more memory than one training
    /// may use: its jobs would end this process, or fail and count against the miner.
    ///
    /// # Errors
    /// Names both amounts.
    pub fn check_memory(&self, spec: &RunSpec) -> anyhow::Result<()> {
        let Some(limit_bytes) = self.options.memory_limit_bytes else {
            return Ok(());
        };
        let ones = std::iter::repeat_n(true, spec.space.genome_len());
        let largest = spec.space.decode(&Genome::from_bits(ones))?;
        let needed_bytes = training_memory_bytes(&largest, &spec.recipe, self.options.threads);
        ensure!(
            needed_bytes <= limit_bytes,
            "the networks of run {} need up to {} MiB of memory; --memory-limit is {} MiB",
            spec.digest(),
            needed_bytes.div_ceil(1 << 20),
            limit_bytes >> 20
        );
        Ok(())
    }

    /// Trains, resuming from the checkpoint of the same training if there is one. `on_epoch` gets
    /// each epoch and its speed in images per second.
    ///
    /// A checkpoint that cannot be read or written only causes a warning.
    pub fn train(
        &self,
        architecture: &Architecture,
        dataset: &Dataset,
        recipe: &Recipe,
        on_epoch: &mut (dyn FnMut(&Epoch, f64) -> ControlFlow<()> + Send),
    ) -> Result<Trained, Error> {
        let file = self.file(architecture, dataset, recipe);
        let checkpoint = file.as_ref().filter(|file| file.exists());
        let checkpoint = checkpoint.and_then(|file| match Checkpoint::load(file) {
            Ok(checkpoint) => {
                tracing::info!("resuming after epoch {}", checkpoint.epoch());
                Some(checkpoint)
            }
            Err(error) => {
                tracing::warn!("starting over: {error}");
                None
            }
        });
        let mut before = clock::now();
        let mut report = |epoch: &Epoch, checkpoint: &Checkpoint| {
            let now = clock::now();
            let speed = epoch.images_per_second(now - before);
            if let Some(Err(error)) = file.as_ref().map(|file| checkpoint.save(file)) {
                tracing::warn!(
                    "cannot save the checkpoint of epoch {}: {error}",
                    epoch.number
                );
            }
            let flow = on_epoch(epoch, speed);
            // Only now, so that the time for saving the checkpoint does not count for the next
            // epoch.
            before = clock::now();
            flow
        };
        let result = train_from(
            architecture,
            dataset,
            recipe,
            self.options,
            checkpoint,
            &mut report,
        );
        // Only a stopped training can be resumed; after any other end the checkpoint is useless.
        if !matches!(result, Err(Error::Stopped { .. })) {
            self.forget(architecture, dataset, recipe);
        }
        result
    }

    /// Deletes the checkpoint of a training.
    pub fn forget(&self, architecture: &Architecture, dataset: &Dataset, recipe: &Recipe) {
        if let Some(file) = self.file(architecture, dataset, recipe) {
            // There is no file if no epoch was finished.
            let _ = std::fs::remove_file(file);
        }
    }

    fn file(
        &self,
        architecture: &Architecture,
        dataset: &Dataset,
        recipe: &Recipe,
    ) -> Option<PathBuf> {
        let folder = self.checkpoints.as_ref()?;
        let name = Checkpoint::name(architecture, dataset, recipe);
        Some(folder.join(name).with_extension("safetensors"))
    }
}
