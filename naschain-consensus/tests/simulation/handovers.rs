//! Invariants of seats that go from one miner to another.

use naschain_consensus::{Grant, JobId, LeaseId, MinerId, Row};

use super::{Checker, Open};

impl Checker {
    /// Whether all seats of a job are answered, or as many as it had at first and no miner works at
    /// the others.
    pub(super) fn are_enough(&self, rows: &[(MinerId, Row)], open: &Open) -> bool {
        let mut missing = open.seats.iter().filter(|seat| seat.answered.is_none());
        missing.all(|seat| seat.leases.is_empty())
            && rows.len() >= self.rules.seats.min(open.seats.len())
    }

    pub(super) fn max_abandoned(&self) -> u32 {
        self.rules.max_retries * self.rules.seats as u32
    }

    /// Counts a lease that ended without an answer; those of ended jobs do not count.
    pub(super) fn abandoned(&mut self, job: JobId) {
        if let Some(open) = self.open.get_mut(&job) {
            open.abandoned += 1;
            let most = self.rules.max_retries * self.rules.seats as u32 + 1;
            // Those of miners without a good record do not count.
            let is_disputed = self.disputed.contains(&job);
            assert!(open.abandoned <= most || is_disputed || self.rules.reputation.is_some());
        }
    }

    pub(super) fn reassigned(&mut self, job: JobId, seat: usize, miner: &MinerId) {
        self.reassigned += 1;
        let open = &self.open[&job];
        assert!(open.seats[seat].leases.is_empty() && open.seats[seat].answered.is_none());
        for other in &open.seats {
            let at_work = other.leases.iter().map(|lease| &self.leases[lease].0);
            let done = other.answered.as_ref().map(|(miner, _)| miner);
            let mut holders = at_work.chain(done);
            assert!(!holders.any(|held| self.owner(held) == self.owner(miner)));
        }
    }

    /// Checks the maximum number of self-selected miners, so that every agreement includes a miner
    /// drawn at random.
    pub(super) fn count_self_selected(&mut self, job: JobId, lease: LeaseId, grant: &Grant) {
        let self_selected = &mut self.open.get_mut(&job).unwrap().self_selected;
        match grant {
            Grant::Stolen { .. } | Grant::Speculative { .. } => self_selected.push(lease),
            Grant::Reissued { old } => self_selected
                .iter_mut()
                .filter(|other| **other == *old)
                .for_each(|other| *other = lease),
            _ => {}
        }
        let most = self.rules.max_self_selected;
        assert!(
            self_selected.len() <= most,
            "{job}: {self_selected:?} of at most {most}"
        );
    }

    /// A lease ended without an answer that is kept.
    pub(super) fn end_unanswered(
        &mut self,
        lease: LeaseId,
        miner: &MinerId,
        job: JobId,
        seat: usize,
    ) {
        self.end_lease(lease, miner, job, seat);
        if let Some(open) = self.open.get_mut(&job) {
            open.self_selected.retain(|other| *other != lease);
        }
    }
}
