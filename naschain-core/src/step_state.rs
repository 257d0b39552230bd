//! The state of a training after a step, as digests.

use serde::{Deserialize, Serialize};

use crate::Digest;

/// The state of a training after a number of its steps, as two digests. Two trainings that agree about
/// it continue to the same bits; docs/arithmetic.md defines both.
///
/// Miners do not send these while they train. Where answers of miners differ, they are asked for some
/// of them, to find the first step at which their trainings part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepState {
    /// The digest chain after the latest finished epoch; after the last step, the digest of the
    /// training.
    pub chain: Digest,
    /// The digest of everything that the rest of the training and its digest depend on: the chain,
    /// weights, running statistics and velocities. It is the digest of a training that pauses here.
    pub state: Digest,
}
