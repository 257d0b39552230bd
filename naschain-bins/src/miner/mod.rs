//! A miner: requests jobs, trains their genomes and submits the results until the run is finished.

pub(crate) mod checkpoint_folder;
pub(crate) mod dataset_cache;
mod delivery;
pub(crate) mod exam;
pub(crate) mod exercises;
mod job_training;
pub(crate) mod many_runs;
pub(crate) mod outbox;
mod pauses;
mod persistence;
pub(crate) mod progress_line;
pub(crate) mod trainer;
mod training_control;
mod witness;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use naschain_consensus::{MinerId, Row};
use naschain_core::{Digest, Genome, Measurement};
use naschain_train::Dataset;
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use crate::client::Joined;
use crate::client::transport::{Transport, TransportError};
use crate::journal::run_folder::check_data;
use crate::journal::versions::check_versions;
use crate::miner::dataset_cache::DatasetCache;
use crate::miner::exercises::check_exactness;
use crate::miner::pauses::{FIRST_PAUSE, stopped};
use crate::miner::trainer::Trainer;
use crate::miner::training_control::TrainingControl;
use crate::miner::witness::Witness;
use crate::printable::printable;
use naschain_run::{Job, JobReply, RunSpec};

/// Maximum time for which the genomaster may hold a request for work open. Shorter than the time
/// without requests after which a miner counts as gone.
const WAIT_MS: u64 = 20_000;
/// Maximum pause after consecutive failed jobs.
const MAX_FAILURE_PAUSE: Duration = Duration::from_secs(60);

/// One worker of a miner: runs one training at a time.
#[derive(Clone)]
pub struct Miner {
    /// The miner's name; workers share it.
    pub name: MinerId,
    /// Connection to the genomaster.
    pub transport: Transport,
    /// Runs its trainings.
    pub trainer: Trainer,
    /// Folder in which data sets are searched first.
    pub data_dir: Option<PathBuf>,
    /// Maximum size of a part of a folder that is kept decoded in memory, in MiB.
    pub keep_images: u64,
    /// Number of workers with this name.
    pub jobs: u32,
    /// Folder of answers that are not delivered yet; if `None`, they are lost if the process ends.
    pub outbox: Option<PathBuf>,
    /// The data set that was loaded last; workers share it.
    pub dataset_cache: Arc<DatasetCache>,
    /// Results of earlier trainings of the same run by genome, which are not trained again.
    pub known: Arc<BTreeMap<Genome, Measurement>>,
    /// Whether a worker answers the miner's questions; workers share it.
    pub witnessing: Arc<AtomicBool>,
    /// Becomes true when the miner must stop.
    pub stop: watch::Receiver<bool>,
}

/// The reply to a request for work.
enum Next {
    Reply(JobReply),
    /// The miner has to join first; the text tells why.
    Join(String),
}

/// How a request for work ended.
enum Ended {
    /// There may be more jobs.
    Job,
    /// The run is finished.
    Run,
    /// The miner must stop.
    Stopped,
}

/// A run and its data.
#[derive(Clone)]
struct PreparedRun {
    spec: RunSpec,
    dataset: Arc<Dataset>,
}

impl Miner {
    /// Works until the run is finished or `stop` becomes true. `dataset` is the run's data set, if
    /// the caller has loaded it already. Returns the run that the miner still takes part in, if it
    /// had to stop before the run's end.
    ///
    /// # Errors
    /// Only before the first job, where wrong flags or data show up. Later errors are logged
    /// and retried, since a miner has to survive failures of the genomaster.
    pub async fn work(mut self, dataset: Option<Arc<Dataset>>) -> Result<Option<Digest>> {
        let Some(mut prepared) = self.prepare(dataset).await? else {
            return Ok(None);
        };
        let mut failures = 0;
        while !*self.stop.borrow() {
            match self.one_job(&mut prepared, WAIT_MS).await {
                Ok(Ended::Job) => failures = 0,
                Ok(Ended::Run) => {
                    self.last_questions().await;
                    tracing::info!("{}: the run is finished", self.name);
                    return Ok(None);
                }
                Ok(Ended::Stopped) => break,
                Err(error) => {
                    failures += 1;
                    self.pause_after(&error, failures).await;
                }
            }
        }
        Ok(Some(prepared.spec.digest()))
    }

