//! What is checked and counted once all jobs have ended.

use naschain_consensus::{JobBoard, JobId};
use naschain_core::Measurement;

use super::Checker;

impl Checker {
    /// Asserts that the board's points equal those computed from its actions.
    pub(crate) fn points_agree(&self, board: &JobBoard) {
        for (miner, _, tally) in board.miners() {
            assert_eq!(tally.points, self.scores.tally(miner).points, "{miner}");
        }
    }

    pub(crate) fn count_wrong(&mut self, is_right: impl Fn(JobId, &Measurement) -> bool) {
        let wrong = self
            .consensus
            .iter()
            .filter(|(job, found)| !is_right(**job, found));
        self.wrong = wrong.count() as u64;
    }
}
