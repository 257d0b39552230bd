//! Which rows of a job their miners have signed, with the costs of the job's network.

use std::collections::BTreeSet;

use naschain_consensus::{Event, MinerId, Row, check_costs};
use naschain_core::Costs;

use crate::ended_job::EndedJob;
use crate::proof::{Proof, RequestRules};
use crate::scoring::terms::{ForgedRow, ScoringTerms};

/// Counts of verified rows so far.
#[derive(Default)]
pub(super) struct Signatures {
    pub(super) held: usize,
    pub(super) missing: usize,
    pub(super) forged: Vec<ForgedRow>,
    /// Used nonces: each signed request counts once.
    seen: BTreeSet<(String, u64)>,
}

impl Signatures {
    /// Returns the rows of a job; forged ones are replaced by malformed rows.
    pub(super) fn check(&mut self, job: &EndedJob, terms: &ScoringTerms) -> Vec<(MinerId, Row)> {
        let mut rows = job.rows.clone();
        let costs = terms.spec.and_then(|spec| spec.costs_of(&job.genome));
        for (place, (miner, row)) in rows.iter_mut().enumerate() {
            let proof = job.proofs.get(place).and_then(Option::as_ref);
            let Some(problem) = self.problem(miner, row, proof, costs.as_ref(), terms) else {
                continue;
            };
            *row = Row::Malformed(format!("forged: {problem}"));
            self.forged.push(ForgedRow {
                job: job.job,
                miner: miner.clone(),
                problem,
            });
        }
        rows
    }

    fn problem(
        &mut self,
        miner: &MinerId,
        row: &Row,
        proof: Option<&Proof>,
        costs: Option<&Costs>,
        terms: &ScoringTerms,
    ) -> Option<String> {
        if let Some(costs) = costs
            && let Row::Malformed(problem) = check_costs(row.clone(), costs)
            && matches!(row, Row::Measured(_))
        {
            return Some(problem);
        }
        let Some(proof) = proof else {
            let is_old = miner.uid().is_some();
            if terms.genomaster.is_some() && !is_old {
                return Some("it is not signed".to_owned());
            }
            if terms.genomaster.is_some() && !terms.legacy {
                let problem = "it is not signed; unsigned rows of the reference network's miners are rewarded only with --legacy";
                return Some(problem.to_owned());
            }
            self.missing += 1;
            return None;
        };
        let Some(lease) = proof.lease() else {
            return Some("the signed request is not an answer".to_owned());
        };
        // A row with wrong costs was signed as it was, and is stored as malformed.
        let signed = proof
            .row()
            .filter(|signed| costs.is_some_and(|costs| check_costs(signed.clone(), costs) == *row));
        let answer = Event::Submit {
            miner: miner.clone(),
            lease,
            row: signed.unwrap_or_else(|| row.clone()),
        };
        let rules = RequestRules::new(terms.run, true);
        if let Err(error) = proof.check(&answer, &rules) {
            return Some(error.to_string());
        }
        if terms.genomaster.is_some_and(|own| own != proof.receiver) {
            return Some(format!("it was signed for {}", proof.receiver));
        }
        if !self.seen.insert((proof.hotkey.clone(), proof.nonce)) {
            return Some(format!("nonce {} was signed for another row", proof.nonce));
        }
        self.held += 1;
        None
    }
}
