//! Answers questions of the genomaster about trainings that this miner has answered, and delivers
//! checkpoints and weights.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use naschain_consensus::{MinerId, Question};
use naschain_core::{Network, Recipe, StepState};
use naschain_run::{MinerQuestion, RunSpec};
use naschain_train::{Checkpoint, Dataset, LinkedWeights, state_at, step_states, steps_an_epoch};
use tokio::sync::watch;

use crate::client::transport::{Transport, TransportError};
use crate::miner::trainer::Trainer;
use crate::printable::printable;

/// Maximum time for which the genomaster may hold a request for questions open.
const WAIT_MS: u64 = 20_000;
/// Pause after a failed request.
const RETRY: Duration = Duration::from_secs(2);
/// Maximum pause after a question that could not be answered.
const MAX_RETRY: Duration = Duration::from_secs(30);
/// How often the parts of a file may fail.
const MAX_ATTEMPTS: u32 = 100;
/// Size of a part of a file. The genomaster accepts no larger one.
const PART_BYTES: usize = 64 * 1024;

/// Whether one of the workers of a miner has started to answer its questions.
pub(super) type Witnessing = Arc<AtomicBool>;

/// Answers the questions to one miner in one run.
pub(super) struct Witness {
    pub(super) name: MinerId,
    pub(super) transport: Transport,
    pub(super) trainer: Trainer,
    pub(super) spec: RunSpec,
    pub(super) dataset: Arc<Dataset>,
    /// Becomes true when computing must stop. What is stored is delivered all the same.
    pub(super) stop: watch::Receiver<bool>,
}

/// A training that a question is about.
struct AskedTraining {
    architecture: Network,
    recipe: Recipe,
    last_epoch: u32,
}

impl Witness {
    /// Whether miners of this run are asked anything.
    pub(super) fn is_needed(spec: &RunSpec) -> bool {
        spec.rules.referee.is_some() || spec.collects_models
    }

    /// Starts in a task of its own, unless another worker of the miner has.
    pub(super) fn start(self, witnessing: &Witnessing) {
        if witnessing.swap(true, Ordering::AcqRel) {
            return;
        }
        let witnessing = witnessing.clone();
        tokio::spawn(async move {
            self.work().await;
            witnessing.store(false, Ordering::Release);
        });
    }

    /// Works until the run is over or another run has taken its place.
    async fn work(self) {
        let run = self.spec.digest();
        let mut failures: u32 = 0;
        loop {
            let asked = self.transport.questions(&self.name, run, WAIT_MS).await;
            let asked = match asked {
                Ok(asked) => asked,
                Err(TransportError::OtherRun(_) | TransportError::NotJoined(_)) => return,
                Err(error) => {
                    tracing::debug!("{}: questions: {error}", self.name);
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            };
            if asked.questions.is_empty() && asked.finished {
                return;
            }
            self.answer_all(&asked.questions, &mut failures).await;
        }
    }

    /// Answers the questions that are open now.
    pub(super) async fn answer_open(&self) -> Result<()> {
        let run = self.spec.digest();
        let asked = self.transport.questions(&self.name, run, 0).await?;
        self.answer_all(&asked.questions, &mut 0).await;
        Ok(())
    }

    async fn answer_all(&self, questions: &[MinerQuestion], failures: &mut u32) {
        for question in questions {
            match self.answer(question).await {
                Ok(()) => *failures = 0,
                Err(error) => {
                    *failures += 1;
                    let (name, asked) = (&self.name, question.question);
                    let error = format!("{error:#}");
                    tracing::warn!("{name}: cannot answer {asked}: {}", printable(&error));
                    tokio::time::sleep((RETRY * *failures).min(MAX_RETRY)).await;
                }
            }
        }
    }

    async fn answer(&self, asked: &MinerQuestion) -> Result<()> {
        let (name, number, job) = (&self.name, asked.question, asked.job);
        let run = self.spec.digest();
        let training = AskedTraining {
            architecture: self.spec.space.decode(&asked.genome)?,
            recipe: self.spec.seeded_recipe(asked.training_seed),
            last_epoch: asked.last_epoch,
        };
        let sent = match &asked.what {
            Question::States { steps } => {
                tracing::info!("{name}: {job}: computing {} states again", steps.len());
                let steps = steps.clone();
                let states = self.blocking(move |witness| witness.states(&training, &steps));
                let states = states.await?;
                self.transport.testify(name, run, number, states).await
            }
            Question::Checkpoint { step, state } => {
                let (step, state) = (*step, *state);
                let file = self.blocking(move |witness| witness.checkpoint(&training, step, state));
                self.deliver(asked, file.await?).await
            }
            Question::Weights { .. } => {
                let file = self.blocking(move |witness| witness.weights(&training));
                self.deliver(asked, file.await?).await
            }
            _ => bail!("this version does not know what it asks for"),
        };
        match sent {
            // Answered before, or the time is over; or this machine computes other bits than the miners
            // that agreed, and will be asked until its time is over.
            Err(TransportError::Refused(reason)) => {
                tracing::debug!("{name}: {reason}");
                tokio::time::sleep(RETRY).await;
                Ok(())
            }
            sent => Ok(sent?),
        }
    }

    /// Computes on a thread that may take long.
    async fn blocking<T: Send + 'static>(
        &self,
        compute: impl FnOnce(&Computing) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let computing = Computing {
            trainer: self.trainer.clone(),
            dataset: self.dataset.clone(),
            stop: self.stop.clone(),
        };
        let computed = tokio::task::spawn_blocking(move || compute(&computing));
        computed.await.context("the computation panicked")?
    }

