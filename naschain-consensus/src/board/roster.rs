//! The known miners and their owners.

mod draw;
mod records;

use std::collections::{BTreeMap, VecDeque};
use std::ops::{Index, IndexMut};

use serde::{Deserialize, Serialize};

use super::job::Seat;
use super::jobs::SeatRef;
use super::record::Record;
use super::watchdog::AveragePace;
use crate::{Ending, LeaseId, Millis, MinerId, Tally};

/// A miner's index in the roster, in the order of joining.
pub(super) type MinerIndex = u32;
/// An owner's index in the roster.
pub(super) type OwnerIndex = u32;

/// A miner that has joined at some time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct KnownMiner {
    pub(super) name: MinerId,
    pub(super) owner: OwnerIndex,
    pub(super) capacity: u32,
    pub(super) has_left: bool,
    /// Its index in the list of present miners.
    #[serde(rename = "place")]
    present_index: Option<u32>,
    /// When it counts as away; set only while it is present without a lease.
    pub(super) away_at: Option<Millis>,
    /// Active leases, oldest first.
    pub(super) leases: Vec<LeaseId>,
    /// Its latest ended leases with the reason; a few.
    pub(super) ended: Vec<(LeaseId, Ending)>,
    pub(super) has_answered: bool,
    /// It went away without ever having worked, and has not worked since.
    has_only_joined: bool,
    /// Seats assigned to it with their round, oldest first; some may have gone to others since.
    pub(super) assigned: VecDeque<(SeatRef, u32)>,
    /// Total size of the jobs that are assigned to it and not started.
    pub(super) queued_flops: u128,
    /// When the fastest plausible miner would have finished everything this one was given.
    pub(super) busy_until: Millis,
    /// The tickets below which the queues hold nothing for it.
    pub(super) open_cursor: u64,
    pub(super) stealable_cursor: u64,
    pub(super) tally: Tally,
    pub(super) pace: AveragePace,
    pub(super) valid_in_a_row: u32,
    /// Its latest judged answer has lost a dispute: it gets one seat at a time, and selects none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_refuted: bool,
    #[serde(default)]
    pub(super) record: Record,
    /// When it joined or last gave an answer that is a measurement.
    #[serde(default)]
    pub(super) useful_at: Millis,
    /// When it may lose its place; set only while it has no lease.
    #[serde(default)]
    pub(super) place_until: Option<Millis>,
}

/// The record of an owner, and how many miners name it.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Owner {
    record: Record,
    members: u32,
}

/// All miners that ever joined, and which of them are present.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Roster {
    by_name: BTreeMap<MinerId, MinerIndex>,
    miners: Vec<KnownMiner>,
    present: Vec<MinerIndex>,
    owners_by_name: BTreeMap<MinerId, OwnerIndex>,
    /// Number of present miners of each owner.
    owners: Vec<u32>,
    owners_present: usize,
    /// Number of present miners that have answered at some time.
    present_answered: usize,
    /// Number of present miners that have never worked since they were away.
    idle_present: usize,
    /// Number of present miners with a good record.
    present_proven: usize,
    assigned_seats: u64,
    /// Owners by index; forgotten ones are removed.
    #[serde(default)]
    known_owners: BTreeMap<OwnerIndex, Owner>,
    /// Indices of owners that no miner names any more.
    #[serde(default)]
    free_owners: Vec<OwnerIndex>,
}

impl Index<MinerIndex> for Roster {
    type Output = KnownMiner;

    fn index(&self, miner: MinerIndex) -> &KnownMiner {
        &self.miners[miner as usize]
    }
}

impl IndexMut<MinerIndex> for Roster {
    fn index_mut(&mut self, miner: MinerIndex) -> &mut KnownMiner {
        &mut self.miners[miner as usize]
    }
}

impl Roster {
    /// A miner that has joined and not left.
    pub(super) fn find(&self, name: &MinerId) -> Option<MinerIndex> {
        let miner = *self.by_name.get(name)?;
        (!self[miner].has_left).then_some(miner)
    }

    pub(super) fn name(&self, miner: MinerIndex) -> MinerId {
        self[miner].name.clone()
    }

