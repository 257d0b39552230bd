//! Communication between the thread of a training and its miner.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use naschain_train::Epoch;

/// State shared by a training's thread and its miner.
#[derive(Default)]
pub(super) struct TrainingControl {
    /// The epoch at which the job begins.
    first_epoch: u32,
    /// Number of finished epochs of the job.
    pub(super) epoch: AtomicU32,
    /// Whether the training must stop after the current epoch.
    pub(super) abandoned: AtomicBool,
    /// Whether the training stops because the miner does; its checkpoint is then kept, so that it
    /// can be resumed.
    pub(super) leaving: AtomicBool,
}

impl TrainingControl {
    /// The control of a job that begins after this epoch.
    pub(super) fn new(first_epoch: u32) -> TrainingControl {
        TrainingControl {
            first_epoch,
            ..TrainingControl::default()
        }
    }

    /// Records a finished epoch; returns whether the training continues.
    pub(super) fn after(&self, epoch: &Epoch, images_per_second: f64) -> ControlFlow<()> {
        tracing::debug!(
            "epoch {}: loss {:.4}, training accuracy {} %, rate {:.5}, {images_per_second:.0} images/s, digest {}",
            epoch.number,
            epoch.loss,
            epoch.train_accuracy,
            epoch.learning_rate,
            epoch.digest
        );
        // Without the checkpoint of an earlier job the training begins before this one.
        let done = epoch.number.saturating_sub(self.first_epoch);
        self.epoch.store(done, Ordering::Relaxed);
        if self.abandoned.load(Ordering::Acquire) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}
