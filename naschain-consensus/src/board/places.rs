//! The limited set of known miners; idle ones are replaced.

use super::JobBoard;
use super::job::Seat;
use super::roster::MinerIndex;
use crate::{Action, Millis, MinerId, Rejected};

/// If none of the miners that are idle the longest can lose its place, further ones are not
/// examined.
const MAX_CANDIDATES: usize = 8;

impl JobBoard {
    /// Whether a miner is known, or would get a place at this time.
    pub fn has_place_for(&self, now: Millis, miner: &MinerId) -> bool {
        self.place_for(now, miner).is_ok()
    }

    /// The miner whose place a new one gets; `None` if one is free.
    ///
    /// # Errors
    /// [`Rejected::Full`].
    pub(super) fn place_for(
        &self,
        now: Millis,
        miner: &MinerId,
    ) -> Result<Option<MinerIndex>, Rejected> {
        let Some(rules) = self.rules.reputation else {
            return Ok(None);
        };
        if self.roster.is_known(miner) || self.roster.len() < rules.max_miners as usize {
            return Ok(None);
        }
        let idle = self
            .place_deadlines
            .iter()
            .take_while(|(until, _)| *until <= now);
        let mut idle = idle.take(MAX_CANDIDATES).map(|(_, index)| *index);
        match idle.find(|index| !self.has_open_answer(*index)) {
            Some(index) => Ok(Some(index)),
            None => Err(Rejected::Full {
                miner: miner.clone(),
                max_miners: rules.max_miners,
            }),
        }
    }

    /// Whether an open job has an answer of this miner.
    fn has_open_answer(&self, miner: MinerIndex) -> bool {
        let answered = |seat: &Seat| seat.answer().is_some() && seat.holders().any(|m| m == miner);
        let mut jobs = self.jobs.iter();
        self.roster[miner].has_answered && jobs.any(|job| job.seats.iter().any(answered))
    }

    /// Removes a miner that has lost its place.
    pub(super) fn evict(&mut self, miner: MinerIndex, actions: &mut Vec<Action>) {
        self.set_away(miner, actions);
        self.set_place_timer(miner, None);
    }

    /// Starts or stops the time after which a miner may lose its place. It runs while the miner
    /// holds no lease.
    pub(super) fn renew_place(&mut self, miner: MinerIndex) {
        let Some(rules) = self.rules.reputation else {
            return;
        };
        let known = &self.roster[miner];
        let idle = known.leases.is_empty();
        let until = idle.then(|| known.useful_at.plus(rules.place_ms));
        self.set_place_timer(miner, until);
    }

    fn set_place_timer(&mut self, miner: MinerIndex, until: Option<Millis>) {
        let old = std::mem::replace(&mut self.roster[miner].place_until, until);
        if let Some(old) = old {
            self.place_deadlines.remove(&(old, miner));
        }
        if let Some(new) = until {
            self.place_deadlines.insert((new, miner));
        }
    }
}
