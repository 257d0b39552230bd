//! Repeats the training of a sample of a run's jobs.

use anyhow::{Context, Result};
use naschain_consensus::Row;
use naschain_core::Recipe;
use naschain_run::{is_wrong_row, seeded_recipe};

use crate::validator::observed_run::ObservedRun;
use crate::validator::retraining::{Retraining, WrongJob};
use crate::validator::state_folder::StateFolder;

impl ObservedRun {
    /// Trains those of the new jobs again that are in the sample. Jobs without a consensus pay
    /// nobody, so they are not trained.
    pub(crate) async fn retrain(
        &mut self,
        retraining: &Retraining,
        state: &StateFolder,
    ) -> Result<()> {
        for at in self.considered..self.proven().len() {
            let job = &self.ended[at];
            let history = self.chain.hash_at(at + 1).unwrap_or(self.spec.digest());
            let is_new = job.verdict.consensus.is_some() && !self.retrained.contains_key(&job.job);
            if is_new && retraining.includes(job, history) {
                let recipe = self.recipe(at)?;
                let training_seed = recipe.seed;
                let last = self.journal.last_epoch(job.job);
                let recomputed = retraining.train(&self.spec, job, recipe, last).await?;
                let agreement = &self.spec.rules.agreement;
                let is_wrong = |row: &Row| is_wrong_row(row, &recomputed, agreement);
                if job.rows.iter().any(|(_, row)| is_wrong(row)) {
                    let file = state.wrong_job_file(self.spec.digest(), job.job);
                    let proof = WrongJob {
                        run: self.spec.digest(),
                        spec: &self.spec,
                        job,
                        training_seed,
                        recomputed: &recomputed,
                    };
                    state.save_proof(&file, &proof)?;
                    let (number, file) = (job.job, file.display());
                    tracing::error!("{number} has wrong rows; the proof is in {file}");
                }
                self.retrained.insert(job.job, recomputed);
                // At once, because a training may take long.
                self.save(state)?;
            }
            self.considered = at + 1;
        }
        Ok(())
    }

    /// The recipe of the job at this place of the list.
    pub(super) fn recipe(&self, at: usize) -> Result<Recipe> {
        if self.spec.secret_hash.is_none() {
            return Ok(self.spec.recipe.clone());
        }
        let (job, genome) = (self.ended[at].job, &self.ended[at].genome);
        let revealed = self.journal.secret();
        let revealed = revealed.map(|secret| secret.seed_in(&self.spec, job, genome));
        let seed = revealed.or_else(|| self.training_seeds.get(at).copied());
        let seed =
            seed.with_context(|| format!("the genomaster gives no training seed of {job}"))?;
        Ok(seeded_recipe(&self.spec.recipe, seed))
    }
}
