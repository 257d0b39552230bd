//! Questions to miners about their trainings, and their deadlines.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::JobBoard;
use super::collect::Collection;
use super::jobs::JobRef;
use super::roster::MinerIndex;
use crate::{
    Action, JobId, Millis, MinerId, OpenQuestion, Question, QuestionId, RefereeTask, Rejected,
};

/// The open questions, and what the referee has to compute.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Questions {
    open: BTreeMap<QuestionId, OpenQuestion>,
    deadlines: BTreeSet<(Millis, QuestionId)>,
    /// Number of questions asked so far, which is the id of the latest one.
    asked: u64,
    pub(super) tasks: BTreeMap<JobId, RefereeTask>,
    /// Jobs that have closed and whose weights are being collected.
    pub(super) collections: BTreeMap<JobId, Collection>,
}

impl Questions {
    /// Whether nothing was ever asked.
    pub(super) fn is_unused(&self) -> bool {
        self.asked == 0 && self.tasks.is_empty()
    }

    /// The question whose time is over first.
    pub(super) fn first_due(&self) -> Option<(Millis, QuestionId)> {
        self.deadlines.first().copied()
    }

    /// Removes a question that was answered, or is not needed any more.
    pub(super) fn remove(&mut self, id: QuestionId) -> Option<OpenQuestion> {
        let removed = self.open.remove(&id)?;
        self.deadlines.remove(&(removed.until, id));
        Some(removed)
    }

    /// Removes the questions about a job.
    pub(super) fn remove_of(&mut self, job: JobId) {
        let open = self.open.iter().filter(|(_, asked)| asked.job == job);
        for id in open.map(|(id, _)| *id).collect::<Vec<QuestionId>>() {
            self.remove(id);
        }
    }

    fn add(&mut self, question: OpenQuestion) -> QuestionId {
        self.asked += 1;
        let id = QuestionId(self.asked);
        self.deadlines.insert((question.until, id));
        self.open.insert(id, question);
        id
    }
}

impl JobBoard {
    /// A question that is not answered yet.
    pub fn question(&self, id: QuestionId) -> Option<&OpenQuestion> {
        self.questions.open.get(&id)
    }

    /// The questions that a miner has not answered yet, oldest first. Takes time proportional to the
    /// number of all open questions.
    pub fn questions_of(
        &self,
        miner: &MinerId,
    ) -> impl Iterator<Item = (QuestionId, &OpenQuestion)> {
        let open = self.questions.open.iter();
        open.filter(move |(_, question)| question.miner == *miner)
            .map(|(id, question)| (*id, question))
    }

    /// The questions that are not answered yet, oldest first.
    pub fn open_questions(&self) -> impl Iterator<Item = QuestionId> {
        self.questions.open.keys().copied()
    }

    /// Whether any miner has a question to answer.
    pub fn has_open_questions(&self) -> bool {
        !self.questions.open.is_empty()
    }

    /// What the referee was called for and has not reported yet, by job.
    pub fn referee_tasks(&self) -> impl Iterator<Item = (JobId, &RefereeTask)> {
        self.questions.tasks.iter().map(|(job, task)| (*job, task))
    }

    /// The open question of this id at a time.
    ///
    /// # Errors
    /// [`Rejected::NoQuestion`].
    pub(super) fn open_question(
        &self,
        now: Millis,
        id: QuestionId,
    ) -> Result<&OpenQuestion, Rejected> {
        let open = self.question(id).filter(|question| question.until > now);
        open.ok_or(Rejected::NoQuestion {
            question: id,
            latest: self.questions.asked,
        })
    }

    /// Asks a miner, who has `time_ms` milliseconds to answer.
    pub(super) fn ask(
        &mut self,
        miner: MinerIndex,
        job: JobId,
        what: Question,
        time_ms: u64,
        actions: &mut Vec<Action>,
    ) -> QuestionId {
        let until = self.now.plus(time_ms);
        let miner = self.roster.name(miner);
        let question = self.questions.add(OpenQuestion {
            miner: miner.clone(),
            job,
            what: what.clone(),
            until,
        });
        actions.push(Action::Asked {
            miner,
            job,
            question,
            what,
            until,
        });
        question
    }

    /// Ends a question that its miner has not answered in time, or will not answer because it left.
    pub(super) fn end_unanswered(&mut self, id: QuestionId, actions: &mut Vec<Action>) {
        let Some(OpenQuestion { miner, job, .. }) = self.questions.remove(id) else {
            return;
        };
        let index = self.roster.find(&miner);
        actions.push(Action::Unanswered {
            miner,
            job,
            question: id,
        });
        match self.jobs.job_ref(job) {
            Some(open) => self.lose_by_silence(open, id, actions),
            None => {
                if let Some(index) = index {
                    self.strike(index, 0);
                }
                self.collect_from_next(job, actions);
            }
        }
    }

    /// Asks others for the weights that a miner was asked for which has left or is away. In disputes it
    /// has its time: it may come back.
    pub(super) fn end_collections_from(&mut self, miner: MinerIndex, actions: &mut Vec<Action>) {
        let name = self.roster.name(miner);
        let asked = self.questions_of(&name);
        let collected = asked.filter(|(_, asked)| self.jobs.job_ref(asked.job).is_none());
        for id in collected.map(|(id, _)| id).collect::<Vec<QuestionId>>() {
            self.end_unanswered(id, actions);
        }
    }

    /// Ends what was asked about a job that has ended, or starts a new round.
    pub(super) fn withdraw_questions(&mut self, job: JobRef) {
        self.questions.tasks.remove(&job.id);
        let open = self.jobs.get_mut(job);
        let Some(dispute) = open.and_then(|job| job.dispute.as_mut()) else {
            return;
        };
        dispute.sides = None;
        for (_, id) in std::mem::take(&mut dispute.asked) {
            self.questions.remove(id);
        }
    }
}
