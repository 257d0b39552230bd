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

    /// Draws one of the preferred miners or, for the last of several seats, preferably another one: it
    /// checks what the preferred ones have trained before. `None` if there is none of the kind.
    pub(in crate::board) fn draw_preferred(
        &self,
        stream: &mut Stream,
        preferred: &[MinerIndex],
        excluded: &[OwnerIndex],
        is_last: bool,
    ) -> Option<MinerIndex> {
        if is_last {
            let owners = preferred.iter().map(|miner| self[*miner].owner);
            let excluded: Vec<OwnerIndex> = excluded.iter().copied().chain(owners).collect();
            let drawn = self.draw_proven(stream, &excluded);
            return drawn.or_else(|| self.draw(stream, &excluded, true));
        }
        let is_free = |miner: &&MinerIndex| {
            let known = &self[**miner];
            self.is_present(**miner) && !known.is_refuted && !excluded.contains(&known.owner)
        };
        let free: Vec<&MinerIndex> = preferred.iter().filter(is_free).collect();
        (!free.is_empty()).then(|| *free[stream.index(free.len())])
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
