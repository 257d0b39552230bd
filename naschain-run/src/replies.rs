//! Response bodies of the HTTP API (JSON).

use naschain_consensus::{JobId, LeaseId, TrainingPart};
use naschain_core::{Digest, Genome, Measurement};
use serde::{Deserialize, Serialize};

use crate::ended_job::EndedJob;
use crate::hash_chain::Entry;
use crate::history_chain::HistoryHead;

/// The response to a [`crate::JobRequest`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum JobReply {
    /// A job to train.
    Job(Job),
    /// There is no job now; request again.
    Wait,
    /// The run is finished.
    Finished,
}

/// The response to a [`crate::AssignmentRequest`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum AssignmentReply {
    /// A run that probably has what the miner wants: join it, if need be, and request it there.
    Run {
        /// The run, whose routes are those below `/v1/runs/RUN/`.
        run: Digest,
        /// The URL of the genomaster that leads it, if it is another one than that which answers.
        /// Requests to the latter reach the run, too.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        genomaster: Option<String>,
    },
    /// There is none now; request again.
    Wait,
}

/// A genome to train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The run; its specification defines the training.
    pub run: Digest,
    /// The job's number.
    #[serde(rename = "batch")]
    pub job: JobId,
    /// The lease to send heartbeats and the answer for.
    pub lease: LeaseId,
    /// The genome to train.
    pub genome: Genome,
    /// The seed of this training, in runs with a secret; otherwise that of the recipe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_seed: Option<u64>,
    /// The epochs that the job trains, in runs with rungs; otherwise all. The answer is that after its
    /// last epoch, and heartbeats count its epochs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<TrainingPart>,
    /// The lease ends this many milliseconds after the last heartbeat.
    pub lease_ms: u64,
}

/// `GET /v1/batches?after=N`: ended jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndedJobs {
    /// Up to 1,000 jobs, fewer if they are large, in the order in which they
    /// ended, starting at index `after`.
    #[serde(rename = "batches")]
    pub jobs: Vec<EndedJob>,
    /// Number of ended jobs of the run.
    pub total: usize,
    /// Whether the run is finished.
    pub finished: bool,
    /// The training seeds of these jobs, in runs with a secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub training_seeds: Vec<u64>,
    /// On the last page, the head of the hash chain of all ended jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<HistoryHead>,
}

/// `GET /identity`, which is never signed: the receiver to name in signed requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The receiver's address for signed requests; `None` if requests are not signed.
    pub hotkey: Option<String>,
    /// Whether it is a genomaster with many runs: miners ask `POST /v1/assignments` for one of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_many_runs: bool,
}

/// `GET /v1/journal?after=N`: the journal up to the first answer to an open job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JournalPage {
    /// Up to 1,000 entries after number `after`, fewer if they are large or read slowly.
    pub entries: Vec<Entry>,
    /// Number of the last entry that is public now.
    pub last: u64,
}

/// `GET /v1/front`: one entry for each network of the current Pareto front.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrontEntry {
    /// Its genome.
    pub genome: Genome,
    /// What the miners agreed on.
    #[serde(flatten)]
    pub measurement: Measurement,
}
