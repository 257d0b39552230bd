//! How answers are collected, and how jobs are judged and ended.

use naschain_core::Measurement;

use super::JobBoard;
use super::job::{Late, OpenJob, Seat};
use super::jobs::JobRef;
use super::lease::Lease;
use super::roster::MinerIndex;
use crate::{Action, Ending, Failure, Finding, LeaseId, MinerId, Row, Verdict};

impl JobBoard {
    pub(super) fn submit(&mut self, lease: LeaseId, row: Row, actions: &mut Vec<Action>) {
        let Some(mut ended) = self.end_lease(lease, Ending::Answered) else {
            return;
        };
        let (miner, seat) = (ended.miner, ended.seat);
        self.touch(miner);
        self.roster.note_answer(miner);
        if let Some(consensus) = ended.check.take() {
            return self.judge_late_answer(miner, seat.id, row, &consensus, false, actions);
        }
        if row.measurement().is_some() {
            self.update_pace(&ended);
            if !self.counts_disputes() {
                self.roster[miner].useful_at = self.now;
                self.renew_place(miner);
            }
        }
        self.fill(lease, &ended, row, actions);
    }

    /// Fills the seat with an answer, or keeps the answer as a late one if the seat is filled
    /// already.
    fn fill(&mut self, lease: LeaseId, ended: &Lease, row: Row, actions: &mut Vec<Action>) {
        let (miner, seat) = (ended.miner, ended.seat);
        let excused = self.does_not_count(miner, seat.job());
        let job = self.jobs.get_mut(seat.job());
        let Some(state) = job.and_then(|job| job.seats.get_mut(seat.number())) else {
            return;
        };
        let (name, job, number) = (self.roster.name(miner), seat.id, seat.number());
        match state {
            Seat::Leased {
                worker,
                speculative,
            } => {
                let other = if worker.lease == lease {
                    *speculative
                } else {
                    Some(*worker)
                };
                if (other.is_some() || excused) && row.measurement().is_none() {
                    self.roster[miner].tally.count(false);
                    self.note_validity(miner, Finding::Malformed);
                    actions.push(Action::Discarded {
                        miner: name,
                        job,
                        seat: number,
                        lease,
                        row,
                    });
                    if excused {
                        let owner = self.roster[miner].owner;
                        self.note_former_owner(seat.job(), owner);
                    }
                    self.release(lease, ended, actions);
                    return self.withdraw_seats(miner, actions);
                }
                *state = Seat::Answered {
                    miner,
                    row: Box::new(row),
                    late: other.map(|other| Box::new(Late::Training(other))),
                };
                if let Some(other) = other {
                    self.update_estimate(other.lease);
                }
                actions.push(Action::Filled {
                    miner: name,
                    job,
                    seat: number,
                    lease,
                });
                self.settle(seat.job(), actions);
            }
            Seat::Answered { late, .. } => {
                *late = Some(Box::new(Late::Answered { miner, row }));
                actions.push(Action::Late {
                    miner: name,
                    job,
                    seat: number,
                    lease,
                });
                self.fill_open_seats(seat.job(), actions);
            }
            Seat::Open { .. } | Seat::Assigned { .. } => {}
        }
    }

    /// Fills open seats with late answers for other seats, since the miners that gave those can
    /// hold no other seat of the job; then judges the job if its answers suffice.
    pub(super) fn fill_open_seats(&mut self, id: JobRef, actions: &mut Vec<Action>) {
        while let Some((from, seat)) = self.next_move(id) {
            let Some(job) = self.jobs.get_mut(id) else {
                return;
            };
            let Seat::Answered { late, .. } = &mut job.seats[from] else {
                return;
            };
            let Some(Late::Answered { miner, row }) = late.take().map(|late| *late) else {
                return;
            };
            self.open_seats.forget(&job.seats[seat]);
            job.seats[seat] = Seat::Answered {
                miner,
                row: Box::new(row),
                late: None,
            };
            actions.push(Action::Moved {
                miner: self.roster.name(miner),
                job: id.id,
                from,
                seat,
            });
        }
        self.settle(id, actions);
    }

