//! How a dispute between answers of a job is pursued and ended.

use naschain_core::{Digest, Measurement, StepState};

use super::JobBoard;
use super::dispute::NextMove;
use super::jobs::JobRef;
use crate::{
    Action, Failure, Finding, JobId, Millis, MinerId, Question, QuestionId, RefereeTask, Rejected,
    Ruling, Verdict,
};

/// Largest time to train again, relative to the average.
const SLOW: u64 = 6;
/// Largest number of questions to one miner that make the time for a further one longer.
const MAX_OWED: u64 = 16;

impl JobBoard {
    /// Starts a dispute if there is a referee and measurements of the job differ in what it can
    /// decide: digest or accuracy. Returns whether it did.
    pub(super) fn dispute(&mut self, id: JobRef, actions: &mut Vec<Action>) -> bool {
        let job = self.jobs.get(id).filter(|_| self.rules.referee.is_some());
        let Some(job) = job else {
            return false;
        };
        let claims = job.claims();
        let mut costs = claims.iter().map(|(found, _)| (found.params, found.flops));
        let first = costs.next();
        if claims.len() < 2 || costs.any(|other| Some(other) != first) {
            return false;
        }
        let sides = [claims[0].1[0], claims[1].1[0]];
        let answer = |seat: &usize| job.seats[*seat].answer();
        let names = claims.iter().map(|(_, seats)| {
            let miners = seats.iter().filter_map(answer);
            miners.map(|(miner, _)| self.roster.name(miner)).collect()
        });
        let claims = names.collect();
        actions.push(Action::Disputed { job: id.id, claims });
        if let Some(job) = self.jobs.get_mut(id) {
            job.dispute.get_or_insert_default().sides = Some(sides);
        }
        self.pursue(id, actions);
        true
    }

    /// Does what has to happen next in a dispute, until it waits for a miner or the referee, or ends.
    fn pursue(&mut self, id: JobRef, actions: &mut Vec<Action>) {
        while !self.questions.tasks.contains_key(&id.id) {
            let Some(next) = self.next_in_dispute(id) else {
                return self.conclude(id, actions);
            };
            match next {
                NextMove::Ask(questions) => {
                    let mut has_lost = false;
                    for (seat, question) in questions {
                        has_lost |= !self.ask_seat(id, seat, question, actions);
                    }
                    if !has_lost {
                        return;
                    }
                }
                NextMove::Call(task) => {
                    self.questions.tasks.insert(id.id, task);
                    actions.push(Action::RefereeCalled { job: id.id, task });
                }
                NextMove::Decide(task, ruling) => self.decide(id, task, ruling, actions),
            }
        }
    }

    /// The next move between two answers that differ and have not lost; `None` if there are none. A side
    /// stays until it loses.
    fn next_in_dispute(&mut self, id: JobRef) -> Option<NextMove> {
        self.rules.referee?;
        let job = self.jobs.get_mut(id)?;
        let steps = job.disputable(&self.rules);
        let standing: Vec<_> = job.standing().collect();
        let dispute = job.dispute.as_mut()?;
        let find = |seat: usize| standing.iter().find(|(other, _)| *other == seat);
        let sides = dispute.sides?.map(find);
        let first = sides[0].or(sides[1]).or(standing.first())?;
        let differs = |other: &&&(usize, _)| other.1 != first.1;
        let second = sides[1].as_ref().filter(differs).copied();
        let second = second.or_else(|| standing.iter().find(|other| other.1 != first.1))?;
        let sides = [first.0, second.0];
        dispute.sides = Some(sides);
        Some(if first.1.digest == second.1.digest {
            dispute.next_move_on_accuracy(sides, first.1.digest)
        } else {
            dispute.next_move(sides, &steps)
        })
    }

    /// Asks the miner of a seat, unless it has a question to answer already. If it has left, it loses;
    /// then this returns `false`.
    fn ask_seat(
        &mut self,
        id: JobRef,
        seat: usize,
        question: Question,
        actions: &mut Vec<Action>,
    ) -> bool {
        let Some(job) = self.jobs.get(id) else {
            return true;
        };
        let is_asked = |dispute: &super::dispute::Dispute| dispute.asked.contains_key(&seat);
        let Some((miner, _)) = job.seats[seat].answer() else {
            return true;
        };
        if job.dispute.as_deref().is_some_and(is_asked) {
            return true;
        }
        if self.roster[miner].has_left {
            self.lose(id, seat, Finding::Silent);
            return false;
        }
        // It may have to train the network again from the start, beside what else it was asked. A slow
        // miner has more time, but not so much that it holds up all others.
        let flops = job.flops_from_start();
        let own_ms = self.expected_ms(miner, flops).unwrap_or(0);
        let average_ms = self.average_ms(flops).unwrap_or(own_ms);
        let training_ms = own_ms.min(average_ms.saturating_mul(SLOW)).max(average_ms);
        let owed = self.questions_of(&self.roster.name(miner)).count() as u64;
        let turns = 1 + (owed / u64::from(self.roster[miner].capacity.max(1))).min(MAX_OWED);
        let answer_ms = self.rules.referee.map_or(0, |referee| referee.answer_ms);
        let time_ms = training_ms.saturating_mul(2).saturating_mul(turns);
        let time_ms = time_ms.max(answer_ms);
        let question = self.ask(miner, id.id, question, time_ms, actions);
        if let Some(dispute) = self.jobs.get_mut(id).and_then(|job| job.dispute.as_mut()) {
            dispute.asked.insert(seat, question);
        }
        true
    }

