//! Request bodies of the HTTP API under /v1 (JSON).

use std::collections::BTreeMap;

use naschain_consensus::{MinerId, Row};
use naschain_core::Digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `POST /v1/join`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinRequest {
    /// The miner; in a signed request the signer's address.
    pub miner: MinerId,
    /// A display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<MinerId>,
    /// Number of concurrent jobs, 1 to 1,024; if missing, unchanged, or 1 for a new miner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs: Option<u32>,
    /// The run; required in a signed request, so that it cannot be replayed in another run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Digest>,
}

/// `POST /v1/jobs`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobRequest {
    /// The miner.
    pub miner: MinerId,
    /// How long to wait for work, in milliseconds; at most 30,000.
    pub wait_ms: u64,
    /// The run; required in a signed request, so that it cannot be replayed in another run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Digest>,
}

/// `POST /v1/assignments`, at a genomaster with many runs: which run to request work from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssignmentRequest {
    /// The miner; in a signed request the signer's address.
    pub miner: MinerId,
    /// What the miner wants.
    #[serde(default, skip_serializing_if = "Wanted::is_jobs")]
    pub wanted: Wanted,
    /// How long to wait for such a run, in milliseconds; at most 30,000.
    pub wait_ms: u64,
    /// The versions of the miner's program, as run specifications have them; runs that it cannot train
    /// are not assigned.
    pub versions: BTreeMap<String, String>,
    /// Runs that the miner cannot train, for example because their networks need too much memory; at
    /// most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<Digest>,
}

/// What a miner wants of the run that it is assigned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// Jobs.
    #[default]
    Jobs,
    /// Questions about trainings that it has answered.
    Questions,
}

impl Wanted {
    fn is_jobs(&self) -> bool {
        *self == Wanted::Jobs
    }
}

/// `POST /v1/exam`: the result of an entrance examination ([`crate::Exam`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExamRequest {
    /// The miner; in a signed request the signer's address.
    pub miner: MinerId,
    /// The run.
    pub run: Digest,
    /// The number of the examination.
    pub exam: u64,
    /// The digest of the training.
    pub digest: Digest,
}

/// `POST /v1/leave`: the miner leaves the run, and its seats are reassigned at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaveRequest {
    /// The miner; in a signed request the signer's address.
    pub miner: MinerId,
    /// The run.
    pub run: Digest,
}

/// `POST /v1/leases/{lease}/heartbeat`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatRequest {
    /// The miner.
    pub miner: MinerId,
    /// Number of finished epochs.
    pub epoch: u32,
    /// The run; required in a signed request, so that it cannot be replayed in another run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Digest>,
}

/// `POST /v1/leases/{lease}/result`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResultRequest {
    /// The miner.
    pub miner: MinerId,
    /// A [`Row`]. Any other JSON counts as malformed, so the type is that of serde_json.
    pub row: Value,
    /// The run that the lease belongs to; required in a signed answer, so that it cannot be
    /// replayed in another run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Digest>,
}

impl ResultRequest {
    /// The row, or [`Row::Malformed`] if it cannot be parsed. Texts are cut to 500 characters.
    pub fn row(&self) -> Row {
        const MAX_TEXT: usize = 500;
        match serde_json::from_value(self.row.clone()) {
            Ok(Row::Measured(measurement)) => Row::Measured(measurement),
            Ok(Row::Failed(reason)) => Row::Failed(reason.chars().take(MAX_TEXT).collect()),
            Ok(Row::Malformed(reason)) => Row::Malformed(reason.chars().take(MAX_TEXT).collect()),
            Err(error) => Row::Malformed(error.to_string().chars().take(MAX_TEXT).collect()),
        }
    }
}
