//! Computes what the referee is called for: one step of a training, or the accuracy of its weights.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use naschain_consensus::{Event, JobId, RefereeTask, Ruling};
use naschain_core::{Digest, StepState};
use naschain_run::RunState;
use naschain_train::{
    Checkpoint, Error, LinkedWeights, evaluate_on_validation, replay_step, state_at, train_until,
};

use crate::coordinator::Coordinator;
use crate::coordinator::deliveries::{Deliveries, JobTraining, delivered_file, evidence_file};

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

/// Stands for the state after a step that diverges.
const NO_STATE: StepState = StepState {
    chain: Digest([0; 32]),
    state: Digest([0; 32]),
};

/// The state that the training has after a step; `None` if it diverges before.
fn own_state(deliveries: &Deliveries, training: &JobTraining, step: u64) -> Option<Checkpoint> {
    let mut proceed = |_| ControlFlow::Continue(());
    let own = state_at(
        &training.architecture,
        &deliveries.dataset,
        &training.recipe,
        deliveries.options,
        None,
        step,
        &mut proceed,
    );
    own.inspect_err(|error| tracing::warn!("the referee's own training: {error}"))
        .ok()
}

/// What a replayed step leads to. A step that diverges has no state, so whoever claims one is wrong: it is
/// recorded as zeros, which are no digests of anything.
pub(crate) fn found_state(replayed: Result<StepState, Error>) -> Result<StepState, Error> {
    match replayed {
        Err(Error::Diverged { .. }) => Ok(NO_STATE),
        other => other,
    }
}

fn compute(deliveries: &Deliveries, training: &JobTraining, task: RefereeTask) -> Result<Ruling> {
    let JobTraining {
        architecture,
        recipe,
        epochs,
    } = training;
    let (dataset, options) = (&deliveries.dataset, deliveries.options);
    Ok(match task {
        RefereeTask::Step { step, before } => {
            let before = match before {
                None => None,
                Some(state) => {
                    let path = evidence_file(&deliveries.run_dir, state.state);
                    let stored = Checkpoint::load(&path).ok();
                    let is_right = |checkpoint: &Checkpoint| {
                        checkpoint
                            .check_state(architecture, dataset, recipe, step - 1, state)
                            .is_ok()
                    };
                    match stored.filter(is_right) {
                        Some(stored) => Some(stored),
                        // Another genomaster, which has died, received the checkpoint. Where the training
                        // does not lead to it, both sides are wrong: zeros are nobody's state.
                        None => {
                            let own = own_state(deliveries, training, step - 1);
                            match own.filter(|own| own.step_state(recipe) == state) {
                                Some(own) => Some(own),
                                None => {
                                    return Ok(Ruling::Step {
                                        step,
                                        found: NO_STATE,
                                    });
                                }
                            }
                        }
                    }
                }
            };
            let replayed = replay_step(architecture, dataset, recipe, options, before);
            let found = found_state(replayed)?;
            Ruling::Step { step, found }
        }
        RefereeTask::Accuracy { digest } => {
            let path = delivered_file(&deliveries.run_dir, digest);
            let stored = std::fs::read(&path).ok();
            let stored = stored.and_then(|bytes| LinkedWeights::from_bytes(&bytes).ok());
            let stored = stored.filter(|weights| weights.check(architecture, digest).is_ok());
            let weights = match stored {
                Some(stored) => stored.weights,
                // Another genomaster, which has died, received them.
                None => {
                    let (last, proceed) = (*epochs, &mut |_: &_, _: &_| ControlFlow::Continue(()));
                    train_until(architecture, dataset, recipe, options, None, last, proceed)?
                        .weights
                }
            };
            let found = evaluate_on_validation(architecture, &weights, dataset, recipe, options)?;
            Ruling::Accuracy { found }
        }
        other => bail!("this version cannot compute {other:?}"),
    })
}
