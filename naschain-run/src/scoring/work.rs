//! How much work the training of a job is, by which jobs of different runs are compared.

use std::collections::BTreeMap;

use naschain_core::Genome;

use crate::ended_job::EndedJob;
use crate::spec::RunSpec;

/// Computes the work of jobs in the order in which they ended.
#[derive(Default)]
pub(super) struct JobWork {
    /// How many jobs of each network have ended, where it is trained from rung to rung.
    parts: BTreeMap<Genome, usize>,
}

impl JobWork {
    /// FLOPs of the forward passes of the job's training; 0 without agreed costs or a specification.
    pub(super) fn of(&mut self, job: &EndedJob, spec: Option<&RunSpec>) -> f64 {
        let (Some(spec), Some(measured)) = (spec, job.result()) else {
            return 0.0;
        };
        let recipe = &spec.recipe;
        let mut epochs = recipe.epochs;
        if !recipe.rungs.is_empty() {
            let ended = self.parts.entry(job.genome.clone()).or_default();
            let measured: Vec<u32> = recipe.measured_epochs().collect();
            let until = measured.get(*ended).copied().unwrap_or(recipe.epochs);
            let before = ended
                .checked_sub(1)
                .and_then(|at| measured.get(at))
                .copied();
            epochs = until - before.unwrap_or(0);
            *ended += 1;
        }
        measured.flops as f64 * recipe.train_images as f64 * f64::from(epochs)
    }
}
