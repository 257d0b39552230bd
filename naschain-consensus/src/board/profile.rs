//! What the board knows of each miner.

use std::collections::BTreeMap;

use super::JobBoard;
use super::roster::{KnownMiner, MinerIndex, OwnerIndex};
use crate::{MinerId, Tally};

/// What the board knows of a miner.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MinerProfile<'b> {
    /// Its name.
    pub name: &'b MinerId,
    /// Its owner, if that is another than itself.
    pub owner: Option<&'b MinerId>,
    /// Whether it is present.
    pub is_present: bool,
    /// How many jobs it trains at a time.
    pub capacity: u32,
    /// Its active leases.
    pub leases: usize,
    /// Its points, and its jobs with and without reward.
    pub tally: Tally,
    /// Its average speed, once it has answered or another run told it.
    pub flops_per_second: Option<f64>,
}

impl JobBoard {
    /// All miners that ever joined, in the order of joining.
    pub fn profiles(&self) -> Vec<MinerProfile<'_>> {
        let owners: BTreeMap<OwnerIndex, &MinerId> = self.roster.owner_names().collect();
        let miners = (0..).zip(self.roster.iter());
        let profiles = miners.map(|(index, known)| {
            let owner = owners.get(&known.owner).copied();
            self.profile(index, known, owner)
        });
        profiles.collect()
    }

    fn profile<'b>(
        &'b self,
        index: MinerIndex,
        known: &'b KnownMiner,
        owner: Option<&'b MinerId>,
    ) -> MinerProfile<'b> {
        let pace = known.pace.ms_per_flop();
        MinerProfile {
            name: &known.name,
            owner: owner.filter(|owner| **owner != known.name),
            is_present: self.roster.is_present(index),
            capacity: known.capacity,
            leases: known.leases.len(),
            tally: known.tally,
            flops_per_second: pace.map(|pace| 1_000.0 / pace.max(f64::MIN_POSITIVE)),
        }
    }
}