    /// Sends a file in parts, from where an earlier attempt ended.
    async fn deliver(&self, asked: &MinerQuestion, file: Vec<u8>) -> Result<(), TransportError> {
        let (name, question) = (&self.name, asked.question);
        let mut received = self.transport.received(name, question).await? as usize;
        if received >= file.len() {
            received = 0;
        }
        let (size, mut attempts) = (file.len() as u64, MAX_ATTEMPTS);
        while received < file.len() {
            let part = &file[received..file.len().min(received + PART_BYTES)];
            let sent =
                self.transport
                    .put_part(name, question, received as u64, size, part.to_vec());
            received = match sent.await {
                // Too many requests, or a genomaster that is being replaced: the file is kept.
                Err(TransportError::Unavailable(reason)) if attempts > 0 => {
                    attempts -= 1;
                    tracing::debug!("{name}: {reason}");
                    tokio::time::sleep(RETRY).await;
                    self.transport.received(name, question).await?
                }
                sent => sent?,
            } as usize;
        }
        tracing::info!(
            "{name}: {}: delivered {} KiB",
            asked.job,
            size.div_ceil(1024)
        );
        Ok(())
    }
}

/// What a computation needs.
struct Computing {
    trainer: Trainer,
    dataset: Arc<Dataset>,
    stop: watch::Receiver<bool>,
}

impl Computing {
    fn proceed(&self) -> ControlFlow<()> {
        if *self.stop.borrow() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// The latest stored checkpoint that is not after a step.
    fn stored(&self, training: &AskedTraining, step: u64) -> Option<Checkpoint> {
        let (architecture, recipe) = (&training.architecture, &training.recipe);
        let epochs = epochs_before(step, recipe);
        self.trainer
            .stored(architecture, &self.dataset, recipe, epochs)
    }

    fn stored_epoch(&self, training: &AskedTraining, step: u64) -> Option<u32> {
        let (architecture, recipe) = (&training.architecture, &training.recipe);
        let epochs = epochs_before(step, recipe);
        self.trainer
            .stored_epoch(architecture, &self.dataset, recipe, epochs)
    }

    /// The states at these steps, which ascend. Each stretch begins at the latest stored checkpoint, so
    /// that distant steps do not make everything between them be computed again.
    fn states(&self, training: &AskedTraining, steps: &[u64]) -> Result<Vec<StepState>> {
        let (architecture, recipe) = (&training.architecture, &training.recipe);
        let mut states = Vec::new();
        let mut rest = steps;
        while let Some(&first) = rest.first() {
            let from = self.stored(training, first);
            // The steps that a later checkpoint would not be nearer to.
            let epoch = self.stored_epoch(training, first);
            let nearer = |step: &u64| self.stored_epoch(training, *step) == epoch;
            let count = 1 + rest[1..].iter().take_while(|step| nearer(step)).count();
            let options = self.trainer.options;
            states.extend(step_states(
                architecture,
                &self.dataset,
                recipe,
                options,
                from,
                &rest[..count],
                &mut |_| self.proceed(),
            )?);
            rest = &rest[count..];
        }
        Ok(states)
    }

    fn checkpoint(
        &self,
        training: &AskedTraining,
        step: u64,
        wanted: StepState,
    ) -> Result<Vec<u8>> {
        let (architecture, recipe) = (&training.architecture, &training.recipe);
        let from = self.stored(training, step);
        let proceed = &mut |_| self.proceed();
        let options = self.trainer.options;
        let dataset = &self.dataset;
        let found = state_at(architecture, dataset, recipe, options, from, step, proceed)?;
        let state = found.step_state(recipe);
        if state != wanted {
            tracing::warn!("the state after step {step} is {state:?} here, not {wanted:?}");
        }
        Ok(found.to_bytes()?)
    }

    fn weights(&self, training: &AskedTraining) -> Result<Vec<u8>> {
        let (architecture, recipe) = (&training.architecture, &training.recipe);
        let last = training.last_epoch;
        let stored = self
            .trainer
            .stored(architecture, &self.dataset, recipe, last);
        let is_whole = |found: &Checkpoint| found.epoch() == last;
        let stored = stored.filter(is_whole);
        if last < recipe.epochs {
            // The training goes on from here.
            let step = u64::from(last) * steps_an_epoch(recipe);
            let (dataset, options) = (&self.dataset, self.trainer.options);
            let proceed = &mut |_| self.proceed();
            let found = state_at(
                architecture,
                dataset,
                recipe,
                options,
                stored,
                step,
                proceed,
            )?;
            return Ok(found.to_bytes()?);
        }
        let mut weights = match stored {
            Some(checkpoint) => LinkedWeights::from(checkpoint),
            // Deleted, or never stored: the training is repeated.
            None => {
                let mut proceed = |_: &_, _| self.proceed();
                let (dataset, trainer) = (&self.dataset, &self.trainer);
                let trained = trainer.train(architecture, dataset, recipe, last, &mut proceed);
                LinkedWeights::from(trained?)
            }
        };
        weights.curve = self.trainer.curve(architecture, &self.dataset, recipe);
        Ok(weights.to_bytes()?)
    }
}

/// The number of epochs that are finished after so many steps.
fn epochs_before(step: u64, recipe: &Recipe) -> u32 {
    let epochs = step / steps_an_epoch(recipe).max(1);
    u32::try_from(epochs).unwrap_or(u32::MAX)
}
