//! Questions to miners about their trainings, and their deadlines.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::JobBoard;
use crate::{JobId, MinerId, OpenQuestion, QuestionId, RefereeTask};

/// The open questions, and what the referee has to compute.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Questions {
    open: BTreeMap<QuestionId, OpenQuestion>,
    /// Number of questions asked so far, which is the id of the latest one.
    asked: u64,
    tasks: BTreeMap<JobId, RefereeTask>,
}

impl Questions {
    pub(super) fn latest(&self) -> u64 {
        self.asked
    }

    /// Whether no question was ever asked.
    pub(super) fn is_unused(&self) -> bool {
        self.asked == 0 && self.tasks.is_empty()
    }
}

impl JobBoard {
    /// A question that is not answered yet.
    pub fn question(&self, id: QuestionId) -> Option<&OpenQuestion> {
        self.questions.open.get(&id)
    }

    /// The questions that a miner has not answered yet, oldest first.
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
}
