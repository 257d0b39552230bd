//! What miners deliver besides answers: checkpoints for the referee, and the weights of the front.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use naschain_consensus::{Event, MinerId, OpenQuestion, Question, QuestionId, Rejected};
use naschain_core::{Architecture, Digest, Recipe};
use naschain_run::{ReceivedBytes, RunState, seeded_recipe};
use naschain_train::{Checkpoint, Dataset, LinkedWeights, Options};
use tokio::sync::Mutex;

use crate::coordinator::Coordinator;
use crate::coordinator::call_error::{CallError, Unavailable};
use crate::coordinator::received::{FilePart, ReceivedFiles};
use crate::files::{create_folder, write_whole};

/// Folder of incomplete files, in the run's folder.
const INCOMPLETE: &str = "received";
/// Folder of the checkpoints by which the referee decided, in the run's folder.
pub(crate) const EVIDENCE: &str = "referee";
/// Folder of delivered weights, in the run's folder.
pub(crate) const DELIVERED: &str = "delivered";
/// Maximum size of all checkpoints by which the referee decided. Above it the oldest are deleted:
/// whoever lies causes one checkpoint for each lie.
const MAX_EVIDENCE_BYTES: u64 = 4 << 30;
/// Bytes of a checkpoint for each parameter: weight, velocity, and at most two statistics.
const BYTES_PER_PARAMETER: u64 = 16;
/// Bytes of a checkpoint besides its tensors, at most.
const HEADER_BYTES: u64 = 4 << 20;

/// The file of a checkpoint by which the referee decided.
pub(crate) fn evidence_file(run_dir: &Path, state: Digest) -> PathBuf {
    run_dir.join(EVIDENCE).join(format!("{state}.safetensors"))
}

/// The file of the weights that a miner delivered for a training.
pub(crate) fn delivered_file(run_dir: &Path, digest: Digest) -> PathBuf {
    let name = format!("{digest}.safetensors");
    run_dir.join(DELIVERED).join(name)
}

/// Receives files, checks them, and stores them in the run's folder.
pub(crate) struct Deliveries {
    pub(super) run_dir: PathBuf,
    pub(super) dataset: Arc<Dataset>,
    /// Device and threads of the referee.
    pub(super) options: Options,
    files: ReceivedFiles,
    /// One part is added at a time.
    turn: Mutex<()>,
}

/// A training of the run.
pub(super) struct JobTraining {
    pub(super) architecture: Architecture,
    pub(super) recipe: Recipe,
    /// The epoch after which it ends, which is before the recipe's last at a rung.
    pub(super) epochs: u32,
}

impl Deliveries {
    pub(crate) fn new(run_dir: &Path, dataset: Arc<Dataset>, options: Options) -> Deliveries {
        Deliveries {
            run_dir: run_dir.to_owned(),
            dataset,
            options,
            files: ReceivedFiles::in_folder(run_dir.join(INCOMPLETE)),
            turn: Mutex::new(()),
        }
    }

    /// Checks a complete file and stores it. The error says what is wrong with the file.
    fn store(&self, what: &Question, training: &JobTraining, bytes: &[u8]) -> Result<()> {
        let (architecture, recipe) = (&training.architecture, &training.recipe);
        let path = match what {
            Question::Checkpoint { step, state } => {
                let checkpoint = Checkpoint::from_bytes(bytes)?;
                checkpoint.check_state(architecture, &self.dataset, recipe, *step, *state)?;
                evidence_file(&self.run_dir, state.state)
            }
            Question::Weights { digest } => {
                LinkedWeights::from_bytes(bytes)?.check(architecture, *digest)?;
                delivered_file(&self.run_dir, *digest)
            }
            _ => anyhow::bail!("it was not asked for a file"),
        };
        create_folder(path.parent().unwrap_or(&self.run_dir))?;
        write_whole(&path, bytes)?;
        limit_folder(&self.run_dir.join(EVIDENCE), MAX_EVIDENCE_BYTES, &path);
        Ok(())
    }
}

impl Coordinator {
    /// Accepts files of miners from now on, and decides disputes.
    pub(crate) fn accept_deliveries(self: &Arc<Self>, deliveries: Deliveries) {
        if self.deliveries.set(Arc::new(deliveries)).is_ok() {
            tokio::spawn(super::referee::rule(self.clone()));
        }
    }

    /// How many bytes of the answer to a question were received.
    ///
    /// # Errors
    /// If the miner has no such question.
    pub(crate) async fn received(
        &self,
        miner: Option<&MinerId>,
        question: QuestionId,
    ) -> Result<ReceivedBytes, CallError> {
        self.asked_file(miner, question).await?;
        let received = self.deliveries()?.files.received(question);
        let received = received.map_err(|error| trouble(&error))?;
        Ok(ReceivedBytes { received })
    }

