//! What goes over the wire under /v1, as JSON.

use naschain_consensus::{JobId, LeaseId};
use naschain_core::{Digest, Genome, Measurement};
use serde::{Deserialize, Serialize};

use crate::closed_job::ClosedJob;
use crate::hash_chain::Entry;
use crate::history_chain::HistoryHead;

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
    /// Its job.
    #[serde(rename = "batch")]
    pub job: JobId,
    /// The token to answer with.
    pub lease: LeaseId,
    /// What to train.
    pub genome: Genome,
    /// The lease ends this long after the last heartbeat.
    pub lease_ms: u64,
}

/// `GET /v1/batches?after=N`: jobs that have ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClosedJobs {
    /// Up to 1,000 jobs, in the order in which they ended, from number `after` on.
    #[serde(rename = "batches")]
    pub jobs: Vec<ClosedJob>,
    /// How many have ended in all.
    pub total: usize,
    /// Whether the run is finished.
    pub finished: bool,
    /// On the last page, the end of the chain of all jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<HistoryHead>,
}

/// `GET /identity`, which is never signed: how a genomaster is to be spoken to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The address that requests are signed for; without one they are not signed.
    pub hotkey: Option<String>,
}

/// `GET /v1/journal?after=N`: the journal as it is, up to the first answer to a job that is
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
