//! What scoring is given, and the rows that it rejects.

use std::collections::BTreeMap;

use naschain_consensus::{Agreement, JobId, MinerId, Row};
use naschain_core::Digest;
use serde::Serialize;

use crate::spec::RunSpec;

/// The parameters of [`crate::validate`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ScoringTerms<'a> {
    /// The run.
    pub run: Digest,
    /// The run's agreement.
    pub agreement: &'a Agreement,
    /// The genomaster's address, if it has one; then every row of a hotkey must be signed.
    pub genomaster: Option<&'a str>,
    /// Whether unsigned rows of miners of the reference network (`uid-N`) are rewarded.
    pub legacy: bool,
    /// Number of jobs per epoch.
    pub epoch_jobs: usize,
    /// Whether the run is finished; then an incomplete last epoch counts.
    pub finished: bool,
    /// The run's specification, to check the costs of the rows; without it they are not checked.
    pub spec: Option<&'a RunSpec>,
    /// The results of jobs that the validator has trained itself. Rows that differ earn nothing.
    pub retrained: &'a BTreeMap<JobId, Row>,
}

/// No retrained jobs.
pub(super) static NOT_RETRAINED: BTreeMap<JobId, Row> = BTreeMap::new();

impl<'a> ScoringTerms<'a> {
    /// Parameters for a finished run without signatures, as one epoch.
    pub fn new(run: Digest, agreement: &'a Agreement) -> ScoringTerms<'a> {
        ScoringTerms {
            run,
            agreement,
            genomaster: None,
            legacy: false,
            epoch_jobs: usize::MAX,
            finished: true,
            spec: None,
            retrained: &NOT_RETRAINED,
        }
    }
}

/// A row without a valid signature of its miner.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ForgedRow {
    /// The job.
    #[serde(rename = "batch")]
    pub job: JobId,
    /// The miner that the row names.
    pub miner: MinerId,
    /// What is wrong.
    pub problem: String,
}
