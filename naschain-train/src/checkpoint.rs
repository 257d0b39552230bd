//! The state of a training between two steps, in memory and as a file.

use std::collections::BTreeMap;
use std::path::Path;

use naschain_core::{Digest, NetworkRef, Recipe, StepState};
use serde::{Deserialize, Serialize};

use crate::kernels::ARITHMETIC_VERSION;
use crate::progress::steps_an_epoch;
use crate::weights::{
    NamedTensor, TensorRef, Weights, hash_values, metadata, safetensors_bytes, write_safetensors,
};
use crate::{Dataset, Error};

/// Prefix of a velocity's name in a file; the name of its parameter follows.
const VELOCITY: &str = "velocity.";
/// The key of the file's one metadata entry.
const KEY: &str = "naschain-checkpoint";
/// Start of what the digest of a state is computed from: it is no link of a digest chain.
const STATE_TAG: &[u8] = b"naschain step state 2";

/// The complete state of a training after one of its steps.
///
/// [`train_from`](crate::train_from) provides one after each epoch, and [`state_at`](crate::state_at)
/// one after any step. A training that resumes from one ends with the digest of an uninterrupted
/// training.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    pub(crate) identity: TrainingIdentity,
    pub(crate) state: TrainingState,
}

/// Identifies a training. A checkpoint can only be resumed by the training that made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrainingIdentity {
    architecture: Digest,
    recipe: Digest,
    data: Digest,
}

/// The state of a training between two steps.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TrainingState {
    /// Finished epochs.
    pub(crate) epoch: u32,
    /// Finished steps of the epoch in progress; 0 at an epoch's end.
    pub(crate) step: usize,
    /// The digest chain after the finished epochs.
    pub(crate) digest: Digest,
    /// The digest chain before the last of them, from which `digest` follows with the weights at its
    /// end.
    pub(crate) digest_before: Digest,
    pub(crate) weights: Weights,
    /// The velocity of each parameter in declaration order.
    pub(crate) velocities: Vec<Option<Vec<f32>>>,
}

/// The metadata of a checkpoint file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckpointHeader {
    identity: TrainingIdentity,
    epoch: u32,
    /// Finished steps of the epoch in progress; not written at an epoch's end.
    #[serde(default, skip_serializing_if = "is_zero")]
    step: usize,
    digest: Digest,
    digest_before: Digest,
    /// Names of the weights in declaration order; the file's tensors are in another order.
    names: Vec<String>,
    /// BLAKE3 of all fields above and all tensors.
    checksum: Digest,
}

impl TrainingIdentity {
    pub(crate) fn new(
        network: NetworkRef<'_>,
        dataset: &Dataset,
        recipe: &Recipe,
    ) -> TrainingIdentity {
        let digest = |json: serde_json::Result<Vec<u8>>| {
            let json = json.expect("architectures and recipes are plain data");
            Digest(*blake3::hash(&json).as_bytes())
        };
        TrainingIdentity {
            architecture: digest(serde_json::to_vec(&network)),
            recipe: digest(serde_json::to_vec(recipe)),
            data: dataset.digest(),
        }
    }

    /// Returns [`Error::OtherTraining`] with the first part that differs from `training`.
    pub(crate) fn check(&self, training: &TrainingIdentity) -> Result<(), Error> {
        let [other, this] = [self, training];
        let differences = [
            ("architecture", other.architecture != this.architecture),
            ("recipe", other.recipe != this.recipe),
            ("data set", other.data != this.data),
        ];
        match differences.iter().find(|(_, differs)| *differs) {
            None => Ok(()),
            Some((what, _)) => Err(Error::OtherTraining { what }),
        }
    }
}