    /// Pauses after the given number of failures in a row, of which this is the last.
    async fn pause_after(&mut self, error: &anyhow::Error, failures: u32) {
        // The exponent is limited, so that the power does not overflow.
        let pause = (FIRST_PAUSE * 2_u32.pow(failures.min(10))).min(MAX_FAILURE_PAUSE);
        // The genomaster's texts may be part of it.
        let error = format!("{error:#}");
        let (name, error) = (&self.name, printable(&error));
        tracing::error!("{name}: {error}; retrying in {pause:?}");
        tokio::select! {
            _ = tokio::time::sleep(pause) => {}
            _ = stopped(&mut self.stop) => {}
        }
    }

    /// Requests a job, for which it waits at most `wait_ms` milliseconds, and does it.
    async fn one_job(&mut self, prepared: &mut PreparedRun, wait_ms: u64) -> Result<Ended> {
        let run = prepared.spec.digest();
        match self.next_job(run, wait_ms).await? {
            None => return Ok(Ended::Stopped),
            Some(Next::Join(reason)) => {
                tracing::info!("{}: joining again: {reason}", self.name);
                match self.prepare(None).await? {
                    Some(other) => *prepared = other,
                    None => return Ok(Ended::Stopped),
                }
            }
            Some(Next::Reply(JobReply::Wait)) => {}
            Some(Next::Reply(JobReply::Finished)) => return Ok(Ended::Run),
            Some(Next::Reply(JobReply::Job(job))) => {
                ensure!(
                    job.run == run,
                    "the genomaster assigned a job of run {}, but its specification is run {run}'s",
                    job.run
                );
                match self.train(prepared, &job).await {
                    Some(Ok(row)) => self.answer(&job, row).await?,
                    Some(Err(reason)) => {
                        self.answer(&job, Row::Failed(reason.clone())).await?;
                        // An error, so that the caller pauses: a broken machine must not fail job
                        // after job at full speed.
                        bail!("{} failed: {reason}", job.job);
                    }
                    None => {}
                }
            }
        }
        Ok(Ended::Job)
    }

    /// Fetches the run's specification, loads its data and joins; `None` when the miner must stop.
    async fn prepare(&mut self, dataset: Option<Arc<Dataset>>) -> Result<Option<PreparedRun>> {
        let transport = self.transport.clone();
        let Some(spec) = self.persist(|| transport.run()).await? else {
            return Ok(None);
        };
        check_versions("this miner", &spec.versions)?;
        // In this process, the networks within the limit are searched.
        if !self.transport.is_local() {
            self.trainer.check_run(&spec)?;
            let (options, rule) = (self.trainer.options, spec.rules.agreement.rule);
            spawn_blocking(move || check_exactness(options, rule)).await??;
        }
        let dataset = match dataset {
            Some(dataset) => dataset,
            None => {
                let dir = self.data_dir.clone();
                self.dataset_cache.get(&spec, dir, self.keep_images).await?
            }
        };
        check_data(&spec, &dataset)?;
        if !self.join(&spec, &dataset).await? {
            return Ok(None);
        }
        tracing::info!(
            "{} joined: {} on {}",
            self.name,
            spec.data.name,
            self.trainer.options.device
        );
        self.answer_questions(&spec, &dataset);
        // After joining: answers of miners that have not joined are refused.
        self.deliver_pending(&spec).await?;
        Ok(Some(PreparedRun { spec, dataset }))
    }

    /// Waits until nobody asks about trainings any more. A genomaster that was just restarted does not
    /// know yet that this miner answers.
    async fn last_questions(&mut self) {
        while self.witnessing.load(Ordering::Acquire) && !*self.stop.borrow() {
            tokio::time::sleep(FIRST_PAUSE).await;
        }
    }

    /// Answers questions from now on, if the run asks any and no other worker answers them.
    fn answer_questions(&self, spec: &RunSpec, dataset: &Arc<Dataset>) {
        if Witness::is_needed(spec) {
            let witness = Witness {
                name: self.name.clone(),
                transport: self.transport.clone(),
                trainer: self.trainer.clone(),
                spec: spec.clone(),
                dataset: dataset.clone(),
                stop: self.stop.clone(),
            };
            witness.start(&self.witnessing);
        }
    }

