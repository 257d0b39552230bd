//! What a run leaves of a network: its job, and its place on the front.

use naschain_consensus::{Failure, JobId, MinerId, Row, Verdict};
use naschain_core::{Genome, Measurement};
use serde::{Deserialize, Serialize};

use crate::proof::Proof;

/// A job that has ended: who answered what, and what was found of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClosedJob {
    /// Its number, which is the candidate's.
    #[serde(rename = "batch")]
    pub job: JobId,
    /// The genome that was trained.
    pub genome: Genome,
    /// Miners and their rows, seat by seat.
    pub rows: Vec<(MinerId, Row)>,
    /// Who agreed, and on what.
    pub verdict: Verdict,
    /// Why there is no result, where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The signed request of each row, in the same order, where miners sign; empty where nobody
    /// does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proofs: Vec<Option<Proof>>,
}

/// A network of the Pareto front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontMember {
    /// Its job.
    pub job: JobId,
    /// Its genome.
    pub genome: Genome,
    /// What the miners agreed on.
    pub measurement: Measurement,
}