    fn lose(&mut self, id: JobRef, seat: usize, finding: Finding) {
        let job = self.jobs.get_mut(id);
        if let Some(dispute) = job.and_then(|job| job.dispute.as_mut()) {
            dispute.lost.insert(seat, finding);
            if let Some(question) = dispute.asked.remove(&seat) {
                self.questions.remove(question);
            }
        }
    }

    /// The miner that was asked a question has not answered it.
    pub(super) fn lose_by_silence(
        &mut self,
        id: JobRef,
        question: QuestionId,
        actions: &mut Vec<Action>,
    ) {
        if let Some(seat) = self.answered_by(id, question) {
            self.lose(id, seat, Finding::Silent);
            self.pursue(id, actions);
        }
    }

    /// The seat whose miner was asked a question, which counts as answered from now on.
    fn answered_by(&mut self, id: JobRef, question: QuestionId) -> Option<usize> {
        let dispute = self.jobs.get_mut(id)?.dispute.as_mut()?;
        let mut asked = dispute.asked.iter();
        let (seat, _) = asked.find(|(_, asked)| **asked == question)?;
        let seat = *seat;
        dispute.asked.remove(&seat);
        Some(seat)
    }

    /// # Errors
    /// [`Rejected::UnknownMiner`], [`Rejected::NoQuestion`], [`Rejected::NotAsked`] or
    /// [`Rejected::OtherAnswer`].
    pub(super) fn check_testimony(
        &self,
        now: Millis,
        miner: MinerId,
        question: QuestionId,
    ) -> Result<(), Rejected> {
        self.known(miner.clone())?;
        let open = self.open_question(now, question)?;
        if open.miner != miner {
            return Err(Rejected::NotAsked { miner, question });
        }
        expect_kind(question, &open.what, "states")
    }

    pub(super) fn testify(
        &mut self,
        question: QuestionId,
        states: &[StepState],
        actions: &mut Vec<Action>,
    ) {
        // The question may have been withdrawn by what was due.
        let Some(open) = self.questions.remove(question) else {
            return;
        };
        let Some(id) = self.jobs.job_ref(open.job) else {
            return;
        };
        let (Some(seat), Question::States { steps }) = (self.answered_by(id, question), open.what)
        else {
            return;
        };
        let Some(job) = self.jobs.get_mut(id) else {
            return;
        };
        let disputable = job.disputable(&self.rules);
        let digest = job.seats[seat]
            .answer()
            .and_then(|(_, row)| row.measurement());
        let (Some(own), Some(dispute)) = (digest, job.dispute.as_mut()) else {
            return;
        };
        let is_consistent = disputable.admits(&steps, states, own.digest);
        if is_consistent {
            dispute.testify(seat, &steps, states);
        } else {
            self.lose(id, seat, Finding::Contradicted);
        }
        self.pursue(id, actions);
    }

    /// # Errors
    /// [`Rejected::NoQuestion`] or [`Rejected::OtherAnswer`].
    pub(super) fn check_delivery(&self, now: Millis, id: QuestionId) -> Result<(), Rejected> {
        expect_kind(id, &self.open_question(now, id)?.what, "a delivery")
    }

    pub(super) fn receive(&mut self, question: QuestionId, actions: &mut Vec<Action>) {
        let Some(open) = self.questions.remove(question) else {
            return;
        };
        let Some(id) = self.jobs.job_ref(open.job) else {
            return self.collected(open.job, open.miner, actions);
        };
        self.answered_by(id, question);
        if let Some(dispute) = self.jobs.get_mut(id).and_then(|job| job.dispute.as_mut()) {
            dispute.received.push(open.what);
        }
        self.pursue(id, actions);
    }

    /// # Errors
    /// [`Rejected::NoRuling`].
    pub(super) fn check_ruling(&self, job: JobId, ruling: &Ruling) -> Result<(), Rejected> {
        let is_asked_for = match (self.questions.tasks.get(&job), ruling) {
            (Some(RefereeTask::Step { step, .. }), Ruling::Step { step: found, .. }) => {
                step == found
            }
            (Some(RefereeTask::Accuracy { .. }), Ruling::Accuracy { .. }) => true,
            _ => false,
        };
        if is_asked_for {
            Ok(())
        } else {
            Err(Rejected::NoRuling { job })
        }
    }

