//! Repeats the referee's rulings of a run: one step of a training each.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use naschain_consensus::{RefereeTask, Ruling};
use naschain_core::{Digest, Network, Recipe};
use naschain_run::RecordedRuling;
use naschain_train::{Dataset, Options};
use serde::Serialize;

use crate::client::Client;
use crate::coordinator::repetition::Repetition;
use crate::dataset::KEEP_MIB;
use crate::validator::observed_run::ObservedRun;
use crate::validator::observed_run::replay::Replay;
use crate::validator::state_folder::StateFolder;

/// Maximum size of a file that is fetched.
const MAX_FILE_BYTES: usize = 1 << 30;

/// The proof that a ruling is wrong: everything that somebody needs to repeat it.
#[derive(Serialize)]
struct WrongRuling {
    run: Digest,
    #[serde(rename = "batch")]
    job: u64,
    training_seed: u64,
    task: RefereeTask,
    ruling: Ruling,
    recomputed: Ruling,
}

/// A ruling with its training and the file that the genomaster decided by, if it has that.
struct Case {
    ruling: RecordedRuling,
    architecture: Network,
    recipe: Recipe,
    last_epoch: u32,
    file: Option<Vec<u8>>,
    dataset: Arc<Dataset>,
    options: Options,
}

impl ObservedRun {
    /// Repeats the rulings that are new in the journal. Without the data set they cannot be repeated,
    /// which is logged once.
    ///
    /// # Errors
    /// If the genomaster is away. A wrong ruling is a problem of the genomaster.
    pub(super) async fn replay_rulings(
        &mut self,
        client: &Client,
        replay: &Replay,
        state: &StateFolder,
    ) -> Result<()> {
        while let Some(ruling) = self.journal.rulings().get(self.considered_rulings).copied() {
            // The list of jobs, which has the training's seed, may be behind the journal.
            let Some(at) = self.ended.iter().position(|job| job.job == ruling.job) else {
                return Ok(());
            };
            let recipe = self.recipe(at)?;
            let training_seed = recipe.seed;
            let case = match self.case(at, ruling, recipe, client, replay).await {
                Ok(case) => case,
                Err(error) => {
                    if self.considered_rulings == self.repeated_rulings {
                        tracing::warn!("the referee's rulings are not repeated: {error:#}");
                    }
                    self.considered_rulings += 1;
                    continue;
                }
            };
            let recomputed = tokio::task::spawn_blocking(move || case.recompute());
            let recomputed = recomputed.await.map_err(anyhow::Error::from).flatten();
            self.considered_rulings += 1;
            let recomputed = match recomputed {
                Ok(recomputed) => recomputed,
                Err(error) => {
                    tracing::warn!("the ruling about {} is not repeated: {error:#}", ruling.job);
                    continue;
                }
            };
            self.repeated_rulings += 1;
            if recomputed != ruling.ruling {
                let proof = WrongRuling {
                    run: self.spec.digest(),
                    job: ruling.job.0,
                    training_seed,
                    task: ruling.task,
                    ruling: ruling.ruling,
                    recomputed,
                };
                let file = state.wrong_ruling_file(self.spec.digest(), ruling.job);
                state.save_proof(&file, &proof)?;
                let problem = format!(
                    "the referee's ruling about {} is wrong; the proof is in {}",
                    ruling.job,
                    file.display()
                );
                self.problem.get_or_insert(problem);
            }
        }
        Ok(())
    }

    async fn case(
        &self,
        at: usize,
        ruling: RecordedRuling,
        recipe: Recipe,
        client: &Client,
        replay: &Replay,
    ) -> Result<Case> {
        let dir = replay.data_dir.clone();
        let dataset = replay.datasets.get(&self.spec, dir, KEEP_MIB).await?;
        let wanted = match ruling.task {
            RefereeTask::Step { before, .. } => before.map(|before| before.state),
            RefereeTask::Accuracy { digest } => Some(digest),
            other => return Err(anyhow!("this version does not know {other:?}")),
        };
        let file = match wanted {
            // A genomaster that has no such file any more is not at fault: it is computed here.
            Some(digest) => client.file(digest, MAX_FILE_BYTES).await.ok(),
            None => None,
        };
        Ok(Case {
            ruling,
            architecture: self.spec.space.decode(&self.ended[at].genome)?,
            recipe,
            last_epoch: self.journal.last_epoch(ruling.job),
            file,
            dataset,
            options: replay.options,
        })
    }
}

impl Case {
    fn recompute(&self) -> Result<Ruling> {
        let repetition = Repetition {
            architecture: &self.architecture,
            recipe: &self.recipe,
            last_epoch: self.last_epoch,
            dataset: &self.dataset,
            options: self.options,
            file: self.file.clone(),
        };
        // Two liars can agree on a state that the training never has. Only the file shows what the
        // referee saw then, and its absence proves nothing.
        let ruling = repetition.ruling(self.ruling.task)?;
        ruling.context("what both sides agreed on could not be fetched")
    }
}
