//! What goes over the wire under /v1, as JSON.

use naschain_consensus::{BatchId, LeaseId, MinerId, Row};
use naschain_core::{Digest, Genome, Measurement};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::batch_chain::Head;
use crate::chain::Entry;
use crate::state::ClosedBatch;

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

/// The answer to a [`JobRequest`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum JobReply {
    /// Train this.
    Job(Job),
    /// There is nothing to do now; ask again.
    Wait,
    /// The run is finished; there will be nothing more.
    Finished,
}

/// A genome to train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The run it belongs to, whose specification says how to train it.
    pub run: Digest,
    /// Its batch.
    pub batch: BatchId,
    /// The token to answer with.
    pub lease: LeaseId,
    /// What to train.
    pub genome: Genome,
    /// The lease ends this long after the last heartbeat.
    pub lease_ms: u64,
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
        const MOST_TEXT: usize = 500;
        match serde_json::from_value(self.row.clone()) {
            Ok(Row::Measured(measurement)) => Row::Measured(measurement),
            Ok(Row::Failed(why)) => Row::Failed(why.chars().take(MOST_TEXT).collect()),
            Ok(Row::Malformed(why)) => Row::Malformed(why.chars().take(MOST_TEXT).collect()),
            Err(error) => Row::Malformed(error.to_string().chars().take(MOST_TEXT).collect()),
        }
    }
}

/// `GET /v1/batches?after=N`: batches that have ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batches {
    /// Up to 1,000 batches, in the order in which they ended, from number `after` on.
    pub batches: Vec<ClosedBatch>,
    /// How many have ended in all.
    pub total: usize,
    /// Whether the run is finished.
    pub finished: bool,
    /// On the last page, the end of the chain of all batches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Head>,
}

/// `GET /identity`, which is never signed: how a genomaster is to be spoken to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The address that requests are signed for; without one they are not signed.
    pub hotkey: Option<String>,
}

/// `GET /v1/journal?after=N`: the journal as it is, up to the first answer to a batch that is
/// still open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JournalPage {
    /// Up to 1,000 entries after number `after`.
    pub entries: Vec<Entry>,
    /// The number of the last entry that is shown for now.
    pub last: u64,
}

/// `GET /v1/front`: one entry for each network of the Pareto front so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrontEntry {
    /// Its genome.
    pub genome: Genome,
    /// What the miners agreed on.
    #[serde(flatten)]
    pub measurement: Measurement,
}

/// An error as RFC 9457 has it, `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// A short name for the kind of error, such as `stale_lease`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The HTTP status.
    pub status: u16,
    /// What was wrong and what would be right.
    pub detail: String,
}
