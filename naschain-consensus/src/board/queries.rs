//! Read-only queries.

use super::JobBoard;
use super::held_up::HeldUp;
use super::job::{OpenJob, Seat};
use super::lease::Lease;
use crate::{JobId, LeaseId, Millis, MinerId, NoWork, Rules};

impl JobBoard {
    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The time of the latest event.
    pub fn now(&self) -> Millis {
        self.now
    }

    /// Number of open jobs.
    pub fn open_jobs(&self) -> usize {
        self.jobs.len()
    }

    /// The size of an open job, as given when it was opened.
    pub fn flops(&self, job: JobId) -> Option<u64> {
        self.jobs.find(job).map(|job| job.flops)
    }

    /// Whether there is a seat that nobody has begun to train.
    pub fn has_free_seats(&self) -> bool {
        !self.open_seats.is_empty() || !self.stealable.is_empty()
    }

    /// Number of active leases.
    pub fn active_leases(&self) -> usize {
        self.leases.len()
    }

    /// Number of leases granted so far, which is the id of the latest one.
    pub fn granted_leases(&self) -> u64 {
        self.granted
    }

    /// The job of an active lease, and the seat counted from 0.
    pub fn seat_of(&self, lease: LeaseId) -> Option<(JobId, usize)> {
        let active = self.leases.get(&lease)?;
        Some((active.seat.id, active.seat.number()))
    }

    /// Every active lease with its miner and job, oldest first.
    pub fn leases(&self) -> impl Iterator<Item = (LeaseId, &MinerId, JobId)> {
        let leases = self.leases.iter();
        leases.map(|(id, active)| (*id, &self.roster[active.miner].name, active.seat.id))
    }

    /// Number of epochs that an open job trains, or of a whole training.
    pub fn epochs(&self, job: JobId) -> u32 {
        let open = self.jobs.find(job);
        open.map_or(self.rules.epochs, |job| job.epochs(&self.rules))
    }

    /// Number of epochs of the job of a lease.
    pub(super) fn epochs_of(&self, lease: &Lease) -> u32 {
        let job = self.jobs.get(lease.seat.job());
        job.map_or(self.rules.epochs, |job| job.epochs(&self.rules))
    }

    /// Every open job with the FLOPs of one training, and how much of it is done, in seats: an
    /// answered seat counts 1, and one that is being trained the fraction of its epochs that are
    /// finished.
    pub fn work(&self) -> impl Iterator<Item = (JobId, u64, f64)> {
        let jobs = self.jobs.iter();
        jobs.map(|job| (job.id, job.flops, self.seats_done(job)))
    }

    fn seats_done(&self, job: &OpenJob) -> f64 {
        let fraction = |lease: &LeaseId| {
            let epoch = self.leases.get(lease).map_or(0, |active| active.epoch);
            let epochs = job.epochs(&self.rules);
            f64::from(epoch.min(epochs)) / f64::from(epochs.max(1))
        };
        let done = |seat: &Seat| match seat {
            Seat::Open { .. } | Seat::Assigned { .. } => 0.0,
            Seat::Answered { .. } => 1.0,
            Seat::Leased {
                worker,
                speculative,
            } => {
                let other = speculative.map_or(0.0, |other| fraction(&other.lease));
                fraction(&worker.lease).max(other)
            }
        };
        job.seats.iter().map(done).sum()
    }

    /// The miner of an active lease, its finished epochs as far as known, and the time of its latest
    /// heartbeat (or of the grant).
    pub fn last_heartbeat(&self, lease: LeaseId) -> Option<(&MinerId, u32, Millis)> {
        let active = self.leases.get(&lease)?;
        Some((
            &self.roster[active.miner].name,
            active.epoch,
            active.renewed,
        ))
    }

    /// Whether a miner has joined and not lost its place to another; also if it has left.
    pub fn has_place(&self, miner: &MinerId) -> bool {
        self.roster.is_known(miner)
    }

    /// Whether a miner has joined and not left.
    pub fn has_joined(&self, miner: &MinerId) -> bool {
        self.roster.find(miner).is_some()
    }

    /// Whether a miner can be given work without losing a lease that it holds; `false` for a miner
    /// that has not joined.
    pub fn has_capacity(&self, miner: &MinerId) -> bool {
        let known = self.roster.find(miner).map(|index| &self.roster[index]);
        known.is_some_and(|known| known.leases.len() < known.capacity as usize)
    }

    /// Maximum number of requests for work that can be useful to a miner at a time: one for each lease
    /// that it may hold, and one more. 1 for a miner that has not joined.
    pub fn max_requests(&self, miner: &MinerId) -> usize {
        let known = self.roster.find(miner).map(|index| &self.roster[index]);
        let limited = self.rules.reputation.is_some();
        known.map_or(1, |known| {
            let capacity = known.capacity as usize;
            let leases = if limited {
                capacity.min(known.record.max_leases())
            } else {
                capacity
            };
            leases + 1
        })
    }

    /// Whether a miner has an active lease.
    pub fn holds_leases(&self, miner: &MinerId) -> bool {
        let index = self.roster.find(miner);
        index.is_some_and(|index| !self.roster[index].leases.is_empty())
    }

