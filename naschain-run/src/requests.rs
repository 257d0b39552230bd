//! What miners send under /v1, as JSON.

use naschain_consensus::{MinerId, Row};
use naschain_core::Digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `POST /v1/join`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinRequest {
    /// Who joins: in a signed request the signer's address.
    pub miner: MinerId,
    /// A name for people to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<MinerId>,
    /// How many jobs it does at once, 1 to 1,024; without it as many as before, or one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs: Option<u32>,
}

/// `POST /v1/jobs`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobRequest {
    /// Who asks.
    pub miner: MinerId,
    /// How long to wait for work, at most 30,000.
    pub wait_ms: u64,
}

/// `POST /v1/leave`: the miner takes part no longer, and its seats are assigned anew at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaveRequest {
    /// Who leaves: in a signed request the signer's address.
    pub miner: MinerId,
    /// The run.
    pub run: Digest,
}

/// `POST /v1/leases/{lease}/heartbeat`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatRequest {
    /// Who works.
    pub miner: MinerId,
    /// Epochs finished.
    pub epoch: u32,
}

/// `POST /v1/leases/{lease}/result`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResultRequest {
    /// Who answers.
    pub miner: MinerId,
    /// A [`Row`]; anything else is counted as a malformed one.
    pub row: Value,
    /// The run that the lease is of; a signed answer has to say it, so that nobody can carry it
    /// into another run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Digest>,
}

impl ResultRequest {
    /// The row, malformed where it cannot be read.
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
