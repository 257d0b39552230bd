//! Checks of checkpoints and weights that come from other parties.

use std::collections::BTreeMap;

use naschain_core::{Accuracy, Digest, NetworkRef, Recipe, StepState};
use serde::{Deserialize, Serialize};

use crate::checkpoint::TrainingIdentity;
use crate::layers::layer_graph;
use crate::layers::plan::LayersPlan;
use crate::plan::planner::Planner;
use crate::progress::steps_an_epoch;
use crate::training::{check, check_arithmetic};
use crate::weights::{
    NamedTensor, TensorSource, Weights, chain_digest, metadata, safetensors_bytes,
};
use crate::{Checkpoint, Dataset, Epoch, Error, Trained};

/// The key of the one metadata entry of [`LinkedWeights::to_bytes`].
const KEY: &str = "naschain-weights";

/// The tensors of `weights` in the declaration order of a network.
///
/// # Errors
/// [`Error::Weights`] when a tensor is missing, has another shape, or is not of this architecture.
pub(crate) fn in_declaration_order<'a>(
    network: NetworkRef<'_>,
    weights: &'a Weights,
) -> Result<Vec<&'a NamedTensor>, Error> {
    let mut source = TensorSource::stored(weights.clone());
    let lanes = |_| 8;
    let mut planner = Planner::new(&mut source, &lanes);
    let tensors = match network {
        NetworkRef::Macro(architecture) => planner.plan(architecture)?.tensors,
        other => LayersPlan::new(&layer_graph(other), &mut planner)?.tensors,
    };
    source.finish()?;
    let by_name: BTreeMap<&str, _> = weights.tensors.iter().map(|t| (&*t.name, t)).collect();
    let declared = tensors.iter();
    let declared = declared.filter_map(|tensor| by_name.get(&*tensor.name).copied());
    Ok(declared.collect())
}