    /// Joins the run, after an entrance examination if the genomaster wants one; false when the miner
    /// must stop.
    async fn join(&mut self, spec: &RunSpec, dataset: &Arc<Dataset>) -> Result<bool> {
        let (transport, name, jobs) = (self.transport.clone(), self.name.clone(), self.jobs);
        let run = spec.digest();
        loop {
            let exam = match self.persist(|| transport.join(&name, run, jobs)).await? {
                None => return Ok(false),
                Some(Joined::Admitted) => return Ok(true),
                Some(Joined::Examined(exam)) => exam,
            };
            tracing::info!("{name}: training the entrance examination");
            let (dataset, stop) = (dataset.clone(), self.stop.clone());
            let training = exam::train(&self.trainer, spec, dataset, exam.clone(), stop);
            let Some(digest) = training.await? else {
                return Ok(false);
            };
            let sent = self.persist(|| transport.pass_exam(&name, &exam, digest));
            if sent.await?.is_none() {
                return Ok(false);
            }
        }
    }

    async fn next_job(&mut self, run: Digest, wait_ms: u64) -> Result<Option<Next>> {
        let (transport, name) = (self.transport.clone(), self.name.clone());
        self.persist(|| async {
            match transport.request(&name, run, wait_ms).await {
                Ok(reply) => Ok(Next::Reply(reply)),
                // Its place has expired, or the genomaster was restarted with a new run.
                Err(TransportError::NotJoined(reason) | TransportError::OtherRun(reason)) => {
                    Ok(Next::Join(reason))
                }
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Trains the job's genome; `None` when its lease has ended or the miner must stop.
    ///
    /// # Errors
    /// The inner error is a fault of this machine. A training that fails on every machine, such
    /// as one that diverges, is a result.
    async fn train(&mut self, prepared: &PreparedRun, job: &Job) -> Option<Result<Row, String>> {
        progress_line::job_began(|| {
            format!("{}: {} {} ({})", self.name, job.job, job.genome, job.lease)
        });
        let known = self.known.get(&job.genome);
        if let Some(measurement) = known.filter(|_| job.part.is_none()) {
            return Some(Ok(Row::Measured(*measurement)));
        }
        let first_epoch = job.part.map_or(0, |part| part.from_epoch);
        let control = Arc::new(TrainingControl::new(first_epoch));
        let training = self.train_job(prepared, job, control.clone());
        let mut stop = self.stop.clone();
        let finished = tokio::select! {
            finished = training => finished,
            never = self.heartbeats(job, &control) => match never {},
            _ = stopped(&mut stop) => {
                // Not awaited: the training ends only after its current epoch, which may take long.
                // In this order: a training that sees the second has to see the first.
                control.leaving.store(true, Ordering::Release);
                control.abandoned.store(true, Ordering::Release);
                return None;
            }
        };
        finished.map_err(|error| error.to_string()).transpose()
    }

    /// Sends a heartbeat after each epoch and, during long epochs, three times per lease.
    async fn heartbeats(&self, job: &Job, control: &TrainingControl) -> Infallible {
        // The training's thread only sets an atomic number, so it has to be polled.
        const POLL: Duration = Duration::from_millis(100);
        let beat = Duration::from_millis((job.lease_ms / 3).clamp(100, 20_000));
        let mut reported = 0;
        let mut quiet = Duration::ZERO;
        loop {
            tokio::time::sleep(POLL).await;
            quiet += POLL;
            let done = control.epoch.load(Ordering::Relaxed);
            if done == reported && quiet < beat {
                continue;
            }
            (reported, quiet) = (done, Duration::ZERO);
            let sent = self
                .transport
                .heartbeat(&self.name, job.run, job.lease, done)
                .await;
            match sent {
                Err(TransportError::LeaseEnded(reason) | TransportError::OtherRun(reason)) => {
                    if self.transport.is_local() {
                        tracing::debug!("{}: dropping {}: {reason}", self.name, job.job);
                    } else {
                        tracing::warn!("{}: dropping {}: {reason}", self.name, job.job);
                    }
                    control.abandoned.store(true, Ordering::Release);
                }
                // A missed heartbeat is harmless: at worst the lease ends, and the next one says
                // so.
                Err(error) => tracing::debug!("{}: heartbeat: {error}", self.name),
                Ok(()) => {}
            }
        }
    }
}