    /// Records that a miner has joined. Without terms, a known miner keeps its owner and capacity.
    pub(super) fn join(
        &mut self,
        name: MinerId,
        terms: Option<(Option<MinerId>, u32)>,
        replaced: Option<MinerIndex>,
    ) -> MinerIndex {
        let known = self.by_name.get(&name).copied();
        if let (Some(miner), None) = (known, &terms) {
            self[miner].has_left = false;
            return miner;
        }
        let (owner, capacity) = terms.unwrap_or((None, 1));
        let owner = self.owner(owner.unwrap_or_else(|| name.clone()));
        match known {
            Some(miner) => {
                self.change_terms(miner, owner, capacity);
                miner
            }
            None => self.add(name, owner, capacity, replaced),
        }
    }

    fn change_terms(&mut self, miner: MinerIndex, owner: OwnerIndex, capacity: u32) {
        let was_present = self.is_present(miner);
        self.remove_present(miner);
        let known = &mut self[miner];
        known.capacity = capacity;
        known.has_left = false;
        let before = std::mem::replace(&mut known.owner, owner);
        if before != owner {
            self.move_member(Some(before), owner);
            // Every miner of the two owners may now take seats that it could not take before.
            for other in &mut self.miners {
                if [before, owner].contains(&other.owner) {
                    other.open_cursor = 0;
                    other.stealable_cursor = 0;
                }
            }
        }
        if was_present {
            self.add_present(miner);
        }
    }

    /// Adds a miner, in the place of another one if given.
    fn add(
        &mut self,
        name: MinerId,
        owner: OwnerIndex,
        capacity: u32,
        replaced: Option<MinerIndex>,
    ) -> MinerIndex {
        let miner = replaced.unwrap_or(self.miners.len() as MinerIndex);
        let before = replaced.map(|replaced| self[replaced].owner);
        if let Some(replaced) = replaced {
            let name = self.name(replaced);
            self.by_name.remove(&name);
        }
        self.move_member(before, owner);
        self.by_name.insert(name.clone(), miner);
        let new = KnownMiner {
            name,
            owner,
            capacity,
            has_left: false,
            present_index: None,
            away_at: None,
            leases: Vec::new(),
            ended: Vec::new(),
            has_answered: false,
            has_only_joined: false,
            assigned: VecDeque::new(),
            queued_flops: 0,
            busy_until: Millis(0),
            open_cursor: 0,
            stealable_cursor: 0,
            tally: Tally::default(),
            pace: AveragePace::default(),
            valid_in_a_row: 0,
            is_refuted: false,
            record: Record::default(),
            useful_at: Millis(0),
            place_until: None,
        };
        match replaced {
            Some(replaced) => self[replaced] = new,
            None => self.miners.push(new),
        }
        miner
    }

    fn move_member(&mut self, from: Option<OwnerIndex>, to: OwnerIndex) {
        if let Some(owner) = from.and_then(|from| self.known_owners.get_mut(&from)) {
            owner.members = owner.members.saturating_sub(1);
        }
        self.known_owners.entry(to).or_default().members += 1;
    }

    /// Forgets owners that no miner names any more, once there are many.
    pub(super) fn limit_owners(&mut self, max_miners: u32) {
        if self.owners_by_name.len() < 2 * max_miners as usize {
            return;
        }
        let (owners, free) = (&mut self.known_owners, &mut self.free_owners);
        self.owners_by_name.retain(|_, index| {
            let is_named = owners.get(index).is_some_and(|owner| owner.members > 0);
            if !is_named {
                owners.remove(index);
                free.push(*index);
            }
            is_named
        });
    }

