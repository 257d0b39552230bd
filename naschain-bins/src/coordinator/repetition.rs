//! Repeats what a referee computes, from the file that both sides agreed on: for the genomaster that rules,
//! and for validators.

use std::ops::ControlFlow;

use anyhow::{Result, bail};
use naschain_consensus::{RefereeTask, Ruling};
use naschain_core::{Digest, Network, Recipe, StepState};
use naschain_train::{
    Checkpoint, Dataset, Error, LinkedWeights, Options, Weights, measure_accuracy, replay_step,
    state_at, train_until,
};

/// Stands for the state after a step that diverges.
pub(crate) const NO_STATE: StepState = StepState {
    chain: Digest([0; 32]),
    state: Digest([0; 32]),
};

/// The training that a ruling is about, and the file that a miner delivered for it.
pub(crate) struct Repetition<'a> {
    pub(crate) architecture: &'a Network,
    pub(crate) recipe: &'a Recipe,
    /// The epoch after which it ends.
    pub(crate) last_epoch: u32,
    pub(crate) dataset: &'a Dataset,
    pub(crate) options: Options,
    /// The checkpoint or the weights; without a right file the training is repeated up to there.
    pub(crate) file: Option<Vec<u8>>,
}

impl Repetition<'_> {
    /// What the referee finds; `None` where there is no file and the training does not lead to what both
    /// sides agreed on.
    ///
    /// # Errors
    /// Where it cannot be computed here. A step that diverges has no state, so every claim of one is
    /// false: it is found to be [`NO_STATE`], which is no digest of anything.
    pub(crate) fn ruling(&self, task: RefereeTask) -> Result<Option<Ruling>> {
        match task {
            RefereeTask::Step {
                step: step @ 1..,
                before: None,
            } => bail!("nothing says from which state step {step} starts"),
            RefereeTask::Step { step, before } => {
                let mut from = None;
                if let Some(state) = before {
                    from = self.checkpoint(step - 1, state)?;
                    if from.is_none() {
                        return Ok(None);
                    }
                }
                let (architecture, dataset) = (self.architecture, self.dataset);
                let replayed = replay_step(architecture, dataset, self.recipe, self.options, from);
                let found = match replayed {
                    Err(Error::Diverged { .. }) => NO_STATE,
                    other => other?,
                };
                Ok(Some(Ruling::Step { step, found }))
            }
            RefereeTask::Accuracy { digest } => {
                let found = self.accuracy(digest)?;
                Ok(found.map(|found| Ruling::Accuracy { found }))
            }
            other => bail!("this version cannot compute {other:?}"),
        }
    }

    /// The checkpoint with the state that both sides agreed on.
    fn checkpoint(&self, step: u64, state: StepState) -> Result<Option<Checkpoint>> {
        let (architecture, recipe, dataset) = (self.architecture, self.recipe, self.dataset);
        let received = self.file.as_deref().map(Checkpoint::from_bytes);
        let is_right = |checkpoint: &Checkpoint| {
            let checked = checkpoint.check_state(architecture, dataset, recipe, step, state);
            checked.is_ok()
        };
        if let Some(received) = received.and_then(Result::ok).filter(is_right) {
            return Ok(Some(received));
        }
        let proceed = &mut |_| ControlFlow::Continue(());
        let options = self.options;
        match state_at(architecture, dataset, recipe, options, None, step, proceed) {
            Ok(own) => Ok(Some(own).filter(|own| own.step_state(recipe) == state)),
            Err(Error::Diverged { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The delivered weights, if they are those with the digest that both sides agreed on.
    fn delivered(&self, digest: Digest) -> Option<Weights> {
        let (architecture, file) = (self.architecture, self.file.as_deref()?);
        if self.last_epoch < self.recipe.epochs {
            let (recipe, epoch) = (self.recipe, self.last_epoch);
            let received = Checkpoint::from_bytes(file).ok()?;
            let check = received.check_pause(architecture, self.dataset, recipe, epoch, digest);
            return check.is_ok().then(|| received.weights().clone());
        }
        let received = LinkedWeights::from_bytes(file).ok()?;
        let check = received.check(architecture, digest);
        check.is_ok().then_some(received.weights)
    }

    /// The accuracy of the weights whose digest both sides agreed on.
    fn accuracy(&self, digest: Digest) -> Result<Option<naschain_core::Accuracy>> {
        let (architecture, recipe, dataset) = (self.architecture, self.recipe, self.dataset);
        let options = self.options;
        if let Some(weights) = self.delivered(digest) {
            let found = measure_accuracy(architecture, &weights, dataset, recipe, options)?;
            return Ok(Some(found));
        }
        let proceed = &mut |_: &_, _: &_| ControlFlow::Continue(());
        let last = self.last_epoch;
        match train_until(architecture, dataset, recipe, options, None, last, proceed) {
            Ok(own) if own.measurement.digest == digest => Ok(Some(own.measurement.accuracy)),
            Ok(_) | Err(Error::Diverged { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