    /// A seat with a late answer, and an open seat of the same job.
    fn next_move(&self, id: JobRef) -> Option<(usize, usize)> {
        let seats = &self.jobs.get(id)?.seats;
        let has_second = |seat: &Seat| match seat {
            Seat::Answered { late, .. } => matches!(late.as_deref(), Some(Late::Answered { .. })),
            Seat::Open { .. } | Seat::Assigned { .. } | Seat::Leased { .. } => false,
        };
        let from = seats.iter().position(has_second)?;
        let open = |seat: &Seat| matches!(seat, Seat::Open { .. });
        Some((from, seats.iter().position(open)?))
    }

    /// Judges a job once its answers suffice.
    pub(super) fn settle(&mut self, id: JobRef, actions: &mut Vec<Action>) {
        let Some(job) = self.jobs.get(id) else {
            return;
        };
        if job.is_disputed() {
            return;
        }
        let seats = job.seats.len();
        let answers = job.seats.iter().filter_map(Seat::answer);
        let failed = |(_, row): &(MinerIndex, &Row)| matches!(row, Row::Failed(_));
        let failed = answers.clone().filter(failed).count();
        // A single failure does not fail the job; the job gets all its seats first.
        let most_failed = failed * 2 > seats && seats > 1;
        let missing = seats - answers.clone().count();
        let is_careful = self.rules.reputation.is_some();
        let none_measured = answers.clone().all(|(_, row)| row.measurement().is_none());
        // Where there is a referee, one measurement is enough, so failures do not outvote it.
        let may_fail = !is_careful && self.rules.referee.is_none();
        let fails = most_failed && (may_fail || missing == 0 && none_measured);
        if missing > 0 && !fails && !self.lacks_only_open_seats(job, missing) {
            return;
        }
        let rows: Vec<Row> = answers.map(|(_, row)| row.clone()).collect();
        if seats == 1 {
            match trusted_verdict(&rows[0]) {
                Some(verdict) => return self.close(id, verdict, actions),
                None if self.rules.seats > 1 => return self.widen(id, actions),
                None => {}
            }
        }
        let verdict = self.verdict_of(job);
        // With one seat, an answer without a measurement ends the job.
        if fails || self.rules.seats == 1 {
            let reasons = job.failure_reasons();
            let failure = Failure::TrainingFailed { reasons };
            return self.fail(id, failure, verdict, actions);
        }
        if self.dispute(id, actions) {
            return;
        }
        if verdict.consensus.is_none() {
            return self.disagree(id, verdict, actions);
        }
        if !self.spot_check(id, actions) {
            self.close(id, verdict, actions);
        }
    }

    /// What happens to a job whose answers do not agree.
    pub(super) fn disagree(&mut self, id: JobRef, verdict: Verdict, actions: &mut Vec<Action>) {
        let round = self.jobs.get(id).map_or(0, |job| job.round);
        if self.escalate(id, &verdict, actions) {
            return;
        }
        if round < self.rules.max_new_rounds {
            return self.start_round(id, verdict, actions);
        }
        let failure = Failure::NoAgreement { rounds: round + 1 };
        self.fail(id, failure, verdict, actions);
    }

    /// Whether a job has as many answers as its first seats and lacks only seats for which no miner
    /// can be drawn. These are not waited for.
    fn lacks_only_open_seats(&self, job: &OpenJob, missing: usize) -> bool {
        let open = |seat: &&Seat| matches!(seat, Seat::Open { .. });
        job.seats.iter().filter(open).count() == missing
            && job.seats.len() - missing >= self.rules.seats
    }

    /// Ends a job of which too many leases ended without an answer, by the answers it has.
    pub(super) fn give_up(&mut self, id: JobRef, actions: &mut Vec<Action>) {
        let is_disputed = self.jobs.get(id).is_some_and(OpenJob::is_disputed);
        if is_disputed || self.dispute(id, actions) {
            return;
        }
        let Some(job) = self.jobs.get(id) else {
            return;
        };
        let verdict = self.verdict_of(job);
        if verdict.consensus.is_some() {
            return self.close(id, verdict, actions);
        }
        let failure = Failure::Abandoned {
            leases: job.abandoned,
            reasons: job.failure_reasons(),
        };
        self.fail(id, failure, verdict, actions);
    }

