//! States of a training after single steps, for finding the first step at which two parties differ.

use std::ops::ControlFlow;

use naschain_core::{NetworkRef, Recipe, StepState};

use crate::backend::{self, Computation, Options};
use crate::batches::Split;
use crate::checkpoint::{Checkpoint, TrainingIdentity, TrainingState};
use crate::engine::Engine;
use crate::progress::{InProgress, TrainingInputs, steps};
use crate::{Dataset, Error};

/// Called with the number of each step that was computed; may stop the training.
type OnStep<'a> = &'a mut (dyn FnMut(u64) -> ControlFlow<()> + Send);

/// Trains from `from`, or from the start, to the last of `wanted`, and returns the digests of the
/// states after each of these steps. Step 0 is the state before the first step, step
/// [`steps`](crate::steps) that of the trained network. The digests depend on architecture, data set
/// and recipe alone; docs/arithmetic.md defines them.
///
/// `wanted` must be in ascending order. `on_step` is called after each step, and may stop the
/// training. Nothing is hashed but the wanted states and the digest chain.
///
/// # Errors
/// Those of [`train_from`](crate::train_from) and [`Checkpoint::check`]; [`Error::NoSuchStep`] for a
/// step before the checkpoint, before its predecessor in `wanted`, or after the training's last;
/// [`Error::Diverged`] also when a state has a value that is not finite: no training that ends with a
/// digest has one.
pub fn step_states<'n>(
    network: impl Into<NetworkRef<'n>>,
    dataset: &Dataset,
    recipe: &Recipe,
    options: Options,
    from: Option<Checkpoint>,
    wanted: &[u64],
    on_step: &mut (dyn FnMut(u64) -> ControlFlow<()> + Send),
) -> Result<Vec<StepState>, Error> {
    let mut states = Vec::new();
    let mut keep = |step, state: TrainingState| states.push(state.step_state(step));
    let inputs = inputs(network.into(), dataset, recipe)?;
    visit(&inputs, options, from, wanted, on_step, &mut keep)?;
    Ok(states)
}

/// Trains like [`step_states`], and returns the state after step `step`.
///
/// # Errors
/// Those of [`step_states`].
pub fn state_at<'n>(
    network: impl Into<NetworkRef<'n>>,
    dataset: &Dataset,
    recipe: &Recipe,
    options: Options,
    from: Option<Checkpoint>,
    step: u64,
    on_step: &mut (dyn FnMut(u64) -> ControlFlow<()> + Send),
) -> Result<Checkpoint, Error> {
    let network = network.into();
    let identity = TrainingIdentity::new(network, dataset, recipe);
    let mut found = None;
    let mut keep = |_, state| found = Some(state);
    let inputs = inputs(network, dataset, recipe)?;
    visit(&inputs, options, from, &[step], on_step, &mut keep)?;
    let state = found.expect("a visit without an error has visited each step");
    Ok(Checkpoint { identity, state })
}

/// Computes one step after `before`, or the initial state if there is none, and returns the digests of
/// the state that it leads to. After an epoch's last step these contain the chain's next digest.
///
/// A `before` of another party must first be checked by [`Checkpoint::check_state`].
///
/// # Errors
/// Those of [`step_states`]; [`Error::NoSuchStep`] when the training has ended before. After
/// [`Error::Diverged`], whoever claims a state after this step is wrong.
///
/// ```
/// use std::ops::ControlFlow;
/// use naschain_core::{MacroSpace, Recipe};
/// use naschain_train::{Dataset, Options, replay_step, state_at, step_states};
///
/// let digits = Dataset::digits();
/// let space = MacroSpace { phases: 1, nodes: 2, input: digits.shape, init_channels: 2, classes: 10 };
/// let architecture = space.decode(&"11".parse()?)?;
/// let mut recipe = Recipe::default();
/// (recipe.epochs, recipe.batch_size) = (2, 16);
/// (recipe.train_images, recipe.validation_images) = (40, 40); // 3 steps an epoch
/// let options = Options::default();
/// let mut proceed = |_| ControlFlow::Continue(());
/// let states = step_states(&architecture, &digits, &recipe, options, None, &[4, 5], &mut proceed)?;
/// let before = state_at(&architecture, &digits, &recipe, options, None, 4, &mut proceed)?;
/// assert_eq!(before.step_state(&recipe), states[0]);
/// let after = replay_step(&architecture, &digits, &recipe, options, Some(before))?;
/// assert_eq!(after, states[1]);
/// # Ok::<(), naschain_train::Error>(())
/// ```
pub fn replay_step<'n>(
    network: impl Into<NetworkRef<'n>>,
    dataset: &Dataset,
    recipe: &Recipe,
    options: Options,
    before: Option<Checkpoint>,
) -> Result<StepState, Error> {
    let next = before
        .as_ref()
        .map_or(0, |before| before.step(recipe).saturating_add(1));
    let mut proceed = |_| ControlFlow::Continue(());
    let (wanted, on_step) = (&[next], &mut proceed);
    let states = step_states(network, dataset, recipe, options, before, wanted, on_step)?;
    Ok(states[0])
}

fn inputs<'a>(
    network: NetworkRef<'a>,
    dataset: &'a Dataset,
    recipe: &'a Recipe,
) -> Result<TrainingInputs<'a>, Error> {
    let split = Split::draw(dataset, recipe)?;
    Ok(TrainingInputs::new(network, dataset, recipe, split))
}

fn visit(
    inputs: &TrainingInputs<'_>,
    options: Options,
    from: Option<Checkpoint>,
    wanted: &[u64],
    on_step: OnStep<'_>,
    keep: &mut (dyn FnMut(u64, TrainingState) + Send),
) -> Result<(), Error> {
    inputs.check(options)?;
    let (recipe, mut first) = (inputs.recipe, 0);
    if let Some(checkpoint) = &from {
        checkpoint.check(inputs.network, inputs.dataset, recipe)?;
        first = checkpoint.step(recipe);
    }
    let last = steps(recipe);
    for &found in wanted {
        if !(first..=last).contains(&found) {
            return Err(Error::NoSuchStep { found, first, last });
        }
        first = found;
    }
    let state = from.map(|checkpoint| checkpoint.state);
    let visit = StateVisit {
        inputs,
        state,
        wanted,
        on_step,
        keep,
    };
    backend::run(options, visit)
}

/// A training that only passes on its states after some steps.
struct StateVisit<'a> {
    inputs: &'a TrainingInputs<'a>,
    state: Option<TrainingState>,
    wanted: &'a [u64],
    on_step: OnStep<'a>,
    keep: &'a mut (dyn FnMut(u64, TrainingState) + Send),
}

impl Computation for StateVisit<'_> {
    type Output = ();

    fn network(&self) -> NetworkRef<'_> {
        self.inputs.network
    }

    fn run<E: Engine>(self, target: &E::Target) -> Result<(), Error> {
        let mut training = InProgress::<E>::start(self.inputs, self.state, target)?;
        for &step in self.wanted {
            while training.steps() < step {
                training.step()?;
                if (self.on_step)(training.steps()).is_break() {
                    let epoch = training.epoch();
                    return Err(Error::Stopped { epoch });
                }
            }
            (self.keep)(step, training.state()?);
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
