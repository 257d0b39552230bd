//! What can be seen of the board without changing it.

use super::JobBoard;
use crate::{BatchId, LeaseId, MinerId};

impl JobBoard {
    /// The batch, and the seat counted from 0, that a live lease is for.
    pub fn place(&self, lease: LeaseId) -> Option<(BatchId, usize)> {
        let live = self.leases.get(&lease)?;
        Some((live.place.id, live.place.seat()))
    }

    /// Whether a request of this miner at [`JobBoard::now`] would be answered by
    /// [`crate::Action::Idle`] alone. The caller may then spare it, as long as the miner is heard
    /// of now and then: one that is silent for [`crate::Rules::away_ms`] is taken to be away. It
    /// may be wrong the other way: then the request finds that out.
    pub fn would_idle(&self, miner: &MinerId) -> bool {
        let Some(index) = self.roster.find(miner) else {
            return false;
        };
        let known = &self.roster[index];
        let mut dealt = known.dealt.iter();
        let finds_nothing = || {
            self.takeable.from(known.seen_takeable).next().is_none()
                && self.next_copied_by(index).is_none()
        };
        self.roster.is_present(index)
            && known.leases.len() < known.capacity as usize
            && !dealt.any(|(place, dealing)| self.is_dealt_to(*place, *dealing, index))
            && self.open_seats.from(known.seen_open).next().is_none()
            && (self.no_more_for(index).is_some() || finds_nothing())
    }
}