impl Checkpoint {
    /// Checks that a training of this architecture, data set and recipe can resume from here: that it
    /// is this training's checkpoint, that its tensors are those of the network, in their order and
    /// finite, and, at an epoch's end, that the digest chain ends with them.
    ///
    /// It does not show that the training leads here; see [`Checkpoint::check_state`].
    ///
    /// # Errors
    /// [`Error::Core`] for a recipe that is not valid, [`Error::OtherArithmetic`],
    /// [`Error::DataMismatch`], [`Error::OtherTraining`], [`Error::Weights`], or [`Error::Received`].
    pub fn check<'n>(
        &self,
        network: impl Into<NetworkRef<'n>>,
        dataset: &Dataset,
        recipe: &Recipe,
    ) -> Result<(), Error> {
        recipe.validate()?;
        check_arithmetic(recipe)?;
        let network = network.into();
        check(network, dataset)?;
        let training = TrainingIdentity::new(network, dataset, recipe);
        self.identity.check(&training)?;
        self.check_tensors(network)?;
        self.check_position(recipe)
    }

    /// [`Checkpoint::check`], and that this is the state after `step` steps whose digests are
    /// `expected`: the next steps of two trainings that agree about those are the same.
    ///
    /// # Errors
    /// Those of [`Checkpoint::check`]; [`Error::Received`] for another step or other digests.
    pub fn check_state<'n>(
        &self,
        network: impl Into<NetworkRef<'n>>,
        dataset: &Dataset,
        recipe: &Recipe,
        step: u64,
        expected: StepState,
    ) -> Result<(), Error> {
        self.check(network, dataset, recipe)?;
        let found = self.step(recipe);
        if found != step {
            return Err(unusable(format!("it is after step {found}, not {step}")));
        }
        let found = self.step_state(recipe);
        if found == expected {
            return Ok(());
        }
        Err(unusable(format!(
            "after step {step} its digests are {} and {}; they must be {} and {}",
            found.chain, found.state, expected.chain, expected.state
        )))
    }

    /// [`Checkpoint::check`], and that this is the end of the training that pauses after `epoch` with
    /// the digest `digest`.
    ///
    /// # Errors
    /// Those of [`Checkpoint::check`]; [`Error::Received`] for another epoch or digest.
    pub fn check_pause<'n>(
        &self,
        network: impl Into<NetworkRef<'n>>,
        dataset: &Dataset,
        recipe: &Recipe,
        epoch: u32,
        digest: Digest,
    ) -> Result<(), Error> {
        self.check(network, dataset, recipe)?;
        let (found, step) = (self.state.epoch, self.state.step);
        if (found, step) != (epoch, 0) {
            return Err(unusable(format!(
                "it is after epoch {found} and {step} steps, not after epoch {epoch}"
            )));
        }
        let found = self.step_state(recipe).state;
        if found == digest {
            return Ok(());
        }
        Err(unusable(format!(
            "after epoch {epoch} its digest is {found}; it must be {digest}"
        )))
    }

    /// The first epoch whose end is not before this state.
    pub(crate) fn first_epoch_end(&self) -> u32 {
        self.state.epoch + u32::from(self.state.step > 0)
    }

    fn check_tensors(&self, network: NetworkRef<'_>) -> Result<(), Error> {
        let weights = &self.state.weights;
        let declared = in_declaration_order(network, weights)?;
        // Velocities are assigned to parameters by their order.
        let mut pairs = weights.tensors.iter().zip(declared);
        if let Some((found, right)) = pairs.find(|(found, right)| found.name != right.name) {
            let (found, right) = (&found.name, &right.name);
            return Err(unusable(format!(
                "its tensors are not in declaration order: {found} is where {right} must be"
            )));
        }
        if let Some((tensor, value)) = weights.not_finite() {
            return Err(unusable(not_finite(&tensor.name, value)));
        }
        // A velocity may be absent: it is 0, for the digest too. Its shape was checked when it was read.
        let velocities = weights.parameters().zip(&self.state.velocities);
        for (parameter, velocity) in velocities {
            let mut values = velocity.iter().flatten();
            if let Some(value) = values.find(|value| !value.is_finite()) {
                let name = format!("the velocity of {}", parameter.name);
                return Err(unusable(not_finite(&name, *value)));
            }
        }
        Ok(())
    }

    fn check_position(&self, recipe: &Recipe) -> Result<(), Error> {
        let state = &self.state;
        let (epoch, step, each) = (state.epoch, state.step as u64, steps_an_epoch(recipe));
        let ended = epoch == recipe.epochs && step == 0;
        if !ended && (epoch >= recipe.epochs || step >= each) {
            let last = recipe.epochs;
            return Err(unusable(format!(
                "it is after epoch {epoch} and {step} steps; the training has {last} epochs of {each} steps"
            )));
        }
        if step > 0 {
            return Ok(());
        }
        let found = state.weights.chain_digest(state.digest_before);
        if found == state.digest {
            return Ok(());
        }
        Err(unusable(format!(
            "its weights have the digest {found}; it says {}",
            state.digest
        )))
    }
}

/// The weights of a training, with the digest chain before its last epoch: whoever knows the digest
/// of the training can check that they are its result.
///
/// ```
/// # use std::ops::ControlFlow;
/// # use naschain_core::{MacroSpace, Recipe};
/// use naschain_train::{Dataset, LinkedWeights, Options, train};
/// # let digits = Dataset::digits();
/// # let space = MacroSpace { phases: 1, nodes: 2, input: digits.shape, init_channels: 2, classes: 10 };
/// # let architecture = space.decode(&"11".parse()?)?;
/// # let mut recipe = Recipe::default();
/// # (recipe.epochs, recipe.train_images, recipe.validation_images) = (2, 64, 64);
/// # let mut proceed = |_: &_| ControlFlow::Continue(());
/// let trained = train(&architecture, &digits, &recipe, Options::default(), &mut proceed)?;
/// let digest = trained.measurement.digest;
/// let sent = LinkedWeights::from(trained).to_bytes()?;
///
/// let received = LinkedWeights::from_bytes(&sent)?;
/// received.check(&architecture, digest)?;
/// assert!(received.check(&architecture, naschain_core::Digest([0; 32])).is_err());
/// # Ok::<(), naschain_train::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LinkedWeights {
    /// The digest chain before the last epoch.
    pub digest_before: Digest,
    /// The weights after it.
    pub weights: Weights,
    /// The learning curve as the trainer reports it; nothing proves it, and it may be empty.
    pub curve: Vec<CurvePoint>,
}

