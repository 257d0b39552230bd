//! The miner's side of the entrance examination.

use std::ops::ControlFlow;
use std::sync::Arc;

use anyhow::{Context, Result};
use naschain_core::Digest;
use naschain_train::{Dataset, Epoch};

use crate::miner::trainer::Trainer;
use naschain_run::{Exam, RunSpec};

/// Trains an examination; returns its digest.
pub(crate) async fn train(
    trainer: &Trainer,
    spec: &RunSpec,
    dataset: Arc<Dataset>,
    exam: Exam,
) -> Result<Digest> {
    // It takes a second, too short for a checkpoint.
    let (options, spec) = (trainer.options, spec.clone());
    let training = tokio::task::spawn_blocking(move || -> Result<Digest> {
        let architecture = spec.space.decode(&exam.genome)?;
        let recipe = exam.recipe(&spec.recipe);
        let proceed = &mut |_: &Epoch| ControlFlow::Continue(());
        let trained = naschain_train::train(&architecture, &dataset, &recipe, options, proceed)?;
        Ok(trained.measurement.digest)
    });
    training
        .await
        .context("the training of the entrance examination panicked")?
        .context("the entrance examination cannot be trained")
}
