//! Validator scoring: recomputes every verdict from the signed rows and converts them to weights.

mod signatures;
mod terms;
mod work;

use signatures::Signatures;
pub use terms::{ForgedRow, ScoringTerms};
use work::JobWork;

use std::collections::BTreeMap;

use naschain_consensus::{
    Agreement, Finding, JobId, MinerId, Row, Rule, Scoreboard, Verdict, judge,
};
use naschain_core::Digest;
use serde::Serialize;

use crate::ended_job::EndedJob;
use crate::epochs::{EpochWeights, JudgedJob, epochs};

/// The result of [`validate`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ScoringReport {
    /// Number of validated jobs.
    #[serde(rename = "batches")]
    pub jobs: usize,
    /// Number of jobs with a consensus.
    pub accepted: usize,
    /// Jobs whose stored verdict differs from the recomputed one.
    pub disputed: Vec<JobId>,
    /// Number of rows with a valid signature.
    pub signed_rows: usize,
    /// Number of accepted unsigned rows.
    pub unsigned_rows: usize,
    /// Rows without a valid signature for this run. They earn nothing.
    pub forged: Vec<ForgedRow>,
    /// Number of jobs that the validator has trained itself.
    pub retrained: usize,
    /// Rows that differ from the validator's own training. They earn nothing.
    pub wrong: Vec<WrongRow>,
    /// Number of jobs in the genomaster's list that are not in its public journal yet. They are not
    /// validated and earn nothing until they are.
    pub unproven: usize,
    /// What is wrong with the genomaster's chain of ended jobs, if anything.
    pub history: Option<String>,
    /// Number of verified events of the genomaster's public journal.
    pub events: u64,
    /// What is wrong with that journal, if anything.
    pub journal: Option<String>,
    /// Number of rulings of the referee in that journal.
    pub rulings: usize,
    /// Number of them that the validator has repeated.
    pub repeated_rulings: usize,
    /// Number of completed epochs.
    pub epochs: usize,
    /// What each miner earned.
    pub miners: BTreeMap<MinerId, Standing>,
}

/// A row that differs from the validator's own training of the job.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WrongRow {
    /// The job.
    #[serde(rename = "batch")]
    pub job: JobId,
    /// The miner.
    pub miner: MinerId,
    /// The digest in the row.
    pub digest: Digest,
    /// What the validator's own training gave.
    pub recomputed: Row,
}

/// What one miner earned.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Standing {
    /// Level 1: one point for each rewarded row.
    pub points: u64,
    /// Level 2: accepted jobs.
    pub accepted_jobs: u64,
    /// Rows that were not rewarded.
    pub rejected_jobs: u64,
    /// Share of all points.
    pub reward: f32,
    /// The moving average after the last epoch.
    pub score: f32,
    /// The weight for the chain after the last epoch; the greatest is 65,535.
    pub weight: u16,
}

/// Verifies every signature, recomputes every verdict, and scores the miners from the results.
pub fn validate(ended: &[EndedJob], terms: &ScoringTerms) -> (ScoringReport, Vec<EpochWeights>) {
    let mut scoreboard = Scoreboard::new();
    let (mut disputed, mut judged) = (Vec::new(), Vec::new());
    let mut signatures = Signatures::default();
    let (mut wrong, mut work) = (Vec::new(), JobWork::default());
    for job in ended {
        let only = |rows: &[(MinerId, Row)]| -> Vec<Row> {
            rows.iter().map(|(_, row)| row.clone()).collect()
        };
        let has_referee = terms.spec.is_some_and(|spec| spec.rules.referee.is_some());
        // Where there is a referee the verdict follows from the journal, not from the rows alone. Only
        // jobs that are in the journal come here, with the verdict that was recomputed from it.
        if !has_referee && judge(&only(&job.rows), terms.agreement) != job.verdict {
            disputed.push(job.job);
        }
        let rows = checked_rows(job, terms, &mut signatures, &mut wrong);
        let verdict = if has_referee {
            without_rejected(job, &rows)
        } else {
            judge(&only(&rows), terms.agreement)
        };
        scoreboard.record(&rows, &verdict);
        let work = work.of(job, terms.spec);
        judged.push(JudgedJob {
            rows,
            verdict,
            work,
        });
    }
    let (epochs, average) = epochs(&judged, terms.run, terms.epoch_jobs, terms.finished);
    let weights = epochs.last().map(|epoch| &epoch.weights);
    let rewards = scoreboard.rewards();
    let standing = |miner: &MinerId| {
        let tally = scoreboard.tally(miner);
        let weight = weights.and_then(|weights| weights.get(miner));
        Standing {
            points: tally.points,
            accepted_jobs: tally.accepted_jobs,
            rejected_jobs: tally.rejected_jobs,
            reward: rewards.get(miner).copied().unwrap_or(0.0),
            score: average.scores().get(miner).copied().unwrap_or(0.0),
            weight: weight.copied().unwrap_or(0),
        }
    };
    let accepted = judged.iter().filter(|b| b.verdict.consensus.is_some());
    let miners = rewards.keys().map(|miner| (miner.clone(), standing(miner)));
    let report = ScoringReport {
        jobs: ended.len(),
        accepted: accepted.count(),
        disputed,
        signed_rows: signatures.held,
        unsigned_rows: signatures.missing,
        forged: signatures.forged,
        retrained: terms.retrained.len(),
        wrong,
        unproven: 0,
        history: None,
        events: 0,
        journal: None,
        rulings: 0,
        repeated_rulings: 0,
        epochs: epochs.len(),
        miners: miners.collect(),
    };
    (report, epochs)
}