    pub(super) fn rule(&mut self, job: JobId, ruling: Ruling, actions: &mut Vec<Action>) {
        let (Some(task), Some(id)) = (self.questions.tasks.remove(&job), self.jobs.job_ref(job))
        else {
            return;
        };
        if let Some(dispute) = self.jobs.get_mut(id).and_then(|job| job.dispute.as_mut()) {
            dispute.record(task, ruling);
        }
        self.decide(id, task, ruling, actions);
        self.pursue(id, actions);
    }

    /// Refutes the answers that differ from what the referee found. About a step that is a side whose
    /// miner testified something else; other miners that gave the same answer may testify better.
    fn decide(&mut self, id: JobRef, task: RefereeTask, ruling: Ruling, actions: &mut Vec<Action>) {
        let Some(job) = self.jobs.get(id) else {
            return;
        };
        let Some((dispute, sides)) = job.dispute.as_deref().and_then(|d| Some((d, d.sides?)))
        else {
            return;
        };
        let standing = job.standing().filter(|(seat, own)| match (task, ruling) {
            (_, Ruling::Step { step, found }) => {
                // Zeros stand for a step that diverges, which has no state.
                let is_right = dispute.state(*seat, step) == Some(found) && !is_zero(&found);
                sides.contains(seat) && !is_right
            }
            (RefereeTask::Accuracy { digest }, Ruling::Accuracy { found }) => {
                own.digest == digest && own.accuracy != found
            }
            (RefereeTask::Step { .. }, Ruling::Accuracy { .. }) => false,
        });
        let seats: Vec<usize> = standing.map(|(seat, _)| seat).collect();
        let miners = seats.iter().filter_map(|seat| job.seats[*seat].answer());
        let refuted = miners.map(|(miner, _)| self.roster.name(miner)).collect();
        actions.push(Action::Ruled {
            job: id.id,
            ruling,
            refuted,
        });
        for seat in seats {
            self.lose(id, seat, Finding::Refuted);
        }
    }

    /// Ends a dispute: the answer that is left wins, also if it is that of a single miner. But if others
    /// were silent, one more miner has to agree, as long as one can be drawn: honest miners that have
    /// crashed or are busy must not make a lie win.
    fn conclude(&mut self, id: JobRef, actions: &mut Vec<Action>) {
        self.withdraw_questions(id);
        let Some(job) = self.jobs.get(id) else {
            return;
        };
        let mut verdict = self.verdict_of(job);
        let mut lost = job.dispute.iter().flat_map(|dispute| dispute.lost.values());
        let is_untested =
            lost.any(|finding| *finding == Finding::Silent) && job.seats.len() == self.rules.seats;
        let standing: Vec<_> = job.standing().collect();
        let mut single = None;
        if let [(seat, found)] = standing[..] {
            let answered = job.seats[..seat].iter().filter_map(|seat| seat.answer());
            single = Some((answered.count(), found));
        }
        if is_untested && !standing.is_empty() && self.add_seat(id, actions) {
            return;
        }
        accept_single(&mut verdict, single);
        if verdict.consensus.is_some() {
            return self.close(id, verdict, actions);
        }
        let Some(job) = self.jobs.get(id) else {
            return;
        };
        if self.is_given_up(job) {
            let failure = Failure::Abandoned {
                leases: job.abandoned,
                reasons: job.failure_reasons(),
            };
            return self.fail(id, failure, verdict, actions);
        }
        let is_pending = job
            .seats
            .iter()
            .any(|seat| seat.is_assigned() || seat.is_leased());
        if is_pending || !standing.is_empty() && self.add_seat(id, actions) {
            return;
        }
        self.disagree(id, verdict, actions);
    }
}

fn is_zero(state: &StepState) -> bool {
    state.state == Digest([0; 32])
}

/// Makes the answer at this place the consensus, if there is one.
fn accept_single(verdict: &mut Verdict, single: Option<(usize, Measurement)>) {
    if let Some((at, found)) = single {
        verdict.agreed[at] = true;
        verdict.findings[at] = Finding::Agreed;
        verdict.consensus = Some(found);
    }
}

/// # Errors
/// [`Rejected::OtherAnswer`] if the question asks for something else.
fn expect_kind(question: QuestionId, what: &Question, answered: &str) -> Result<(), Rejected> {
    let asked = match what {
        Question::States { .. } => "states",
        Question::Checkpoint { .. } | Question::Weights { .. } => "a delivery",
    };
    if asked == answered {
        return Ok(());
    }
    Err(Rejected::OtherAnswer {
        question,
        asked: asked.to_owned(),
        answered: answered.to_owned(),
    })
}
