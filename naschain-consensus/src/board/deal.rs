//! How the seats of a job are dealt.

use naschain_core::{Measurement, Purpose, Stream};

use super::JobBoard;
use super::job::{Job, Seat};
use super::jobs::JobRef;
use super::roster::OwnerIndex;
use crate::{Action, JobId, MinerId, Verdict};

impl JobBoard {
    pub(super) fn open(
        &mut self,
        id: JobId,
        flops: u64,
        known: Option<Measurement>,
        actions: &mut Vec<Action>,
    ) {
        self.used.insert(id.0);
        let job = self.jobs.insert(Job {
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
        let mut stream = self.seats_stream(job);
        let mut miners = self.deal(job, 1, &mut stream);
        let first = self.jobs.get(job).and_then(|job| job.seats.first());
        let miner = first.and_then(|seat| seat.holders().next());
        if miner.is_none_or(|miner| self.is_checked(miner, &mut stream)) {
            miners.extend(self.deal(job, self.rules.seats, &mut stream));
        }
        actions.push(Action::Dealt { job: id, miners });
    }

    /// The numbers that decide who gets the next seats of a job. Seats that are added to a
    /// dealing, or drawn anew, get other numbers than its first ones.
    pub(super) fn seats_stream(&self, job: JobRef) -> Stream {
        let epoch = self.jobs.get(job).map_or(0, |job| {
            let seats = job.seats.len() as u64;
            u64::from(job.dealing) | seats << 32 | u64::from(job.redrawn) << 40
        });
        Stream::new(self.seed, Purpose::Seats, epoch, job.id.0)
    }

    /// Gives a job more seats, up to `count`, and draws a miner for each, first among owners
    /// that had no seat in the job.
    fn deal(&mut self, to: JobRef, count: usize, stream: &mut Stream) -> Vec<Option<MinerId>> {
        let Some(job) = self.jobs.get_mut(to) else {
            return Vec::new();
        };
        let held = job.seats.iter().flat_map(Seat::holders);
        let mut taken: Vec<OwnerIndex> = held.map(|miner| self.roster[miner].owner).collect();
        let mut names = Vec::with_capacity(count - job.seats.len());
        job.seats.reserve_exact(count - job.seats.len());
        for seat in job.seats.len()..count {
            let drawn = if job.had.is_empty() {
                self.roster.draw(stream, &taken)
            } else {
                let shunned: Vec<OwnerIndex> = taken.iter().chain(&job.had).copied().collect();
                let fresh = self.roster.draw(stream, &shunned);
                fresh.or_else(|| self.roster.draw(stream, &taken))
            };
            let place = to.seat(seat);
            job.seats.push(match drawn {
                Some(to) => {
                    taken.push(self.roster[to].owner);
                    self.roster.deal(to, place, job.dealing, job.flops);
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

    /// Gives a job that was dealt to one trusted miner all its seats.
    pub(super) fn widen(&mut self, job: JobRef, actions: &mut Vec<Action>) {
        let mut stream = self.seats_stream(job);
        let miners = self.deal(job, self.rules.seats, &mut stream);
        actions.push(Action::Widened {
            job: job.id,
            miners,
        });
    }

    /// Gives a job more seats because nobody agrees; not if it has as many as it may have, or
    /// too few other miners are present.
    pub(super) fn escalate(
        &mut self,
        to: JobRef,
        verdict: &Verdict,
        actions: &mut Vec<Action>,
    ) -> bool {
        let Some(job) = self.jobs.get(to) else {
            return false;
        };
        let held = job.seats.iter().flat_map(Seat::holders);
        let owners = held.map(|miner| self.roster[miner].owner);
        let owners: Vec<OwnerIndex> = owners.chain(job.had.iter().copied()).collect();
        let more = self.rules.escalate_to.saturating_sub(job.seats.len());
        if more == 0 || self.roster.free_owners(&owners) < more {
            return false;
        }
        let mut stream = self.seats_stream(to);
        let miners = self.deal(to, self.rules.escalate_to, &mut stream);
        actions.push(Action::Escalated {
            job: to.id,
            verdict: verdict.clone(),
            miners,
        });
        true
    }

    /// Deals a job of which nobody agreed to others, its rows being dropped.
    pub(super) fn redeal(&mut self, to: JobRef, verdict: Verdict, actions: &mut Vec<Action>) {
        self.count_rows(to, &verdict);
        self.revoke_late(to, actions);
        let Some(job) = self.jobs.get_mut(to) else {
            return;
        };
        job.dealing += 1;
        job.undrawn = 0;
        let dealing = job.dealing;
        for seat in std::mem::take(&mut job.seats) {
            self.open_seats.forget(&seat);
            for holder in seat.holders() {
                let owner = self.roster[holder].owner;
                if !job.had.contains(&owner) {
                    job.had.push(owner);
                }
            }
        }
        let mut stream = self.seats_stream(to);
        let miners = self.deal(to, self.rules.seats, &mut stream);
        actions.push(Action::Redealt {
            job: to.id,
            dealing,
            verdict,
            miners,
        });
    }
}