    /// Whether a miner has joined and does not count as away.
    pub fn is_present(&self, miner: &MinerId) -> bool {
        let index = self.roster.find(miner);
        index.is_some_and(|index| self.roster.is_present(index))
    }

    /// When a miner without a lease counts as away, unless it sends a message before.
    pub fn away_at(&self, miner: &MinerId) -> Option<Millis> {
        let index = self.roster.find(miner)?;
        self.roster[index].away_at
    }

    /// Whether a miner has joined with this owner (`None` for itself) and this capacity.
    pub fn is_registered(&self, miner: &MinerId, owner: Option<&MinerId>, capacity: u32) -> bool {
        let known = self.roster.find(miner).map(|index| &self.roster[index]);
        known.is_some_and(|known| {
            let owner = self.roster.owner_named(owner.unwrap_or(miner));
            owner == Some(known.owner) && known.capacity == capacity
        })
    }

    /// Until when a miner gets no seats because it, or its owner, lost leases or gave bad answers;
    /// `None` if it may at this time. A request of such a miner is answered with
    /// [`NoWork::BackOff`]; unless the miner is present it changes nothing else.
    pub fn back_off(&self, now: Millis, miner: &MinerId) -> Option<Millis> {
        self.blocked_at(now, self.roster.find(miner)?)
    }

    /// Why a request of this miner at [`JobBoard::now`] would be answered with
    /// [`crate::Action::Idle`] alone, if that is certain. The caller may then answer the request
    /// itself, as long as the board receives a message of the miner now and then: a miner without
    /// one for [`crate::Rules::away_ms`] counts as away.
    pub fn idle_reason(&self, miner: &MinerId) -> Option<NoWork> {
        let index = self.roster.find(miner)?;
        let known = &self.roster[index];
        let mut assigned = known.assigned.iter();
        let has_own = known.leases.len() >= known.capacity as usize
            || assigned.any(|(seat, round)| self.is_assigned_to(*seat, *round, index));
        // A back-off ends by itself, without an event.
        if !self.roster.is_present(index) || has_own || self.blocked_until(index).is_some() {
            return None;
        }
        if let Some(refusal) = self.refusal_by_record(index) {
            return Some(refusal);
        }
        let refusal = self.self_selection_refusal(index);
        if refusal == Some(NoWork::Probation) && self.trial_seat(index).is_some() {
            return None;
        }
        let may_take_open = self.may_take_open(index, refusal);
        let open = || self.open_seats.from(known.open_cursor);
        if may_take_open && open().next().is_some() {
            return None;
        }
        let may_take = self.stealable.from(known.stealable_cursor).next().is_some()
            || self.next_straggler_for(index).is_some();
        if refusal.is_none() && may_take {
            return None;
        }
        let held_up = self.held_up();
        if matches!(held_up, HeldUp::Now(_)) {
            return None;
        }
        if self.draws_open_seats() && open().any(|(_, seat)| self.may_hold(index, seat)) {
            // Once a draw is scheduled, further requests change nothing.
            return self.draw_at.map(|until| NoWork::Draw { until });
        }
        Some(match held_up {
            HeldUp::From(until) => NoWork::HeldUp { until },
            _ => self.no_work_reason(refusal, may_take_open),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Rules};

    #[test]
    fn queries_follow_the_state_of_a_miner() {
        let mut board = JobBoard::new(Rules::default(), 1).unwrap();
        let (ada, lab): (MinerId, MinerId) = ("ada".parse().unwrap(), "lab".parse().unwrap());
        assert!(!board.is_present(&ada) && !board.has_capacity(&ada));
        let register = |owner: Option<&MinerId>| Event::Register {
            miner: ada.clone(),
            owner: owner.cloned(),
            capacity: 1,
        };
        board.handle(Millis(1), register(None)).unwrap();
        assert!(board.is_present(&ada) && board.has_capacity(&ada));
        assert!(board.is_registered(&ada, None, 1) && !board.is_registered(&ada, None, 2));
        assert!(!board.is_registered(&ada, Some(&lab), 1));
        board.handle(Millis(1), register(Some(&lab))).unwrap();
        assert!(board.is_registered(&ada, Some(&lab), 1) && !board.is_registered(&ada, None, 1));

        let (job, flops, miner) = (JobId(1), 9, ada.clone());
        board.handle(Millis(2), Event::Open { job, flops }).unwrap();
        board.handle(Millis(3), Event::Request { miner }).unwrap();
        let (lease, ..) = board.leases().next().unwrap();
        assert!(!board.has_capacity(&ada));
        assert_eq!(board.last_heartbeat(lease), Some((&ada, 0, Millis(3))));
        let (miner, epoch) = (ada.clone(), 2);
        let beat = Event::Heartbeat {
            miner,
            lease,
            epoch,
        };
        board.handle(Millis(4), beat).unwrap();
        assert_eq!(board.last_heartbeat(lease), Some((&ada, 2, Millis(4))));
        board
            .handle(Millis(5), Event::Leave { miner: ada.clone() })
            .unwrap();
        assert_eq!(board.last_heartbeat(lease), None);
        assert!(!board.has_joined(&ada) && !board.is_present(&ada));
        assert!(!board.is_registered(&ada, Some(&lab), 1));
    }
}
