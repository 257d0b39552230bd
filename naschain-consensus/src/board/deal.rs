//! How batches are dealt, filled, judged and ended.

use naschain_core::{Purpose, Stream};

use super::JobBoard;
use super::batch::{Batch, Seat};
use super::queue::SeatRef;
use super::roster::OwnerIndex;
use crate::{Action, BatchId, Failure, LeaseId, MinerId, Reason, Row, Verdict, judge};

impl JobBoard {
    pub(super) fn open(&mut self, id: BatchId, flops: u64, actions: &mut Vec<Action>) {
        self.used.insert(id.0);
        self.batches.insert(
            id,
            Batch {
                flops,
                dealing: 0,
                seats: Vec::new(),
                had: Vec::new(),
            },
        );
        let miners = self.deal(id);
        actions.push(Action::Dealt { batch: id, miners });
    }

    /// Draws a miner for every seat of a batch, first among owners that had no seat in it.
    fn deal(&mut self, id: BatchId) -> Vec<Option<MinerId>> {
        let Some(batch) = self.batches.get_mut(&id) else {
            return Vec::new();
        };
        let dealing = batch.dealing;
        let mut stream = Stream::new(self.seed, Purpose::Seats, u64::from(dealing), id.0);
        let mut taken: Vec<OwnerIndex> = Vec::with_capacity(self.rules.seats);
        let mut names = Vec::with_capacity(self.rules.seats);
        batch.seats = Vec::with_capacity(self.rules.seats);
        for seat in 0..self.rules.seats {
            let shunned: Vec<OwnerIndex> = taken.iter().chain(&batch.had).copied().collect();
            let fresh = self.roster.draw(&mut stream, &shunned);
            let drawn = fresh.or_else(|| self.roster.draw(&mut stream, &taken));
            let place = SeatRef { batch: id, seat };
            let ticket = match drawn {
                Some(miner) => {
                    taken.push(self.roster[miner].owner);
                    self.roster[miner].dealt.push_back((place, dealing));
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

    pub(super) fn submit(&mut self, lease: LeaseId, row: Row, actions: &mut Vec<Action>) {
        let Some(ended) = self.end_lease(lease) else {
            return;
        };
        let (miner, place) = (ended.miner, ended.place);
        self.roster[miner].last_answered = Some(lease);
        self.touch(miner);
        if let Some(batch) = self.batches.get_mut(&place.batch) {
            let row = Box::new(row);
            batch.seats[place.seat] = Seat::Answered { miner, row };
        }
        actions.push(Action::Filled {
            miner: self.roster.name(miner),
            batch: place.batch,
            seat: place.seat,
            lease,
        });
        self.settle(place.batch, actions);
    }

    /// Judges a batch once its answers suffice.
    fn settle(&mut self, id: BatchId, actions: &mut Vec<Action>) {
        let Some(batch) = self.batches.get(&id) else {
            return;
        };
        let rows: Vec<Row> = batch
            .seats
            .iter()
            .filter_map(|seat| match seat {
                Seat::Answered { row, .. } => Some((**row).clone()),
                _ => None,
            })
            .collect();
        let (seats, dealing) = (batch.seats.len(), batch.dealing);
        let failures: Vec<String> = rows
            .iter()
            .filter_map(|row| match row {
                Row::Failed(reason) => Some(reason.clone()),
                _ => None,
            })
            .collect();
        if failures.len() * 2 > seats {
            let failure = Failure::TrainingFailed { reasons: failures };
            let verdict = judge(&rows, &self.rules.agreement);
            self.fail(id, failure, verdict, actions);
        } else if rows.len() == seats {
            let verdict = judge(&rows, &self.rules.agreement);
            if verdict.consensus.is_some() {
                let rows = self.end_batch(id, &verdict, actions);
                actions.push(Action::Closed {
                    batch: id,
                    rows,
                    verdict,
                });
            } else if dealing < self.rules.max_dealings {
                self.redeal(id, verdict, actions);
            } else {
                let failure = Failure::NoAgreement {
                    dealings: dealing + 1,
                };
                self.fail(id, failure, verdict, actions);
            }
        }
    }

    fn redeal(&mut self, id: BatchId, verdict: Verdict, actions: &mut Vec<Action>) {
        self.count(id, &verdict);
        let Some(batch) = self.batches.get_mut(&id) else {
            return;
        };
        batch.dealing += 1;
        let dealing = batch.dealing;
        for holder in batch.seats.iter().filter_map(Seat::holder) {
            let owner = self.roster[holder].owner;
            if !batch.had.contains(&owner) {
                batch.had.push(owner);
            }
        }
        let miners = self.deal(id);
        actions.push(Action::Redealt {
            batch: id,
            dealing,
            verdict,
            miners,
        });
    }

    fn fail(&mut self, id: BatchId, failure: Failure, verdict: Verdict, actions: &mut Vec<Action>) {
        let rows = self.end_batch(id, &verdict, actions);
        actions.push(Action::Failed {
            batch: id,
            failure,
            rows,
            verdict,
        });
    }

    /// Takes a batch off the board with its answers, and the leases and seats that are left.
    fn end_batch(
        &mut self,
        id: BatchId,
        verdict: &Verdict,
        actions: &mut Vec<Action>,
    ) -> Vec<(MinerId, Row)> {
        self.count(id, verdict);
        let mut rows = Vec::new();
        let seats = self.batches.get(&id).map_or(0, |batch| batch.seats.len());
        for seat in 0..seats {
            self.take(SeatRef { batch: id, seat });
        }
        let Some(batch) = self.batches.remove(&id) else {
            return rows;
        };
        for (seat, taken) in batch.seats.into_iter().enumerate() {
            match taken {
                Seat::Waiting { .. } => {}
                Seat::Leased { miner, lease } => {
                    self.end_lease(lease);
                    self.touch(miner);
                    actions.push(Action::Revoked {
                        miner: self.roster.name(miner),
                        batch: id,
                        seat,
                        lease,
                    });
                }
                Seat::Answered { miner, row } => rows.push((self.roster.name(miner), *row)),
            }
        }
        rows
    }

    /// Counts the answered rows of a judged batch for their miners.
    fn count(&mut self, id: BatchId, verdict: &Verdict) {
        let Some(batch) = self.batches.get(&id) else {
            return;
        };
        let answered = batch.seats.iter().filter_map(|seat| match seat {
            Seat::Answered { miner, .. } => Some(*miner),
            _ => None,
        });
        for (miner, reason) in answered.zip(&verdict.reasons) {
            self.roster[miner].tally.count(*reason == Reason::Agreed);
        }
    }
}
