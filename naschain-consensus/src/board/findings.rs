//! What is concluded from answers, and what it does to their miners.

use naschain_core::Measurement;

use super::JobBoard;
use super::job::{OpenJob, Seat};
use super::jobs::JobRef;
use super::roster::MinerIndex;
use crate::{Action, Agreement, Finding, JobId, Row, Verdict, judge, judge_late};

impl JobBoard {
    /// The verdict on the answers that a job has. Those that have lost a dispute count as little as
    /// malformed ones.
    pub(super) fn verdict_of(&self, job: &OpenJob) -> Verdict {
        let answers = job.seats.iter().enumerate();
        let answers = answers.filter_map(|(seat, state)| Some((seat, state.answer()?.1)));
        let rows = answers.clone().map(|(seat, row)| match job.has_lost(seat) {
            Some(_) => Row::Malformed(String::new()),
            None => row.clone(),
        });
        let rows: Vec<Row> = rows.collect();
        let mut verdict = judge(&rows, &self.agreement());
        for ((seat, _), finding) in answers.zip(&mut verdict.findings) {
            *finding = job.has_lost(seat).unwrap_or(*finding);
        }
        verdict
    }

    /// When answers agree. Where there is a referee equal trainings are told from others, so that
    /// accuracies may not differ.
    pub(super) fn agreement(&self) -> Agreement {
        let mut agreement = self.rules.agreement;
        if self.rules.referee.is_some() {
            agreement.tolerance_hundredths = 0;
        }
        agreement
    }

    /// Compares a late answer with the consensus. An answer after the end of the job earns nothing,
    /// since the consensus is public by then; it only counts against its miner if it differs.
    pub(super) fn judge_late_answer(
        &mut self,
        miner: MinerIndex,
        job: JobId,
        row: Row,
        consensus: &Measurement,
        in_time: bool,
        actions: &mut Vec<Action>,
    ) {
        let finding = judge_late(&row, consensus, &self.agreement());
        let agrees = finding == Finding::Agreed;
        if in_time || !agrees {
            self.roster[miner].tally.count(agrees);
            self.note_validity(miner, finding);
        }
        actions.push(Action::LateJudged {
            miner: self.roster.name(miner),
            job,
            row,
            finding,
            rewarded: agrees && in_time,
        });
    }

    /// Counts the answers of a judged job for their miners. Without a consensus it is not known
    /// which answers are valid, so the numbers of valid answers in a row stay; but of several
    /// measurements that differ all but one at most are wrong, so each counts as a bad outcome for a
    /// miner without a good record.
    pub(super) fn count_rows(&mut self, id: JobRef, verdict: &Verdict) {
        let seats = self.jobs.get(id).map(|job| job.seats.iter());
        let answers = seats.into_iter().flatten().filter_map(Seat::answer);
        let is_measured = |row: &Row| row.measurement().is_some();
        let answers = answers.map(|(miner, row)| (miner, is_measured(row)));
        let answers: Vec<(MinerIndex, bool)> = answers.collect();
        let measured = answers.iter().filter(|(_, measured)| *measured).count();
        for (at, (miner, is_measured)) in answers.into_iter().enumerate() {
            self.roster[miner].tally.count(verdict.agreed[at]);
            let finding = verdict.findings[at];
            if verdict.consensus.is_some() || finding.is_lost() {
                self.note_validity(miner, finding);
            } else if self.counts_disputes() && is_measured && measured > 1 {
                self.strike_unproven(miner);
            }
        }
    }
}