/// The rows of a job, of which those without a valid signature are malformed, and those that differ from
/// the validator's own training are noted in `wrong`.
fn checked_rows(
    job: &EndedJob,
    terms: &ScoringTerms,
    signatures: &mut Signatures,
    wrong: &mut Vec<WrongRow>,
) -> Vec<(MinerId, Row)> {
    let mut rows = signatures.check(job, terms);
    if let Some(recomputed) = terms.retrained.get(&job.job) {
        let agreement = terms.agreement;
        wrong.extend(reject_wrong(job.job, &mut rows, recomputed, agreement));
    }
    rows
}

/// The verdict of a job, without the rows that were found to be forged or wrong.
fn without_rejected(job: &EndedJob, rows: &[(MinerId, Row)]) -> Verdict {
    let mut verdict = job.verdict.clone();
    let judged = verdict.agreed.iter_mut().zip(&mut verdict.findings);
    for ((agreed, finding), (_, row)) in judged.zip(rows) {
        if *agreed && row.measurement().is_none() {
            (*agreed, *finding) = (false, Finding::Malformed);
        }
    }
    if !verdict.agreed.contains(&true) {
        verdict.consensus = None;
    }
    verdict
}

/// Replaces the rows that differ from the validator's own training by malformed ones; returns them.
fn reject_wrong(
    job: JobId,
    rows: &mut [(MinerId, Row)],
    recomputed: &Row,
    agreement: &Agreement,
) -> Vec<WrongRow> {
    let mut wrong = Vec::new();
    for (miner, row) in rows {
        let Row::Measured(found) = *row else { continue };
        if !is_wrong_row(row, recomputed, agreement) {
            continue;
        }
        *row = Row::Malformed("its training gives another result".to_owned());
        wrong.push(WrongRow {
            job,
            miner: miner.clone(),
            digest: found.digest,
            recomputed: recomputed.clone(),
        });
    }
    wrong
}

/// Whether a measured row differs from `recomputed`, the validator's own training. Miners of the
/// reference network send no digest, which is stored as zeros; their accuracy counts.
pub fn is_wrong_row(row: &Row, recomputed: &Row, agreement: &Agreement) -> bool {
    let Row::Measured(found) = row else {
        return false;
    };
    let Row::Measured(own) = recomputed else {
        return true;
    };
    let has_digest = agreement.rule == Rule::Exact || found.digest != Digest([0; 32]);
    if has_digest {
        found != own
    } else {
        !agreement.pair_agrees(found, own)
    }
}

/// The first problem of a genomaster, if there is one in its history or its journal.
pub fn distrust(history: Option<&str>, journal: Option<&str>) -> Option<String> {
    let history = history.map(|problem| format!("history: {problem}"));
    history.or_else(|| journal.map(|problem| format!("journal: {problem}")))
}

impl ScoringReport {
    /// Why the genomaster's history or journal is invalid; then no weights are set.
    pub fn distrust(&self) -> Option<String> {
        distrust(self.history.as_deref(), self.journal.as_deref())
    }

    /// A one-line summary of all faults, or `None`.
    pub fn wrong(&self) -> Option<String> {
        let (forged, disputed) = (self.forged.len(), self.disputed.len());
        let wrong = self.wrong.len();
        match self.distrust() {
            Some(reason) => Some(format!("do not trust this genomaster: its {reason}")),
            None if forged + disputed > 0 => Some(format!(
                "{forged} rows are forged and {disputed} verdicts disputed"
            )),
            None if wrong > 0 => Some(format!(
                "{wrong} rows differ from this validator's own training"
            )),
            None => None,
        }
    }

    /// The report as a text table.
    pub fn table(&self) -> String {
        let mut text = format!(
            "{} jobs, {} accepted, {} verdicts disputed; {} rows signed, {} unsigned, {} forged; {} epochs\n\n",
            self.jobs,
            self.accepted,
            self.disputed.len(),
            self.signed_rows,
            self.unsigned_rows,
            self.forged.len(),
            self.epochs,
        );
        let longest = self.miners.keys().map(|miner| miner.as_str().len()).max();
        let width = longest.unwrap_or(0).max(24);
        text += &format!(
            "{:<width$} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}\n",
            "miner", "points", "accepted", "rejected", "reward", "score", "weight"
        );
        for (miner, s) in &self.miners {
            text += &format!(
                "{miner:<width$} {:>8} {:>8} {:>8} {:>8.4} {:>8.5} {:>8}\n",
                s.points, s.accepted_jobs, s.rejected_jobs, s.reward, s.score, s.weight
            );
        }
        for job in &self.disputed {
            text += &format!("{job}: the genomaster's verdict does not follow from its rows\n");
        }
        for ForgedRow {
            job,
            miner,
            problem,
        } in &self.forged
        {
            text += &format!("{job}: the row of {miner} is forged: {problem}\n");
        }
        for WrongRow { job, miner, .. } in &self.wrong {
            text += &format!(
                "{job}: the row of {miner} is wrong: this validator trained the network and got another result\n"
            );
        }
        if self.retrained > 0 {
            text += &format!("{} jobs trained again\n", self.retrained);
        }
        if self.rulings > 0 {
            text += &format!(
                "{} of {} rulings of the referee repeated\n",
                self.repeated_rulings, self.rulings
            );
        }
        if self.unproven > 0 {
            text += &format!(
                "{} listed jobs are not in the public journal; they earn nothing until they are\n",
                self.unproven
            );
        }
        if let Some(problem) = self.distrust() {
            text += &format!("do not trust this genomaster: its {problem}\n");
        }
        text
    }
}

#[cfg(test)]
mod tests;
