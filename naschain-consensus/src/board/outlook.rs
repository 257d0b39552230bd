//! What can be seen of the board without changing it.

use super::JobBoard;
use crate::{BatchId, LeaseId, MinerId, NoWork};

impl JobBoard {
    /// The batch, and the seat counted from 0, that a live lease is for.
    pub fn place(&self, lease: LeaseId) -> Option<(BatchId, usize)> {
        let live = self.leases.get(&lease)?;
        Some((live.place.id, live.place.seat()))
    }

    /// Every live lease with its miner and its batch, the oldest first.
    pub fn leases(&self) -> impl Iterator<Item = (LeaseId, &MinerId, BatchId)> {
        let leases = self.leases.iter();
        leases.map(|(id, live)| (*id, &self.roster[live.miner].name, live.place.id))
    }

    /// Why a request of this miner at [`JobBoard::now`] would be answered by
    /// [`crate::Action::Idle`] alone, if that is sure. The caller may then spare it, as long as the
    /// miner is heard of now and then: one that is silent for [`crate::Rules::away_ms`] is taken to
    /// be away.
    pub fn why_idle(&self, miner: &MinerId) -> Option<NoWork> {
        let index = self.roster.find(miner)?;
        let known = &self.roster[index];
        let mut dealt = known.dealt.iter();
        let has_own = known.leases.len() >= known.capacity as usize
            || dealt.any(|(place, dealing)| self.is_dealt_to(*place, *dealing, index));
        if !self.roster.is_present(index) || has_own {
            return None;
        }
        let no_more = self.no_more_for(index);
        let may_open = no_more.is_none() || self.is_first(index, no_more);
        if may_open && self.open_seats.from(known.seen_open).next().is_some() {
            return None;
        }
        let may_take = self.takeable.from(known.seen_takeable).next().is_some()
            || self.next_copied_by(index).is_some();
        if no_more.is_none() && may_take {
            return None;
        }
        Some(self.no_work(no_more, may_open))
    }
}
