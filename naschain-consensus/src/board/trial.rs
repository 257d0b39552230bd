//! Seats for miners without a good record, where others have one.

use naschain_core::{Purpose, Stream};

use super::JobBoard;
use super::job::Seat;
use super::jobs::{JobRef, SeatRef};
use super::roster::MinerIndex;

/// Number of jobs among which one is drawn.
const MAX_CANDIDATES: usize = 64;
/// Sets the stream of these draws apart from those of jobs, whose epochs are smaller.
const TRIALS: u64 = 1 << 63;

impl JobBoard {
    /// A seat that is assigned to another miner and not started, in a job drawn at random, and that
    /// other miner. Not in a job with another miner without a good record, which two of them could
    /// hold up, nor in one that lost a seat before.
    ///
    /// At random, so that a coalition cannot choose the jobs in which it has seats.
    pub(super) fn trial_seat(&self, miner: MinerIndex) -> Option<(SeatRef, MinerIndex)> {
        let waiting = self.stealable.from(0).map(|(_, job)| job);
        let waiting = waiting.filter_map(|job| self.trial_seat_in(job, miner));
        let found: Vec<(SeatRef, MinerIndex)> = waiting.take(MAX_CANDIDATES).collect();
        if found.is_empty() {
            return None;
        }
        let mut stream = Stream::new(self.seed, Purpose::Seats, TRIALS, self.granted);
        Some(found[stream.index(found.len())])
    }

    fn trial_seat_in(&self, id: JobRef, miner: MinerIndex) -> Option<(SeatRef, MinerIndex)> {
        let job = self.jobs.get(id)?;
        let holders = || job.seats.iter().flat_map(Seat::holders);
        let is_tried = holders().any(|holder| !self.roster[holder].record.is_good());
        if job.reassignments > 0 || job.round > 0 || is_tried {
            return None;
        }
        self.slowest_assigned(miner, id)
    }
}
