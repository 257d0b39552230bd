//! Questions to miners: who has to answer which, and their testimonies.

use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use naschain_consensus::{Event, Millis, MinerId, OpenQuestion, QuestionId, Rejected};
use naschain_core::StepState;

use crate::clock;
use crate::coordinator::Coordinator;
use crate::coordinator::call_error::{CallError, Unavailable};
use naschain_run::{MinerQuestion, Proof, QuestionsReply, RunState};

impl Coordinator {
    /// The questions that a miner has to answer; waits for one, for `wait` at most.
    ///
    /// # Errors
    /// Where this genomaster does not lead.
    pub async fn questions(
        &self,
        miner: &MinerId,
        wait: Duration,
    ) -> Result<QuestionsReply, CallError> {
        self.note_witness(miner).await;
        let give_up = clock::now() + wait;
        let mut asked = self.shared.asked.subscribe();
        let mut unavailable = self.watch_unavailable();
        loop {
            // Before the state is read, so that a question that is asked meanwhile is not missed.
            asked.mark_unchanged();
            let found = self.open_questions(miner).await?;
            let is_news = !found.questions.is_empty() || found.finished;
            if is_news || clock::now() >= give_up {
                return Ok(found);
            }
            let closing =
                unavailable.wait_for(|unavailable| *unavailable == Some(Unavailable::Closing));
            tokio::select! {
                _ = asked.changed() => {}
                _ = closing => return Ok(found),
                () = tokio::time::sleep_until(give_up.into()) => {}
            }
        }
    }

    /// Remembers that a miner answers questions. Only those that have joined, whose number is limited.
    async fn note_witness(&self, miner: &MinerId) {
        let has_joined =
            |state: Option<&RunState>| state.is_some_and(|state| state.board().has_joined(miner));
        if self.try_with_state(has_joined).await {
            let witnesses = self.witnesses.lock();
            let mut witnesses = witnesses.unwrap_or_else(PoisonError::into_inner);
            witnesses.insert(miner.clone());
        }
    }

    /// Whether a miner is not needed any more: when the run is over or, for one that answers no
    /// questions, when the search is finished.
    pub(super) fn is_done(&self, miner: &MinerId) -> bool {
        let witnesses = self.witnesses.lock();
        let witnesses = witnesses.unwrap_or_else(PoisonError::into_inner);
        let is_finished = self.shared.finished.load(Relaxed);
        self.shared.over.load(Relaxed) || is_finished && !witnesses.contains(miner)
    }

    async fn open_questions(&self, miner: &MinerId) -> Result<QuestionsReply, CallError> {
        let active = self.shared.active.lock().await;
        let standby = CallError::Unavailable(Unavailable::Standby);
        let active = active.as_ref().ok_or(standby)?;
        let (state, now) = (&active.state, active.clock.now());
        let board = state.board();
        if !board.has_joined(miner) {
            let miner = miner.clone();
            return Err(CallError::Rejected(Rejected::UnknownMiner { miner }));
        }
        let open = board.questions_of(miner);
        let open = open.filter_map(|(id, question)| self.described(state, now, id, question));
        Ok(QuestionsReply {
            questions: open.collect(),
            finished: state.is_over(),
        })
    }

    /// A question with what its miner needs to answer it.
    fn described(
        &self,
        state: &RunState,
        now: Millis,
        id: QuestionId,
        question: &OpenQuestion,
    ) -> Option<MinerQuestion> {
        let job = question.job;
        let genome = state.genome(job)?;
        Some(MinerQuestion {
            question: id,
            job,
            genome: genome.clone(),
            training_seed: self.training_seed(job, genome),
            last_epoch: state.last_epoch(job),
            what: question.what.clone(),
            remaining_ms: question.until.since(now),
        })
    }

    /// A miner's answer to a question about the states of its training.
    ///
    /// # Errors
    /// Where the board rejects it. A repeated answer is rejected, too: the question is not open any
    /// more.
    pub async fn testify(
        &self,
        miner: &MinerId,
        question: QuestionId,
        states: Vec<StepState>,
        proof: Option<Proof>,
    ) -> Result<(), CallError> {
        let miner = miner.clone();
        let testify = Event::Testify {
            miner,
            question,
            states,
        };
        self.handle(testify, proof).await.map(drop)
    }
}