/// One epoch of a learning curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// The epoch, counted from 1.
    pub epoch: u32,
    /// Mean loss over the training images.
    pub loss: f64,
    /// Accuracy in percent on the training images, each at the time of its step.
    pub train_accuracy: Accuracy,
}

impl From<&Epoch> for CurvePoint {
    fn from(epoch: &Epoch) -> CurvePoint {
        CurvePoint {
            epoch: epoch.number,
            loss: epoch.loss,
            train_accuracy: epoch.train_accuracy,
        }
    }
}

/// The metadata of [`LinkedWeights::to_bytes`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WeightsHeader {
    digest_before: Digest,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    curve: Vec<CurvePoint>,
}

impl From<Trained> for LinkedWeights {
    fn from(trained: Trained) -> LinkedWeights {
        LinkedWeights {
            digest_before: trained.digest_before,
            weights: trained.weights,
            curve: Vec::new(),
        }
    }
}

impl From<Checkpoint> for LinkedWeights {
    /// The weights of a checkpoint at the end of an epoch.
    fn from(checkpoint: Checkpoint) -> LinkedWeights {
        LinkedWeights {
            digest_before: checkpoint.state.digest_before,
            weights: checkpoint.state.weights,
            curve: Vec::new(),
        }
    }
}

impl LinkedWeights {
    /// A safetensors file with the digest in its metadata. Equal weights give equal bytes.
    ///
    /// # Errors
    /// [`Error::Weights`] when two tensors have the same name.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let header = serde_json::to_string(&WeightsHeader {
            digest_before: self.digest_before,
            curve: self.curve.clone(),
        });
        let header = header.expect("a header is plain data");
        safetensors_bytes(self.weights.tensor_refs(), Some((KEY, header)))
    }

    /// Reads what [`LinkedWeights::to_bytes`] wrote; the bytes may come from anybody. The memory used
    /// is proportional to their number. The tensors are in the order of their names.
    ///
    /// # Errors
    /// [`Error::Received`].
    pub fn from_bytes(bytes: &[u8]) -> Result<LinkedWeights, Error> {
        let received = |problem| Error::Received {
            what: "file of weights",
            problem,
        };
        let weights = Weights::from_safetensors(bytes).map_err(received)?;
        let header = metadata(bytes, KEY)
            .ok_or_else(|| received(format!("its metadata has no entry {KEY}")))?;
        let header: WeightsHeader = serde_json::from_str(&header)
            .map_err(|error| received(format!("its entry {KEY} is invalid: {error}")))?;
        Ok(LinkedWeights {
            digest_before: header.digest_before,
            weights,
            curve: header.curve,
        })
    }

    /// Checks that the tensors are those of the network, and that a training that ended with them
    /// has the digest `digest`. So they are the result of the training with this digest: nobody can
    /// make other tensors or another `digest_before` that lead to it.
    ///
    /// # Errors
    /// [`Error::Weights`] or [`Error::Received`].
    pub fn check<'n>(
        &self,
        network: impl Into<NetworkRef<'n>>,
        digest: Digest,
    ) -> Result<(), Error> {
        let received = |problem| Error::Received {
            what: "file of weights",
            problem,
        };
        if let Some((tensor, value)) = self.weights.not_finite() {
            return Err(received(not_finite(&tensor.name, value)));
        }
        let declared = in_declaration_order(network.into(), &self.weights)?;
        let found = chain_digest(self.digest_before, declared.into_iter());
        if found == digest {
            return Ok(());
        }
        Err(received(format!(
            "its training digest is {found}; it must be {digest}"
        )))
    }
}

fn unusable(problem: String) -> Error {
    Error::Received {
        what: "checkpoint",
        problem,
    }
}

fn not_finite(name: &str, value: f32) -> String {
    format!("{name} has the value {value}; all must be finite")
}

#[cfg(test)]
mod tests;
