//! The results of a run: ended jobs and members of the Pareto front.

use std::cmp::Reverse;

use naschain_consensus::{Failure, JobId, MinerId, Row, Verdict};
use naschain_core::{Genome, Measurement};
use naschain_nsga::Outcome;
use serde::{Deserialize, Serialize};

use crate::proof::Proof;
use crate::spec::RunSpec;

/// An ended job: the answers and the verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndedJob {
    /// The job's number, equal to the candidate's.
    #[serde(rename = "batch")]
    pub job: JobId,
    /// The genome that was trained.
    pub genome: Genome,
    /// Miners and their rows, by seat.
    pub rows: Vec<(MinerId, Row)>,
    /// Which rows agreed, and the consensus.
    pub verdict: Verdict,
    /// Why there is no result, if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The signed request of each row, in the same order; empty if no row is signed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proofs: Vec<Option<Proof>>,
}

impl EndedJob {
    /// What the miners agreed on, if the job has a result.
    pub fn result(&self) -> Option<Measurement> {
        self.verdict.consensus.filter(|_| self.failure.is_none())
    }

    /// The miners whose answers are rewarded, in the order of seats.
    pub fn rewarded(&self) -> Vec<MinerId> {
        let judged = self.rows.iter().zip(&self.verdict.agreed);
        let rewarded = judged.filter(|(_, agreed)| **agreed);
        rewarded.map(|((miner, _), _)| miner.clone()).collect()
    }

    /// Why the job has no result.
    pub fn reason(&self) -> String {
        match &self.failure {
            Some(failure) => failure.to_string(),
            None => "no two miners agreed".to_owned(),
        }
    }

    /// The outcome that the job reports to the search.
    pub(crate) fn outcome(&self, spec: &RunSpec) -> Outcome {
        match self.result() {
            Some(measured) => Outcome::objectives(spec.objective_values(&self.genome, &measured)),
            None => Outcome::Failed(self.reason()),
        }
    }
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

impl FrontMember {
    /// The order of a front: most accurate first, then the smallest.
    pub fn order(&self) -> impl Ord + use<> {
        let m = self.measurement;
        (Reverse(m.accuracy), m.params, m.flops, self.job)
    }
}