    /// Receives a part of a file that a miner was asked for. With the last part the file is checked,
    /// stored, and recorded in the journal.
    ///
    /// # Errors
    /// If the miner has no such question, the part does not continue the file, or the file is not the
    /// one that was asked for; it then has to be sent again from the start.
    pub(crate) async fn receive(
        &self,
        miner: Option<&MinerId>,
        question: QuestionId,
        part: FilePart,
    ) -> Result<ReceivedBytes, CallError> {
        let deliveries = self.deliveries()?;
        let _turn = deliveries.turn.lock().await;
        let (asked, training) = self.asked_file(miner, question).await?;
        let most = most_bytes(&training);
        let received = part.offset + part.bytes.len() as u64;
        let file = deliveries.clone();
        let added = tokio::task::spawn_blocking(move || file.files.add(question, &part, most));
        let added = added.await.map_err(|error| trouble(&error.into()))?;
        let whole = added.map_err(|error| trouble(&error))??;
        if let Some(whole) = whole {
            let file = deliveries.clone();
            let stored =
                tokio::task::spawn_blocking(move || file.store(&asked.what, &training, &whole));
            let stored = stored.await.map_err(|error| trouble(&error.into()))?;
            // If it is wrong it starts again, if it is stored it is not needed any more.
            deliveries.files.forget(question);
            stored.map_err(|error| CallError::WrongFile {
                question,
                reason: format!("{error:#}"),
            })?;
            self.handle(Event::Received { question }, None).await?;
        }
        Ok(ReceivedBytes { received })
    }

    /// The folder of the run, once this genomaster accepts files.
    pub(crate) fn run_folder(&self) -> Option<PathBuf> {
        Some(self.deliveries.get()?.run_dir.clone())
    }

    fn deliveries(&self) -> Result<&Arc<Deliveries>, CallError> {
        self.deliveries.get().ok_or_else(|| {
            let reason = "this genomaster accepts no files".to_owned();
            CallError::Unavailable(Unavailable::Journal(reason))
        })
    }

    /// An open question of this miner that asks for a file, and its training. `None` is any miner,
    /// where requests are not signed.
    async fn asked_file(
        &self,
        miner: Option<&MinerId>,
        question: QuestionId,
    ) -> Result<(OpenQuestion, JobTraining), CallError> {
        let find = |state: Option<&RunState>| {
            let state = state.ok_or(CallError::Unavailable(Unavailable::Standby))?;
            let asked = state.board().question(question);
            let asked = asked.ok_or(CallError::Rejected(Rejected::NoQuestion {
                question,
                latest: question.0,
            }))?;
            match miner.filter(|miner| **miner != asked.miner) {
                Some(other) => Err(CallError::Rejected(Rejected::NotAsked {
                    miner: other.clone(),
                    question,
                })),
                None => Ok((asked.clone(), self.training_of(state, asked.job))),
            }
        };
        let (asked, training) = self.try_with_state(find).await?;
        Ok((asked, training.map_err(|error| trouble(&error))?))
    }

    /// The training of a job.
    pub(super) fn training_of(
        &self,
        state: &RunState,
        job: naschain_consensus::JobId,
    ) -> Result<JobTraining> {
        let genome = state.genome(job).context("no job has this number")?;
        let spec = state.spec();
        let epochs = state.last_epoch(job);
        let seed = self.training_seed(job, genome);
        Ok(JobTraining {
            architecture: spec.space.decode(genome)?,
            recipe: seed.map_or_else(
                || spec.recipe.clone(),
                |seed| seeded_recipe(&spec.recipe, seed),
            ),
            epochs,
        })
    }

    /// Forgets the parts of files that nobody waits for any more.
    pub(super) async fn forget_parts(&self) {
        let Some(deliveries) = self.deliveries.get() else {
            return;
        };
        let open =
            |state: &RunState| -> BTreeSet<QuestionId> { state.board().open_questions().collect() };
        let _turn = deliveries.turn.lock().await;
        if let Some(open) = self.try_with_state(|state| state.map(open)).await {
            deliveries.files.keep_only(&open);
        }
    }
}

/// The size of the largest file that can be a checkpoint of this training.
fn most_bytes(training: &JobTraining) -> u64 {
    let costs = training.architecture.costs();
    let params = costs.map_or(0, |costs| costs.params);
    params
        .saturating_mul(BYTES_PER_PARAMETER)
        .saturating_add(HEADER_BYTES)
}

/// Deletes the oldest files of a folder until it has at most this size; never `newest`.
fn limit_folder(dir: &Path, most_bytes: u64, newest: &Path) {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut files: Vec<_> = files
        .filter_map(|file| {
            let data = file.metadata().ok()?;
            Some((data.modified().ok()?, data.len(), file.path()))
        })
        .collect();
    files.sort();
    let mut bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
    for (_, size, path) in files {
        if bytes <= most_bytes {
            return;
        }
        if path != newest && std::fs::remove_file(&path).is_ok() {
            bytes -= size;
        }
    }
}

fn trouble(error: &anyhow::Error) -> CallError {
    CallError::Unavailable(Unavailable::Journal(format!("{error:#}")))
}