    pub(super) fn close(&mut self, id: JobRef, verdict: Verdict, actions: &mut Vec<Action>) {
        let Some(consensus) = verdict.consensus else {
            return;
        };
        self.count_rows(id, &verdict);
        let (rows, late) = self.end_job(id, Some(consensus), actions);
        actions.push(Action::Closed {
            job: id.id,
            rows,
            verdict,
        });
        for (miner, row) in late {
            self.judge_late_answer(miner, id.id, row, &consensus, true, actions);
        }
    }

    pub(super) fn fail(
        &mut self,
        id: JobRef,
        failure: Failure,
        verdict: Verdict,
        actions: &mut Vec<Action>,
    ) {
        self.count_rows(id, &verdict);
        let (rows, _) = self.end_job(id, None, actions);
        actions.push(Action::Failed {
            job: id.id,
            failure,
            rows,
            verdict,
        });
    }

    /// Removes a job and returns its answers and the late ones. Its remaining leases end, except
    /// those whose late answer can still be compared with a consensus.
    #[allow(
        clippy::type_complexity,
        reason = "two lists with the caller as their only user"
    )]
    fn end_job(
        &mut self,
        id: JobRef,
        consensus: Option<Measurement>,
        actions: &mut Vec<Action>,
    ) -> (Vec<(MinerId, Row)>, Vec<(MinerIndex, Row)>) {
        self.withdraw_questions(id);
        let (mut rows, mut late_answers) = (Vec::new(), Vec::new());
        let Some(job) = self.jobs.remove(id) else {
            return (rows, late_answers);
        };
        if let Some(ticket) = job.stealable {
            self.stealable.remove(ticket);
        }
        if let Some(state) = job.part.and_then(|part| part.from_state) {
            self.end_awaited(state);
        }
        for seat in job.seats {
            match seat {
                Seat::Open { ticket } => self.open_seats.remove(ticket),
                Seat::Assigned { .. } => self.roster.unassign(&seat, job.flops),
                Seat::Leased {
                    worker,
                    speculative,
                } => {
                    for worker in [Some(worker), speculative].into_iter().flatten() {
                        self.revoke(worker.lease, Ending::JobEnded, actions);
                    }
                }
                Seat::Answered { miner, row, late } => {
                    rows.push((self.roster.name(miner), *row));
                    match (late.map(|late| *late), consensus) {
                        (Some(Late::Answered { miner, row }), _) => late_answers.push((miner, row)),
                        (Some(Late::Training(worker)), Some(consensus)) => {
                            if let Some(active) = self.leases.get_mut(&worker.lease) {
                                active.check = Some(Box::new(consensus));
                            }
                        }
                        (Some(Late::Training(worker)), None) => {
                            self.revoke(worker.lease, Ending::JobEnded, actions);
                        }
                        (None, _) => {}
                    }
                }
            }
        }
        (rows, late_answers)
    }

    /// Ends the leases of miners whose seats have already been filled by others.
    pub(super) fn revoke_late(&mut self, id: JobRef, actions: &mut Vec<Action>) {
        let seats = self.jobs.get(id).map(|job| job.seats.iter());
        let late = seats.into_iter().flatten().filter_map(|seat| match seat {
            Seat::Answered { late, .. } => late.as_deref(),
            Seat::Open { .. } | Seat::Assigned { .. } | Seat::Leased { .. } => None,
        });
        let training = late.filter_map(|late| match late {
            Late::Training(worker) => Some(worker.lease),
            Late::Answered { .. } => None,
        });
        for lease in training.collect::<Vec<LeaseId>>() {
            self.revoke(lease, Ending::NewRound, actions);
        }
    }
}

/// The verdict on the answer of a trusted miner, if it is a measurement.
fn trusted_verdict(row: &Row) -> Option<Verdict> {
    row.measurement().map(|own| Verdict {
        agreed: vec![true],
        findings: vec![Finding::Trusted],
        consensus: Some(*own),
    })
}
