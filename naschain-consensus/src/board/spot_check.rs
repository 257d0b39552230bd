//! Spot checks: one more seat for jobs whose answers agree, since miners that all lie alike cause no
//! dispute.

use naschain_core::{Purpose, Stream};

use super::JobBoard;
use super::jobs::JobRef;
use super::roster::OwnerIndex;
use crate::Action;

/// Sets the streams of these draws apart from those of seats, whose epochs are smaller.
const SPOT_CHECKS: u64 = (1 << 63) + 1;

impl JobBoard {
    /// Gives a job whose seats agree one more seat, if it is drawn for that. Returns whether it did.
    pub(super) fn spot_check(&mut self, id: JobRef, actions: &mut Vec<Action>) -> bool {
        let every = self
            .rules
            .referee
            .map_or(0, |referee| referee.spot_check_every);
        let seats = self.jobs.get(id).map_or(0, |job| job.seats.len());
        if every == 0 || seats != self.rules.seats {
            return false;
        }
        // Also by the time of the last answer, which its miner cannot know: the seed may be public.
        let epoch = SPOT_CHECKS.wrapping_add(id.id.0);
        let mut stream = Stream::new(self.seed, Purpose::Seats, epoch, self.now.0);
        stream.below(u64::from(every)) == 0 && self.add_seat(id, actions)
    }

    /// Gives a job one more seat, for a miner drawn at random. Returns `false` if it has the maximum
    /// number, or no miner can be drawn.
    pub(super) fn add_seat(&mut self, id: JobRef, actions: &mut Vec<Action>) -> bool {
        let Some(job) = self.jobs.get(id) else {
            return false;
        };
        let seat = job.seats.len();
        let owners = job.seats.iter().flat_map(|seat| seat.holders());
        let owners = owners.map(|miner| self.roster[miner].owner);
        let owners: Vec<OwnerIndex> = owners.chain(job.former_owners.iter().copied()).collect();
        let max = self.rules.escalate_to.max(self.rules.seats + 1);
        let mut stream = self.seats_stream(id);
        let limited = self.rules.reputation.is_some();
        let drawn = self.roster.draw(&mut stream.clone(), &owners, limited);
        if seat >= max || drawn.is_none() {
            return false;
        }
        let miner = self.assign(id, seat + 1, &mut stream).pop().flatten();
        actions.push(Action::SeatAdded {
            job: id.id,
            seat,
            miner,
        });
        true
    }
}
