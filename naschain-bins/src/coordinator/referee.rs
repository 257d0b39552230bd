//! Computes what the referee is called for: one step of a training, or the accuracy of its weights.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use naschain_consensus::{Event, JobId, RefereeTask, Ruling};
use naschain_run::RunState;

use crate::coordinator::Coordinator;
use crate::coordinator::deliveries::{Deliveries, JobTraining, delivered_file, state_file};
use crate::coordinator::repetition::{NO_STATE, Repetition};

/// Pause after a failure, for example of the disk.
const RETRY: Duration = Duration::from_secs(5);

/// Rules whenever the referee is called, as long as the process runs.
pub(super) async fn rule(coordinator: Arc<Coordinator>) {
    let mut changes = coordinator.changes();
    loop {
        // Before the tasks are read, so that one that comes meanwhile is not missed.
        changes.mark_unchanged();
        if let Err(error) = coordinator.rule_all().await {
            tracing::error!("the referee: {error:#}; retrying in {RETRY:?}");
            tokio::time::sleep(RETRY).await;
            continue;
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

impl Coordinator {
    async fn rule_all(&self) -> Result<()> {
        let Some(deliveries) = self.deliveries.get() else {
            return Ok(());
        };
        let mut failed = Ok(());
        for (job, task, training) in self.tasks().await? {
            let deliveries = deliveries.clone();
            let computed =
                tokio::task::spawn_blocking(move || compute(&deliveries, &training, task));
            // A panic in one must not stop the others either.
            let computed = computed.await.map_err(anyhow::Error::from).flatten();
            let ruling = match computed.with_context(|| job.to_string()) {
                Ok(ruling) => ruling,
                // The others do not wait for it.
                Err(error) => {
                    failed = Err(error);
                    continue;
                }
            };
            tracing::info!("{job}: the referee has computed {ruling:?}");
            // Refused if this genomaster lost the lead meanwhile, or another one was faster.
            if let Err(error) = self.handle(Event::Ruled { job, ruling }, None).await {
                tracing::warn!("{job}: the ruling was not accepted: {error}");
            }
        }
        self.forget_parts().await;
        failed
    }

    /// What is to be computed; nothing while another genomaster leads.
    async fn tasks(&self) -> Result<Vec<(JobId, RefereeTask, JobTraining)>> {
        let tasks = |state: &RunState| -> Result<Vec<_>> {
            let tasks = state.board().referee_tasks();
            let described = tasks.map(|(job, task)| {
                let training = self.training_of(state, job)?;
                Ok((job, *task, training))
            });
            described.collect()
        };
        let found = self.try_with_state(|state| state.map(tasks)).await;
        found.unwrap_or_else(|| Ok(Vec::new()))
    }
}

fn compute(deliveries: &Deliveries, training: &JobTraining, task: RefereeTask) -> Result<Ruling> {
    let path = match task {
        RefereeTask::Step { before, .. } => {
            before.map(|before| state_file(&deliveries.run_dir, before.state))
        }
        // The digest of an answer where the training pauses is that of a state.
        RefereeTask::Accuracy { digest } if training.pauses() => {
            Some(state_file(&deliveries.run_dir, digest))
        }
        RefereeTask::Accuracy { digest } => Some(delivered_file(&deliveries.run_dir, digest)),
        _ => None,
    };
    let repetition = Repetition {
        architecture: &training.architecture,
        recipe: &training.recipe,
        last_epoch: training.epochs,
        dataset: &deliveries.dataset,
        options: deliveries.options,
        // Another genomaster, which has died, may have received it.
        file: path.and_then(|path| std::fs::read(path).ok()),
    };
    let ruling = repetition.ruling(task)?;
    match (ruling, task) {
        (Some(ruling), _) => Ok(ruling),
        // The training does not lead to what both sides agreed on, so both are wrong.
        (None, RefereeTask::Step { step, .. }) => Ok(Ruling::Step {
            step,
            found: NO_STATE,
        }),
        (None, _) => bail!("the weights that both sides agreed on are missing"),
    }
}
