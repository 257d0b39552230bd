//! Receiving files from miners, part by part.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use naschain_consensus::{Event, JobId, MinerId, OpenQuestion, QuestionId, Rejected};
use naschain_core::Digest;
use naschain_run::{ReceivedBytes, RunState};
use naschain_train::Dataset;

use crate::coordinator::Coordinator;
use crate::coordinator::call_error::{CallError, Unavailable};
use crate::coordinator::deliveries::{Deliveries, JobTraining, most_bytes};
use crate::coordinator::received::FilePart;

impl Coordinator {
    /// Accepts files of miners from now on, and decides disputes.
    pub(crate) fn accept_deliveries(self: &Arc<Self>, deliveries: Deliveries) {
        if self.deliveries.set(Arc::new(deliveries)).is_ok() {
            tokio::spawn(crate::coordinator::referee::rule(self.clone()));
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
        let received = part.offset.saturating_add(part.bytes.len() as u64);
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

    /// Whether miners are asked for the file that one of them answered this digest for.
    pub(crate) async fn is_collecting(&self, digest: Digest) -> bool {
        let is_collected = |state: &RunState| state.board().is_collecting(digest);
        self.try_with_state(|state| state.is_some_and(is_collected))
            .await
    }

    /// The data set of the run, if it has this digest.
    pub(crate) fn shared_data(&self, digest: Digest) -> Option<Arc<Dataset>> {
        let dataset = &self.deliveries.get()?.dataset;
        (dataset.digest() == digest).then(|| dataset.clone())
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
    pub(super) fn training_of(&self, state: &RunState, job: JobId) -> Result<JobTraining> {
        let genome = state.genome(job).context("no job has this number")?;
        let spec = state.spec();
        let epochs = state.last_epoch(job);
        Ok(JobTraining {
            architecture: spec.space.decode(genome)?,
            recipe: spec.seeded_recipe(self.training_seed(job, genome)),
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

fn trouble(error: &anyhow::Error) -> CallError {
    CallError::Unavailable(Unavailable::Journal(format!("{error:#}")))
}
