//! A validator's own trainings: a sample of the jobs, to find answers that agree and are wrong.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use naschain_consensus::Row;
use naschain_core::{Digest, Recipe};
use naschain_run::{EndedJob, RunSpec, Sample, SampleSecret};
use naschain_train::{Error, Options, train_until};
use serde::Serialize;

use crate::dataset::KEEP_MIB;
use crate::journal::versions::check_versions;
use crate::miner::dataset_cache::DatasetCache;
use crate::miner::exercises::check_exactness;

/// Trains jobs again.
pub(crate) struct Retraining {
    sample: Sample,
    secret: SampleSecret,
    options: Options,
    data_dir: Option<PathBuf>,
    datasets: Arc<DatasetCache>,
}

/// The proof that rows of a job are wrong: everything that somebody needs to repeat the training and
/// to check who signed the rows.
#[derive(Serialize)]
pub(crate) struct WrongJob<'a> {
    /// The run.
    pub run: Digest,
    /// The run's specification.
    pub spec: &'a RunSpec,
    /// The job with its rows and their signed requests.
    #[serde(rename = "batch")]
    pub job: &'a EndedJob,
    /// The seed of its training.
    pub training_seed: u64,
    /// What the validator's training gave.
    pub recomputed: &'a Row,
}

impl Retraining {
    /// Trains a sample of the jobs.
    pub(crate) fn new(
        sample: Sample,
        secret: SampleSecret,
        options: Options,
        data_dir: Option<PathBuf>,
        datasets: Arc<DatasetCache>,
    ) -> Result<Retraining> {
        options.device.check()?;
        Ok(Retraining {
            sample,
            secret,
            options,
            data_dir,
            datasets,
        })
    }

    /// Whether this job is in the sample. `history` is the hash of the history that ends with it.
    pub(crate) fn includes(&self, job: &EndedJob, history: Digest) -> bool {
        self.sample.includes(&self.secret, job.job, history)
    }

    /// Trains a job until this epoch.
    ///
    /// # Errors
    /// If it cannot be trained here. A training that diverges is a result.
    pub(crate) async fn train(
        &self,
        spec: &RunSpec,
        job: &EndedJob,
        recipe: Recipe,
        last_epoch: u32,
    ) -> Result<Row> {
        check_versions("--retrain: this validator", &spec.versions)?;
        let dir = self.data_dir.clone();
        let dataset = self.datasets.get(spec, dir, KEEP_MIB).await;
        let dataset = dataset.context("--retrain needs the data set of the run")?;
        let architecture = spec.space.decode(&job.genome)?;
        let (options, number) = (self.options, job.job);
        let rule = spec.rules.agreement.rule;
        let exact = tokio::task::spawn_blocking(move || check_exactness(options, rule));
        exact.await?.context("--retrain")?;
        tracing::info!("{number}: training it again");
        // In a blocking thread: peers are answered meanwhile.
        let trained = tokio::task::spawn_blocking(move || {
            let mut proceed = |_: &_, _: &_| ControlFlow::Continue(());
            let proceed = &mut proceed;
            train_until(
                &architecture,
                &dataset,
                &recipe,
                options,
                None,
                last_epoch,
                proceed,
            )
        });
        match trained.await? {
            Ok(trained) => Ok(Row::Measured(trained.measurement)),
            Err(error @ Error::Diverged { .. }) => Ok(Row::Failed(error.to_string())),
            Err(error) => Err(error).with_context(|| format!("{number} cannot be trained again")),
        }
    }
}
