//! The records of miners and owners.

use super::{MinerIndex, Record, Roster};
use crate::Millis;

impl Roster {
    pub(in crate::board) fn blocked_until(&self, miner: MinerIndex) -> Millis {
        let known = &self[miner];
        let owner = self.known_owners.get(&known.owner);
        let owner = owner.map_or(Millis(0), |owner| owner.record.blocked_until());
        known.record.blocked_until().max(owner)
    }

    /// Counts a bad outcome against a miner and its owner. One for each miner of an owner causes it
    /// no back-off: they may have lost power together.
    pub(in crate::board) fn strike(
        &mut self,
        miner: MinerIndex,
        now: Millis,
        base_ms: u64,
        max_ms: u64,
    ) {
        self.change_record(miner, |record| record.strike(now, 0, base_ms, max_ms));
        let owner = self[miner].owner;
        let owner = self.known_owners.entry(owner).or_default();
        owner.record.strike(now, owner.members, base_ms, max_ms);
    }

    pub(in crate::board) fn accept(&mut self, miner: MinerIndex) {
        self.change_record(miner, Record::accept);
        let owner = self[miner].owner;
        self.known_owners.entry(owner).or_default().record.accept();
    }

    /// Gives a miner the credits of other runs.
    pub(in crate::board) fn credit(&mut self, miner: MinerIndex, credit: u32) {
        self.change_record(miner, |record| record.begin_with(credit));
    }

    /// Takes a miner's credits away, for an answer that was proven wrong.
    pub(in crate::board) fn forfeit(&mut self, miner: MinerIndex) {
        self.change_record(miner, Record::forfeit);
    }

    fn change_record(&mut self, miner: MinerIndex, change: impl FnOnce(&mut Record)) {
        let known = &mut self[miner];
        let was_proven = known.record.is_good();
        change(&mut known.record);
        let is_proven = known.record.is_good();
        if self.is_present(miner) {
            self.present_proven += usize::from(is_proven);
            self.present_proven -= usize::from(was_proven);
        }
    }

    /// Number of present miners with a good record.
    pub(in crate::board) fn present_proven(&self) -> usize {
        self.present_proven
    }
}