impl TrainingState {
    /// The state before the first epoch. The digest chain starts with the version of the
    /// arithmetic.
    pub(crate) fn first(weights: Weights) -> TrainingState {
        let version = format!("naschain arithmetic {ARITHMETIC_VERSION}");
        let version = Digest(*blake3::hash(version.as_bytes()).as_bytes());
        TrainingState {
            epoch: 0,
            step: 0,
            digest: weights.chain_digest(version),
            digest_before: version,
            weights,
            velocities: Vec::new(),
        }
    }

    /// The digests of this state, which is that after `step` steps of the whole training. A parameter
    /// without a velocity counts as one whose velocity is 0: the next step is the same.
    pub(crate) fn step_state(&self, step: u64) -> StepState {
        let mut hasher = blake3::Hasher::new();
        hasher.update(STATE_TAG).update(&step.to_le_bytes());
        hasher.update(&self.digest.0);
        for tensor in &self.weights.tensors {
            hash_values(&mut hasher, &tensor.values);
        }
        for (index, parameter) in self.weights.parameters().enumerate() {
            match self.velocities.get(index) {
                Some(Some(velocity)) => hash_values(&mut hasher, velocity),
                _ => hash_values(&mut hasher, &vec![0.0; parameter.values.len()]),
            }
        }
        StepState {
            chain: self.digest,
            state: Digest(*hasher.finalize().as_bytes()),
        }
    }
}

impl Checkpoint {
    /// A file name for this training's checkpoints: 64 hexadecimal digits that are equal for equal
    /// architecture, recipe and data set.
    pub fn name<'n>(
        network: impl Into<NetworkRef<'n>>,
        dataset: &Dataset,
        recipe: &Recipe,
    ) -> String {
        let identity = TrainingIdentity::new(network.into(), dataset, recipe);
        let json = serde_json::to_vec(&identity).expect("an identity is plain data");
        Digest(*blake3::hash(&json).as_bytes()).to_string()
    }

    /// The number of finished epochs.
    pub fn epoch(&self) -> u32 {
        self.state.epoch
    }

    /// The number of finished steps since the start of the training, whose recipe is `recipe`.
    pub fn step(&self, recipe: &Recipe) -> u64 {
        let finished = u64::from(self.state.epoch).saturating_mul(steps_an_epoch(recipe));
        finished.saturating_add(self.state.step as u64)
    }

    /// The digests of this state, as [`step_states`](crate::step_states) computes them for the
    /// training whose recipe is `recipe`.
    pub fn step_state(&self, recipe: &Recipe) -> StepState {
        self.state.step_state(self.step(recipe))
    }

    /// The digest chain after the finished epochs.
    pub fn digest(&self) -> Digest {
        self.state.digest
    }

    /// The network after the finished steps.
    pub fn weights(&self) -> &Weights {
        &self.state.weights
    }

    /// Writes a safetensors file atomically: if the program is interrupted, the previous file
    /// remains.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let tensors = self.tensors();
        let header = self.header(&tensors).json();
        write_safetensors(path, tensors, Some((KEY, header)))
    }

    /// The bytes that [`Checkpoint::save`] writes, for another party. Equal checkpoints give equal
    /// bytes.
    ///
    /// # Errors
    /// [`Error::Weights`] when a name occurs twice, which no training makes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let tensors = self.tensors();
        let header = self.header(&tensors).json();
        safetensors_bytes(tensors, Some((KEY, header)))
    }

    /// Reads what [`Checkpoint::to_bytes`] wrote; the bytes may come from anybody. The memory used is
    /// proportional to their number. [`Checkpoint::check_state`] tells whether it is a certain state
    /// of a certain training.
    ///
    /// # Errors
    /// [`Error::Received`] for bytes that are not a checkpoint or are damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Checkpoint, Error> {
        parse(bytes).map_err(|problem| Error::Received {
            what: "checkpoint",
            problem,
        })
    }

    /// Reads a file that [`Checkpoint::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Malformed`] for a file that is not a checkpoint or is damaged.
    pub fn load(path: &Path) -> Result<Checkpoint, Error> {
        let file = std::fs::read(path).map_err(|source| Error::Io {
            path: path.to_owned(),
            source,
        })?;
        parse(&file).map_err(|problem| Error::Malformed {
            path: path.to_owned(),
            problem,
        })
    }

    fn header(&self, tensors: &[TensorRef<'_>]) -> CheckpointHeader {
        let names = self.state.weights.tensors.iter();
        let mut header = CheckpointHeader {
            identity: self.identity.clone(),
            epoch: self.state.epoch,
            step: self.state.step,
            digest: self.state.digest,
            digest_before: self.state.digest_before,
            names: names.map(|tensor| tensor.name.clone()).collect(),
            checksum: Digest([0; 32]),
        };
        header.checksum = header.checksum_with(tensors);
        header
    }

    /// Weights and velocities in the order of their names.
    fn tensors(&self) -> Vec<TensorRef<'_>> {
        let weights = &self.state.weights;
        let velocities = weights.parameters().zip(&self.state.velocities);
        let velocities = velocities.filter_map(|(parameter, values)| {
            let name = format!("{VELOCITY}{}", parameter.name);
            Some(TensorRef::new(parameter, name, values.as_ref()?))
        });
        let mut tensors: Vec<_> = velocities.chain(weights.tensor_refs()).collect();
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        tensors
    }
}

