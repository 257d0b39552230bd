//! Draws miners at random.

use naschain_core::Stream;

use super::{KnownMiner, MinerIndex, OwnerIndex, Roster};

impl Roster {
    /// Draws a present miner uniformly among those whose owner is not excluded. If `limited`, one
    /// without a good record has one seat at a time, so that such miners cannot hold up many jobs; and
    /// so has one whose latest answer was refuted.
    pub(in crate::board) fn draw(
        &self,
        stream: &mut Stream,
        excluded: &[OwnerIndex],
        limited: bool,
    ) -> Option<MinerIndex> {
        self.draw_among(stream, excluded, |miner| {
            let is_limited = miner.is_refuted || limited && !miner.record.is_good();
            !is_limited || miner.leases.is_empty() && miner.queued_flops == 0
        })
    }

    /// Like [`Roster::draw`], among the miners with a good record.
    pub(in crate::board) fn draw_proven(
        &self,
        stream: &mut Stream,
        excluded: &[OwnerIndex],
    ) -> Option<MinerIndex> {
        if self.present_proven() == 0 {
            return None;
        }
        self.draw_among(stream, excluded, |miner| miner.record.is_good())
    }

    fn draw_among(
        &self,
        stream: &mut Stream,
        excluded: &[OwnerIndex],
        may_be_drawn: impl Fn(&KnownMiner) -> bool,
    ) -> Option<MinerIndex> {
        let free = |miner: &MinerIndex| {
            let miner = &self[*miner];
            !excluded.contains(&miner.owner) && may_be_drawn(miner)
        };
        if self.available_owners(excluded) == 0 {
            return None;
        }
        // Rejection sampling nearly always succeeds at once; listing all candidates costs O(n).
        for _ in 0..32 {
            let miner = self.present[stream.index(self.present.len())];
            if free(&miner) {
                return Some(miner);
            }
        }
        let all: Vec<MinerIndex> = self.present.iter().copied().filter(free).collect();
        (!all.is_empty()).then(|| all[stream.index(all.len())])
    }

    /// Number of owners with a present miner that are not excluded.
    pub(in crate::board) fn available_owners(&self, excluded: &[OwnerIndex]) -> usize {
        let present = |owner: &OwnerIndex| self.owners[*owner as usize] > 0;
        let excluded_present = excluded
            .iter()
            .enumerate()
            .filter(|(at, owner)| !excluded[..*at].contains(owner) && present(owner))
            .count();
        self.owners_present - excluded_present
    }
}
