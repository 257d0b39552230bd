//! A miner: asks for genomes, trains them, answers, for as long as there are any.

pub mod shelf;
pub mod trainer;
pub mod unsent;

use std::convert::Infallible;
use std::future::Future;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use naschain_consensus::{MinerId, Row};
use naschain_core::Digest;
use naschain_train::{Dataset, Epoch, Error};
use tokio::sync::watch;

use crate::cli::training_line::TrainingLine;
use crate::client::transport::{Transport, TransportError};
use crate::journal::run_folder::{check_data, versions};
use crate::miner::shelf::Shelf;
use crate::miner::trainer::Trainer;
use crate::miner::unsent::Answer;
use naschain_run::{Job, JobReply, RunSpec};

/// How long the genomaster may hold a request for work.
const WAIT_MS: u64 = 20_000;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// The pause after many jobs in a row that went wrong.
const LONGEST_TROUBLE: Duration = Duration::from_secs(60);

/// One miner.
#[derive(Clone)]
pub struct Miner {
    /// Its name.
    pub name: MinerId,
    /// Its way to the genomaster.
    pub transport: Transport,
    /// Where and how it trains.
    pub trainer: Trainer,
    /// Where data sets are looked for first.
    pub data_dir: Option<PathBuf>,
    /// Mebibytes of a folder's pictures that are kept in memory.
    pub keep_images: u64,
    /// How many of these work at the same time under this name, each at one training.
    pub jobs: u32,
    /// Where answers are kept until they are taken; without it they are lost with the process.
    pub unsent: Option<PathBuf>,
    /// The data set that was read last, for all that work under this name.
    pub shelf: Arc<Shelf>,
    /// True once it is to stop.
    pub stop: watch::Receiver<bool>,
}

/// A run as a miner knows it: what to do and what to do it with.
struct Work {
    spec: RunSpec,
    dataset: Arc<Dataset>,
}

/// What a training and its miner tell each other.
#[derive(Default)]
struct Watched {
    /// Epochs finished.
    epoch: AtomicU32,
    /// Whether the training is to stop after this epoch.
    abandoned: AtomicBool,
    /// Whether that is because the miner stops, and may go on with it another time.
    leaving: AtomicBool,
}

