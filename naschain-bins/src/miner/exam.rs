//! The miner's side of the entrance examination.

use std::ops::ControlFlow;
use std::sync::Arc;

use anyhow::{Context, Result};
use naschain_core::Digest;
use naschain_train::{Dataset, Epoch, Error, Options};
use tokio::sync::watch;

use crate::miner::trainer::Trainer;
use naschain_run::{Exam, RunSpec};

/// Trains an examination that came from the network; returns its digest, or `None` if the miner must
/// stop.
///
/// # Errors
/// If the examination is not one of the run or costs too much.
pub(crate) async fn train(
    trainer: &Trainer,
    spec: &RunSpec,
    dataset: Arc<Dataset>,
    exam: Exam,
    stop: watch::Receiver<bool>,
) -> Result<Option<Digest>> {
    exam.check(spec)?;
    // It takes a second, too short for a checkpoint.
    let (options, spec) = (trainer.options, spec.clone());
    let training = tokio::task::spawn_blocking(move || {
        train_exam(&exam, &spec, &dataset, options, || *stop.borrow())
    });
    training
        .await
        .context("the training of the entrance examination panicked")?
        .context("the entrance examination cannot be trained")
}

/// Trains an examination of a run on the run's data; returns its digest, or `None` once `stop`
/// returns `true`, which is asked after each epoch.
///
/// # Errors
/// If the genome is not one of the run's space, and as [`naschain_train::train`].
pub fn train_exam(
    exam: &Exam,
    spec: &RunSpec,
    dataset: &Dataset,
    options: Options,
    stop: impl Fn() -> bool + Sync,
) -> Result<Option<Digest>> {
    let architecture = spec.space.decode(&exam.genome)?;
    let recipe = exam.recipe(&spec.recipe);
    let proceed = &mut |_: &Epoch| {
        if stop() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    match naschain_train::train(&architecture, dataset, &recipe, options, proceed) {
        Ok(trained) => Ok(Some(trained.measurement.digest)),
        Err(Error::Stopped { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use naschain_core::MacroSpace;
    use naschain_run::DataSpec;

    #[tokio::test]
    async fn an_endless_examination_is_refused_and_any_ends_when_the_miner_stops() {
        let dataset = Dataset::digits();
        let space = MacroSpace {
            phases: 1,
            nodes: 3,
            input: dataset.shape,
            init_channels: 4,
            classes: dataset.classes,
        };
        let mut spec = RunSpec::new(space, DataSpec::new("digits", dataset.digest()));
        (spec.recipe.train_images, spec.recipe.validation_images) = (96, 64);
        let (dataset, exam) = (Arc::new(dataset), Exam::draw(&spec, 1, &[7; 32]).unwrap());
        let trainer = Trainer {
            options: Options::default(),
            checkpoints: None,
        };
        let (stop, stopped) = watch::channel(false);
        let begin = |exam| train(&trainer, &spec, dataset.clone(), exam, stopped.clone());
        assert!(begin(exam.clone()).await.unwrap().is_some());
        let mut endless = exam.clone();
        endless.epochs = u32::MAX;
        let error = begin(endless).await.unwrap_err().to_string();
        assert!(
            error.contains("epochs is 4294967295; it must be 1 to 30"),
            "{error}"
        );
        stop.send(true).unwrap();
        assert!(exam.epochs > 1);
        assert_eq!(begin(exam).await.unwrap(), None);
    }
}
