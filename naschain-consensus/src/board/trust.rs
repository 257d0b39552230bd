//! Adaptive replication: reliable miners are checked less often.

use naschain_core::Stream;

use super::JobBoard;
use super::jobs::JobRef;
use super::roster::MinerIndex;
use crate::Finding;

impl JobBoard {
    /// Whether a miner has given enough valid answers in a row.
    pub(super) fn is_trusted(&self, miner: MinerIndex) -> bool {
        let after = self.rules.trust.map(|trust| trust.after_valid);
        after.is_some_and(|after| self.roster[miner].valid_in_a_row >= after)
    }

    /// Whether a job has a single seat, because its miner is trusted.
    pub(super) fn is_single(&self, job: JobRef) -> bool {
        let job = self.jobs.get(job);
        job.is_some_and(|job| job.seats.len() == 1)
    }

    /// Whether a job gets all its seats although its first miner may be trusted: with a probability
    /// of one over that miner's number of valid answers in a row.
    pub(super) fn is_checked(&self, miner: MinerIndex, stream: &mut Stream) -> bool {
        let run = self.roster[miner].valid_in_a_row;
        !self.is_trusted(miner) || stream.chance(1.0 / f64::from(run.max(1)))
    }

    /// Updates a miner's number of valid answers in a row.
    pub(super) fn note_validity(&mut self, miner: MinerIndex, reason: Finding) {
        match reason {
            Finding::Agreed | Finding::Trusted => self.accept(miner),
            lost if lost.is_lost() => {
                self.roster.forfeit(miner);
                self.strike(miner, 0);
            }
            _ => self.strike(miner, 0),
        }
        self.roster[miner].is_refuted = reason.is_lost();
        let run = &mut self.roster[miner].valid_in_a_row;
        match reason {
            Finding::Agreed => *run = run.saturating_add(1),
            Finding::Trusted => {}
            _ => *run = 0,
        }
    }
}