impl Watched {
    fn after(&self, epoch: &Epoch, images_per_second: f64) -> ControlFlow<()> {
        tracing::debug!(
            "epoch {}: loss {:.4}, training accuracy {} %, rate {:.5}, {images_per_second:.0} images/s, digest {}",
            epoch.number,
            epoch.loss,
            epoch.train_accuracy,
            epoch.learning_rate,
            epoch.digest
        );
        self.epoch.store(epoch.number, Ordering::Relaxed);
        match self.abandoned.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

impl Miner {
    /// Works until the run is finished or the miner is told to stop. Only what is wrong before
    /// the first job is an error; later on, what goes wrong is logged and tried again.
    ///
    /// `dataset` is the data if the caller has it already; it is checked like any other. Returns
    /// the run that the miner still takes part in, if it was told to stop before the run's end.
    pub async fn work(mut self, dataset: Option<Arc<Dataset>>) -> Result<Option<Digest>> {
        let Some(mut work) = self.prepare(dataset).await? else {
            return Ok(None);
        };
        let mut troubles = 0;
        while !*self.stop.borrow() {
            match self.one_job(&mut work).await {
                Ok(true) => troubles = 0,
                Ok(false) if !*self.stop.borrow() => return Ok(None),
                Ok(false) => break,
                Err(error) => {
                    troubles += 1;
                    let pause = (FIRST_PAUSE * 2_u32.pow(troubles.min(10))).min(LONGEST_TROUBLE);
                    tracing::error!("{}: {error:#}; going on in {pause:?}", self.name);
                    tokio::select! {
                        _ = tokio::time::sleep(pause) => {}
                        _ = stopped(&mut self.stop) => {}
                    }
                }
            }
        }
        Ok(Some(work.spec.digest()))
    }

    /// Asks for a job and does it; says whether there may be more.
    async fn one_job(&mut self, work: &mut Work) -> Result<bool> {
        match self.next_job().await? {
            None => return Ok(false),
            Some(JobReply::Wait) => {}
            Some(JobReply::Finished) => {
                tracing::info!("{}: the run is finished", self.name);
                return Ok(false);
            }
            Some(JobReply::Job(job)) => {
                if job.run != work.spec.digest() {
                    tracing::info!("{}: the genomaster has another run now", self.name);
                    match self.prepare(None).await? {
                        Some(other) => *work = other,
                        None => return Ok(false),
                    }
                    ensure!(
                        job.run == work.spec.digest(),
                        "the genomaster's jobs are of run {}, its specification is of run {}",
                        job.run,
                        work.spec.digest()
                    );
                }
                match self.train(work, &job).await {
                    Some(Ok(row)) => self.answer(&job, row).await?,
                    Some(Err(why)) => {
                        self.answer(&job, Row::Failed(why.clone())).await?;
                        // A machine that fails at everything should not fail at full speed.
                        bail!("{} failed: {why}", job.job);
                    }
                    None => {}
                }
            }
        }
        Ok(true)
    }

    /// Learns what the run is, gets its data and joins; nothing when told to stop.
    async fn prepare(&mut self, dataset: Option<Arc<Dataset>>) -> Result<Option<Work>> {
        let transport = self.transport.clone();
        let Some(spec) = self.persist(|| transport.run()).await? else {
            return Ok(None);
        };
        spec.validate()
            .context("the genomaster's run specification is wrong")?;
        ensure!(
            spec.versions == versions(),
            "this miner has versions {:?}, the run needs {:?}: bits would differ",
            versions(),
            spec.versions
        );
        let dataset = match dataset {
            Some(dataset) => dataset,
            None => {
                self.shelf
                    .get(
                        &spec.data.name.parse()?,
                        self.data_dir.clone(),
                        self.keep_images,
                    )
                    .await?
            }
        };
        check_data(&spec, &dataset)?;
        let (transport, name, jobs) = (self.transport.clone(), self.name.clone(), self.jobs);
        if self
            .persist(|| transport.join(&name, jobs))
            .await?
            .is_none()
        {
            return Ok(None);
        }
        tracing::info!(
            "{} joined: {} on {}",
            self.name,
            spec.data.name,
            self.trainer.options.device
        );
        self.deliver_kept(&spec).await?;
        Ok(Some(Work { spec, dataset }))
    }

    /// Delivers what an earlier process of this miner could not.
    async fn deliver_kept(&mut self, spec: &RunSpec) -> Result<()> {
        let Some(dir) = self.unsent.clone() else {
            return Ok(());
        };
        for answer in unsent::kept(&dir, &self.name) {
            if answer.run == spec.digest() {
                tracing::info!("{}: delivering a kept answer for {}", self.name, answer.job);
                self.deliver(&answer).await?;
            }
        }
        Ok(())
    }

    async fn next_job(&mut self) -> Result<Option<JobReply>> {
        let (transport, name, jobs) = (self.transport.clone(), self.name.clone(), self.jobs);
        self.persist(|| async {
            match transport.request(&name, WAIT_MS).await {
                // The genomaster may have been started afresh.
                Err(TransportError::NotJoined(_)) => {
                    transport.join(&name, jobs).await?;
                    transport.request(&name, WAIT_MS).await
                }
                other => other,
            }
        })
        .await
    }

    /// Trains the job's genome; nothing when its lease ended or the miner is to stop. An error is
    /// one of this machine, not of the network.
    async fn train(&mut self, work: &Work, job: &Job) -> Option<Result<Row, String>> {
        tracing::info!("{}: {} {} ({})", self.name, job.job, job.genome, job.lease);
        let watched = Arc::new(Watched::default());
        let training = tokio::task::spawn_blocking({
            let (spec, dataset, genome) =
                (work.spec.clone(), work.dataset.clone(), job.genome.clone());
            let (trainer, watched) = (self.trainer.clone(), watched.clone());
            let mut line = TrainingLine::new(job.job.to_string(), work.spec.recipe.epochs);
            move || -> Result<Option<Row>, Error> {
                let architecture = spec.space.decode(&genome)?;
                let mut on_epoch = |epoch: &Epoch, speed| {
                    line.epoch(epoch.number, speed);
                    watched.after(epoch, speed)
                };
                let recipe = &spec.recipe;
                match trainer.train(&architecture, &dataset, recipe, &mut on_epoch) {
                    Ok(trained) => Ok(Some(Row::Measured(trained.measurement))),
                    Err(Error::Stopped { .. }) => {
                        if !watched.leaving.load(Ordering::Relaxed) {
                            trainer.forget(&architecture, &dataset, recipe);
                        }
                        Ok(None)
                    }
                    Err(error @ (Error::Diverged { .. } | Error::MemoryLimit { .. })) => {
                        Ok(Some(Row::Failed(error.to_string())))
                    }
                    Err(error) => Err(error),
                }
            }
        });
        let mut stop = self.stop.clone();
        let finished = tokio::select! {
            finished = training => finished,
            never = self.heartbeats(job, &watched) => match never {},
            _ = stopped(&mut stop) => {
                watched.leaving.store(true, Ordering::Relaxed);
                watched.abandoned.store(true, Ordering::Relaxed);
                return None;
            }
        };
        match finished {
            Ok(Ok(row)) => row.map(Ok),
            Ok(Err(error)) => Some(Err(error.to_string())),
            Err(_) => Some(Err("the training panicked".to_owned())),
        }
    }

    /// Tells the genomaster of each epoch, and in long ones that the work goes on.
    async fn heartbeats(&self, job: &Job, watched: &Watched) -> Infallible {
        const LOOK: Duration = Duration::from_millis(100);
        let beat = Duration::from_millis((job.lease_ms / 3).clamp(100, 20_000));
        let mut told = 0;
        let mut quiet = Duration::ZERO;
        loop {
            tokio::time::sleep(LOOK).await;
            quiet += LOOK;
            let done = watched.epoch.load(Ordering::Relaxed);
            if done == told && quiet < beat {
                continue;
            }
            (told, quiet) = (done, Duration::ZERO);
            match self.transport.heartbeat(&self.name, job.lease, done).await {
                Err(TransportError::LeaseEnded(reason)) => {
                    tracing::warn!("{}: dropping {}: {reason}", self.name, job.job);
                    watched.abandoned.store(true, Ordering::Relaxed);
                }
                // Nothing is lost by a missed heartbeat; the answer will be tried until taken.
                Err(error) => tracing::debug!("{}: heartbeat: {error}", self.name),
                Ok(()) => {}
            }
        }
    }

    /// Delivers the answer, however long the genomaster is away.
    async fn answer(&mut self, job: &Job, row: Row) -> Result<()> {
        if let Row::Measured(measurement) = &row {
            let accuracy = measurement.accuracy;
            tracing::info!("{}: {} reached {accuracy} %", self.name, job.job);
        }
        let answer = Answer {
            miner: self.name.clone(),
            run: job.run,
            job: job.job,
            lease: job.lease,
            row,
        };
        if let Some(Err(error)) = self.unsent.as_ref().map(|dir| answer.keep(dir)) {
            tracing::warn!("{}: the answer is not kept: {error:#}", self.name);
        }
        self.deliver(&answer).await
    }

    async fn deliver(&mut self, answer: &Answer) -> Result<()> {
        let (transport, name) = (self.transport.clone(), self.name.clone());
        let deliver = || async {
            match transport
                .submit(&name, answer.run, answer.lease, &answer.row)
                .await
            {
                Err(TransportError::LeaseEnded(reason) | TransportError::NotJoined(reason)) => {
                    tracing::warn!(
                        "{name}: the answer for {} came too late: {reason}",
                        answer.job
                    );
                    Ok(Ok(()))
                }
                Err(TransportError::Refused(reason)) => Ok(Err(reason)),
                other => other.map(Ok),
            }
        };
        // Where the genomaster has not looked at it, or the miner is to stop, it is kept.
        let Some(looked_at) = self.persist(deliver).await? else {
            return Ok(());
        };
        if let Some(dir) = &self.unsent {
            answer.forget(dir);
        }
        looked_at.map_err(|reason| anyhow::anyhow!("the genomaster refuses: {reason}"))
    }

    /// Calls until the genomaster is there, with growing pauses; nothing when told to stop.
    async fn persist<T, F: Future<Output = Result<T, TransportError>>>(
        &mut self,
        call: impl Fn() -> F,
    ) -> Result<Option<T>> {
        let mut pause = FIRST_PAUSE;
        loop {
            let result = tokio::select! {
                result = call() => result,
                _ = stopped(&mut self.stop) => return Ok(None),
            };
            match result {
                Ok(value) => return Ok(Some(value)),
                Err(TransportError::Unavailable(reason)) => {
                    tracing::warn!("{}: {reason}; trying again in {pause:?}", self.name);
                }
                Err(error) => bail!("{error}"),
            }
            tokio::select! {
                _ = tokio::time::sleep(pause) => {}
                _ = stopped(&mut self.stop) => return Ok(None),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Returns once the miner is to stop; never, if nobody can tell it to any more.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}
