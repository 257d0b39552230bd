//! Miners that are known from other runs.

use super::JobBoard;
use super::roster::MinerIndex;
use crate::{MinerId, TrackRecord};

impl JobBoard {
    /// Whether [`Event::Introduce`](crate::Event::Introduce) has an effect on a miner: it has joined, and
    /// nothing is known of it.
    pub fn may_introduce(&self, miner: &MinerId) -> bool {
        let found = self.roster.find(miner);
        found.is_some_and(|miner| self.is_unknown(miner))
    }

    fn is_unknown(&self, miner: MinerIndex) -> bool {
        let known = &self.roster[miner];
        !known.has_answered && !known.pace.is_known() && known.valid_in_a_row == 0
    }

    /// Lets a miner begin with what is known of it.
    pub(super) fn introduce(&mut self, miner: MinerIndex, record: TrackRecord) {
        if !self.is_unknown(miner) {
            return;
        }
        self.roster.credit(miner, record.credit);
        let known = &mut self.roster[miner];
        known.valid_in_a_row = record.valid_in_a_row;
        if record.flops_per_second > 0 {
            known.pace.update(1_000, record.flops_per_second);
        }
    }

    /// What the answers of the miners in this run say of them; only of those that have answered.
    pub fn track_records(&self) -> impl Iterator<Item = (&MinerId, TrackRecord)> {
        self.roster.iter().filter_map(|known| {
            let ms_per_flop = known.pace.ms_per_flop().filter(|_| known.has_answered)?;
            let record = TrackRecord {
                valid_in_a_row: known.valid_in_a_row,
                credit: known.record.credit(),
                // Casts of floats saturate.
                flops_per_second: (1_000.0 / ms_per_flop.max(f64::MIN_POSITIVE)) as u64,
            };
            Some((&known.name, record))
        })
    }
}