    pub(super) fn len(&self) -> usize {
        self.miners.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &KnownMiner> {
        self.miners.iter()
    }

    /// The owners and their names.
    pub(super) fn owner_names(&self) -> impl Iterator<Item = (OwnerIndex, &MinerId)> {
        let names = self.owners_by_name.iter();
        names.map(|(name, owner)| (*owner, name))
    }

    pub(super) fn is_known(&self, name: &MinerId) -> bool {
        self.by_name.contains_key(name)
    }

    // Owners and miners share a namespace here: a miner without an owner is its own owner, so an
    // owner of the same name is the same owner.
    fn owner(&mut self, name: MinerId) -> OwnerIndex {
        if let Some(owner) = self.owners_by_name.get(&name) {
            return *owner;
        }
        let owner = self.free_owners.pop().unwrap_or_else(|| {
            self.owners.push(0);
            self.owners.len() as OwnerIndex - 1
        });
        self.owners_by_name.insert(name, owner);
        owner
    }

    /// The owner of this name, if a miner has or had it.
    pub(super) fn owner_named(&self, name: &MinerId) -> Option<OwnerIndex> {
        self.owners_by_name.get(name).copied()
    }

    pub(super) fn is_present(&self, miner: MinerIndex) -> bool {
        self[miner].present_index.is_some()
    }

    /// Number of present miners of the same owner, including this one.
    pub(super) fn siblings(&self, miner: MinerIndex) -> u32 {
        self.owners[self[miner].owner as usize]
    }

    pub(super) fn add_present(&mut self, miner: MinerIndex) {
        if self.is_present(miner) {
            return;
        }
        self[miner].present_index = Some(self.present.len() as u32);
        self.present.push(miner);
        self.present_answered += usize::from(self[miner].has_answered);
        self.idle_present += usize::from(self[miner].has_only_joined);
        self.present_proven += usize::from(self[miner].record.is_good());
        let owner = self[miner].owner as usize;
        self.owners_present += usize::from(self.owners[owner] == 0);
        self.owners[owner] += 1;
    }

    pub(super) fn remove_present(&mut self, miner: MinerIndex) {
        let Some(index) = self[miner].present_index.take() else {
            return;
        };
        self.present.swap_remove(index as usize);
        self.present_answered -= usize::from(self[miner].has_answered);
        self.idle_present -= usize::from(self[miner].has_only_joined);
        self.present_proven -= usize::from(self[miner].record.is_good());
        if let Some(&moved) = self.present.get(index as usize) {
            self[moved].present_index = Some(index);
        }
        let owner = self[miner].owner as usize;
        self.owners[owner] -= 1;
        self.owners_present -= usize::from(self.owners[owner] == 0);
    }

    /// Records that a seat is assigned to a miner.
    pub(super) fn assign(&mut self, to: MinerIndex, seat: SeatRef, round: u32, flops: u64) {
        self[to].assigned.push_back((seat, round));
        self[to].queued_flops += u128::from(flops);
        self.assigned_seats += 1;
    }

    /// Undoes [`Roster::assign`] for a seat that is no longer assigned to its miner.
    pub(super) fn unassign(&mut self, seat: &Seat, flops: u64) {
        if let Seat::Assigned { to } = seat {
            self[*to].queued_flops -= u128::from(flops);
            self.assigned_seats -= 1;
        }
    }

    /// Number of seats that are assigned and not started.
    pub(super) fn assigned_seats(&self) -> u64 {
        self.assigned_seats
    }

    /// Records that a miner has answered, validly or not.
    pub(super) fn note_answer(&mut self, miner: MinerIndex) {
        let known = &mut self[miner];
        let is_first_answer_wanted = !known.has_answered && known.present_index.is_some();
        known.has_answered = true;
        self.present_answered += usize::from(is_first_answer_wanted);
    }

    /// Whether a miner has never worked.
    pub(super) fn is_new(&self, miner: MinerIndex) -> bool {
        let known = &self[miner];
        !known.has_answered && known.ended.is_empty() && known.leases.is_empty()
    }

    /// Whether a miner went away without ever having worked: then it is present again once it
    /// requests work.
    pub(super) fn has_only_joined(&self, miner: MinerIndex) -> bool {
        self[miner].has_only_joined
    }

    /// Records that a miner went away because it was silent.
    pub(super) fn note_silence(&mut self, miner: MinerIndex) {
        self[miner].has_only_joined = self.is_new(miner);
    }

    /// Records that a miner works.
    pub(super) fn note_work(&mut self, miner: MinerIndex) {
        let known = &mut self[miner];
        let was_idle = std::mem::take(&mut known.has_only_joined) && known.present_index.is_some();
        self.idle_present -= usize::from(was_idle);
    }

    /// Whether at least half of the present miners have answered at some time, not counting those
    /// that went away without ever having worked.
    pub(super) fn half_have_answered(&self) -> bool {
        self.present_answered * 2 >= self.present.len() - self.idle_present
    }

    pub(super) fn standings(&self) -> impl ExactSizeIterator<Item = (&MinerId, bool, Tally)> {
        self.miners
            .iter()
            .map(|miner| (&miner.name, miner.present_index.is_some(), miner.tally))
    }
}
