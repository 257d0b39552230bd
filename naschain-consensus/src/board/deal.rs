//! How the seats of a batch are dealt.

use naschain_core::{Measurement, Purpose, Stream};

use super::JobBoard;
use super::batch::{Batch, Seat};
use super::batches::BatchRef;
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
        let batch = self.batches.insert(Batch {
            id,
            flops,
            dealing: 0,
            seats: Vec::new(),
            redrawn: 0,
            undrawn: 0,
            takeable: None,
            abandoned: 0,
            had: Vec::new(),
            known: known.map(Box::new),
        });
        let mut stream = self.seats_stream(batch);
        let mut miners = self.deal(batch, 1, &mut stream);
        let first = self
            .batches
            .get(batch)
            .and_then(|batch| batch.seats.first());
        let miner = first.and_then(|seat| seat.holders().next());
        if miner.is_none_or(|miner| self.is_checked(miner, &mut stream)) {
            miners.extend(self.deal(batch, self.rules.seats, &mut stream));
        }
        actions.push(Action::Dealt { batch: id, miners });
    }

    /// The numbers that decide who gets the next seats of a batch. Seats that are added to a
    /// dealing, or drawn anew, get other numbers than its first ones.
    pub(super) fn seats_stream(&self, batch: BatchRef) -> Stream {
        let epoch = self.batches.get(batch).map_or(0, |batch| {
            let seats = batch.seats.len() as u64;
            u64::from(batch.dealing) | seats << 32 | u64::from(batch.redrawn) << 40
        });
        Stream::new(self.seed, Purpose::Seats, epoch, batch.id.0)
    }

    /// Gives a batch more seats, up to `count`, and draws a miner for each, first among owners
    /// that had no seat in the batch.
    fn deal(&mut self, to: BatchRef, count: usize, stream: &mut Stream) -> Vec<Option<MinerId>> {
        let Some(batch) = self.batches.get_mut(to) else {
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
            let place = to.seat(seat);
            batch.seats.push(match drawn {
                Some(to) => {
                    taken.push(self.roster[to].owner);
                    self.roster.deal(to, place, batch.dealing, batch.flops);
                    Seat::Dealt { to }
                }
                None => Seat::Open {
                    ticket: self.open_seats.push(place),
                },
            });
            names.push(drawn.map(|miner| self.roster.name(miner)));
        }
        self.queue_take_over(to);
        names
    }

    /// Gives a batch that was dealt to one trusted miner all its seats.
    pub(super) fn widen(&mut self, batch: BatchRef, actions: &mut Vec<Action>) {
        let mut stream = self.seats_stream(batch);
        let miners = self.deal(batch, self.rules.seats, &mut stream);
        actions.push(Action::Widened {
            batch: batch.id,
            miners,
        });
    }

    /// Gives a batch more seats because nobody agrees; not if it has as many as it may have, or
    /// too few other miners are present.
    pub(super) fn escalate(
        &mut self,
        to: BatchRef,
        verdict: &Verdict,
        actions: &mut Vec<Action>,
    ) -> bool {
        let Some(batch) = self.batches.get(to) else {
            return false;
        };
        let held = batch.seats.iter().flat_map(Seat::holders);
        let owners = held.map(|miner| self.roster[miner].owner);
        let owners: Vec<OwnerIndex> = owners.chain(batch.had.iter().copied()).collect();
        let more = self.rules.escalate_to.saturating_sub(batch.seats.len());
        if more == 0 || self.roster.free_owners(&owners) < more {
            return false;
        }
        let mut stream = self.seats_stream(to);
        let miners = self.deal(to, self.rules.escalate_to, &mut stream);
        actions.push(Action::Escalated {
            batch: to.id,
            verdict: verdict.clone(),
            miners,
        });
        true
    }

    /// Deals a batch of which nobody agreed to others, its rows being dropped.
    pub(super) fn redeal(&mut self, to: BatchRef, verdict: Verdict, actions: &mut Vec<Action>) {
        self.count_rows(to, &verdict);
        self.revoke_late(to, actions);
        let Some(batch) = self.batches.get_mut(to) else {
            return;
        };
        batch.dealing += 1;
        batch.undrawn = 0;
        let dealing = batch.dealing;
        for seat in std::mem::take(&mut batch.seats) {
            self.open_seats.forget(&seat);
            for holder in seat.holders() {
                let owner = self.roster[holder].owner;
                if !batch.had.contains(&owner) {
                    batch.had.push(owner);
                }
            }
        }
        let mut stream = self.seats_stream(to);
        let miners = self.deal(to, self.rules.seats, &mut stream);
        actions.push(Action::Redealt {
            batch: to.id,
            dealing,
            verdict,
            miners,
        });
    }
}
