//! Collecting the trained weights of jobs that have closed from the miners that trained them.

use std::collections::VecDeque;

use naschain_core::Digest;
use serde::{Deserialize, Serialize};

use super::JobBoard;
use crate::{Action, JobId, MinerId, Question, Rejected};

/// Time to deliver weights in milliseconds: they may be large, and the line slow.
const DELIVERY_MS: u64 = 600_000;
/// The same for a checkpoint that another job waits for.
const AWAITED_MS: u64 = 60_000;

/// Weights that are being collected.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Collection {
    digest: Digest,
    /// Miners that have not been asked yet.
    left: VecDeque<MinerId>,
    #[serde(default)]
    is_awaited: bool,
}

impl JobBoard {
    /// Whether what a miner answered this digest for is being collected.
    pub fn is_collecting(&self, digest: Digest) -> bool {
        let mut collections = self.questions.collections.values();
        collections.any(|collection| collection.digest == digest)
    }

    /// # Errors
    /// [`Rejected::NotCollectable`].
    pub(super) fn check_collection(&self, job: JobId, miners: &[MinerId]) -> Result<(), Rejected> {
        let reason = if !self.used_ids.contains(&job) {
            "it was never opened"
        } else if self.jobs.find(job).is_some() {
            "it is still open"
        } else if self.questions.collections.contains_key(&job) {
            "they are being collected already"
        } else if miners.is_empty() {
            "no miners are named"
        } else {
            return Ok(());
        };
        let reason = reason.to_owned();
        Err(Rejected::NotCollectable { job, reason })
    }

    pub(super) fn collect(
        &mut self,
        job: JobId,
        digest: Digest,
        miners: Vec<MinerId>,
        is_awaited: bool,
        actions: &mut Vec<Action>,
    ) {
        // Those that are present first: the others would be waited for.
        let is_away = |name: &MinerId| {
            let miner = self.roster.find(name);
            !miner.is_some_and(|miner| self.roster.is_present(miner))
        };
        let (away, mut left): (VecDeque<_>, VecDeque<_>) = miners.into_iter().partition(is_away);
        left.extend(away);
        let collection = Collection {
            digest,
            left,
            is_awaited,
        };
        self.questions.collections.insert(job, collection);
        self.collect_from_next(job, actions);
    }

    /// Asks the next miner that has not left.
    pub(super) fn collect_from_next(&mut self, job: JobId, actions: &mut Vec<Action>) {
        while let Some(collection) = self.questions.collections.get_mut(&job) {
            let digest = collection.digest;
            let time_ms = if collection.is_awaited {
                AWAITED_MS
            } else {
                DELIVERY_MS
            };
            let Some(next) = collection.left.pop_front() else {
                self.questions.collections.remove(&job);
                return actions.push(Action::NotCollected { job });
            };
            if let Some(miner) = self.roster.find(&next) {
                self.ask(miner, job, Question::Weights { digest }, time_ms, actions);
                return;
            }
        }
    }

    /// Ends the collection of a checkpoint that a job has waited for, which has ended without it.
    pub(super) fn end_awaited(&mut self, state: Digest) {
        let collections = self.questions.collections.iter();
        let awaited = collections.filter(|(_, one)| one.is_awaited && one.digest == state);
        for job in awaited.map(|(job, _)| *job).collect::<Vec<JobId>>() {
            self.questions.collections.remove(&job);
            self.questions.remove_of(job);
        }
    }

    pub(super) fn collected(&mut self, job: JobId, miner: MinerId, actions: &mut Vec<Action>) {
        if self.questions.collections.remove(&job).is_some() {
            actions.push(Action::Collected { job, miner });
        }
    }
}