impl CheckpointHeader {
    fn json(&self) -> String {
        serde_json::to_string(self).expect("a header is plain data")
    }

    /// The checksum of this header, without the checksum field, and of the tensors.
    fn checksum_with(&self, tensors: &[TensorRef<'_>]) -> Digest {
        let without = CheckpointHeader {
            checksum: Digest([0; 32]),
            identity: self.identity.clone(),
            names: self.names.clone(),
            ..*self
        };
        let mut hasher = blake3::Hasher::new();
        hasher.update(without.json().as_bytes());
        for tensor in tensors {
            hasher.update(format!("\n{} {:?}\n", tensor.name, tensor.shape).as_bytes());
            hash_values(&mut hasher, tensor.values);
        }
        Digest(*hasher.finalize().as_bytes())
    }
}

fn is_zero(step: &usize) -> bool {
    *step == 0
}

fn parse(file: &[u8]) -> Result<Checkpoint, String> {
    let stored = Weights::from_safetensors(file)?;
    let header = metadata(file, KEY).ok_or("this safetensors file is not a checkpoint")?;
    let header: CheckpointHeader = serde_json::from_str(&header)
        .map_err(|error| format!("its checkpoint header is invalid: {error}"))?;
    if header.checksum != header.checksum_with(&stored.tensor_refs()) {
        return Err("the checkpoint is damaged: its checksum does not match".to_owned());
    }
    let mut tensors: BTreeMap<String, NamedTensor> = stored
        .tensors
        .into_iter()
        .map(|tensor| (tensor.name.clone(), tensor))
        .collect();
    let mut weights = Weights::default();
    for name in &header.names {
        let tensor = tensors.remove(name);
        let missing = || format!("the checkpoint has no tensor {name}");
        weights.tensors.push(tensor.ok_or_else(missing)?);
    }
    let mut velocities = Vec::new();
    for parameter in weights.parameters() {
        let velocity = tensors.remove(&format!("{VELOCITY}{}", parameter.name));
        if velocity
            .as_ref()
            .is_some_and(|v| v.shape != parameter.shape)
        {
            return Err(format!(
                "the velocity of {} has the wrong shape",
                parameter.name
            ));
        }
        velocities.push(velocity.map(|velocity| velocity.values));
    }
    if let Some(name) = tensors.keys().next() {
        return Err(format!("the checkpoint has an unknown tensor, {name}"));
    }
    Ok(Checkpoint {
        identity: header.identity,
        state: TrainingState {
            epoch: header.epoch,
            step: header.step,
            digest: header.digest,
            digest_before: header.digest_before,
            weights,
            velocities,
        },
    })
}
