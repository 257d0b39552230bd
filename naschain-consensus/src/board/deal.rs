//! How the seats of a batch are dealt.

use naschain_core::{Measurement, Purpose, Stream};

use super::JobBoard;
use super::batch::{Batch, Seat};
use super::queue::SeatRef;
use super::roster::OwnerIndex;
use crate::{Action, BatchId, MinerId, Verdict};

impl JobBoard {
    pub(super) fn open(
        &mut self,
        id: BatchId,
        flops: u64,
        known: Option<Measurement>,
        actions: &mut Vec<Action>,
    ) {
        self.used.insert(id.0);
        let batch = Batch {
            flops,
            dealing: 0,
            seats: Vec::new(),
            taken_over: 0,
            had: Vec::new(),
            known: known.map(Box::new),
        };
        self.batches.insert(id, Box::new(batch));
        let mut stream = self.seats_stream(id);
        let mut miners = self.deal(id, 1, &mut stream);
        let first = self.batches.get(&id).and_then(|batch| batch.seats.first());
        let miner = first.and_then(|seat| seat.holders().next());
        if miner.is_none_or(|miner| self.is_checked(miner, &mut stream)) {
            miners.extend(self.deal(id, self.rules.seats, &mut stream));
        }
        actions.push(Action::Dealt { batch: id, miners });
    }

    /// The numbers that decide who gets the next seats of a batch. Seats that are added to a
    /// dealing get other numbers than its first ones.
    fn seats_stream(&self, id: BatchId) -> Stream {
        let batch = self.batches.get(&id);
        let (dealing, seats) = batch.map_or((0, 0), |batch| (batch.dealing, batch.seats.len()));
        let epoch = u64::from(dealing) | (seats as u64) << 32;
        Stream::new(self.seed, Purpose::Seats, epoch, id.0)
    }

    /// Gives a batch more seats, up to `count`, and draws a miner for each, first among owners
    /// that had no seat in the batch.
    fn deal(&mut self, id: BatchId, count: usize, stream: &mut Stream) -> Vec<Option<MinerId>> {
        let Some(batch) = self.batches.get_mut(&id) else {
            return Vec::new();
        };
        let held = batch.seats.iter().flat_map(Seat::holders);
        let mut taken: Vec<OwnerIndex> = held.map(|miner| self.roster[miner].owner).collect();
        let mut names = Vec::with_capacity(count - batch.seats.len());
        batch.seats.reserve_exact(count - batch.seats.len());
        for seat in batch.seats.len()..count {
            let drawn = if batch.had.is_empty() {
                self.roster.draw(stream, &taken)
            } else {
                let shunned: Vec<OwnerIndex> = taken.iter().chain(&batch.had).copied().collect();
                let fresh = self.roster.draw(stream, &shunned);
                fresh.or_else(|| self.roster.draw(stream, &taken))
            };
            let place = SeatRef { batch: id, seat };
            let ticket = match drawn {
                Some(miner) => {
                    taken.push(self.roster[miner].owner);
                    let dealt = &mut self.roster[miner].dealt;
                    dealt.push_back((place, batch.dealing));
                    self.dealt_seats.push(place)
                }
                None => self.open_seats.push(place),
            };
            batch.seats.push(Seat::Waiting {
                dealt_to: drawn,
                ticket,
            });
            names.push(drawn.map(|miner| self.roster.name(miner)));
        }
        names
    }

    /// Gives a batch that was dealt to one trusted miner all its seats.
    pub(super) fn widen(&mut self, id: BatchId, actions: &mut Vec<Action>) {
        let mut stream = self.seats_stream(id);
        let miners = self.deal(id, self.rules.seats, &mut stream);
        actions.push(Action::Widened { batch: id, miners });
    }

    /// Gives a batch more seats because nobody agrees; not if it has as many as it may have, or
    /// too few other miners are present.
    pub(super) fn escalate(
        &mut self,
        id: BatchId,
        verdict: &Verdict,
        actions: &mut Vec<Action>,
    ) -> bool {
        let Some(batch) = self.batches.get(&id) else {
            return false;
        };
        let held = batch.seats.iter().flat_map(Seat::holders);
        let owners = held.map(|miner| self.roster[miner].owner);
        let owners: Vec<OwnerIndex> = owners.chain(batch.had.iter().copied()).collect();
        let more = self.rules.escalate_to.saturating_sub(batch.seats.len());
        if more == 0 || self.roster.free_owners(&owners) < more {
            return false;
        }
        let mut stream = self.seats_stream(id);
        let miners = self.deal(id, self.rules.escalate_to, &mut stream);
        actions.push(Action::Escalated {
            batch: id,
            verdict: verdict.clone(),
            miners,
        });
        true
    }

    /// Deals a batch of which nobody agreed to others, its rows being dropped.
    pub(super) fn redeal(&mut self, id: BatchId, verdict: Verdict, actions: &mut Vec<Action>) {
        self.count_rows(id, &verdict);
        self.revoke_late(id, actions);
        let Some(batch) = self.batches.get_mut(&id) else {
            return;
        };
        batch.dealing += 1;
        batch.taken_over = 0;
        let dealing = batch.dealing;
        for seat in std::mem::take(&mut batch.seats) {
            for holder in seat.holders() {
                let owner = self.roster[holder].owner;
                if !batch.had.contains(&owner) {
                    batch.had.push(owner);
                }
            }
        }
        let mut stream = self.seats_stream(id);
        let miners = self.deal(id, self.rules.seats, &mut stream);
        actions.push(Action::Redealt {
            batch: id,
            dealing,
            verdict,
            miners,
        });
    }
}
