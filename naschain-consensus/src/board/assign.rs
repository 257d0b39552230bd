//! Assigning the seats of a job to miners.

use naschain_core::{Purpose, Stream};

use super::JobBoard;
use super::job::{OpenJob, Seat};
use super::jobs::JobRef;
use super::roster::{MinerIndex, OwnerIndex};
use crate::{Action, JobId, MinerId, TrainingPart, Verdict};

impl JobBoard {
    pub(super) fn open(
        &mut self,
        id: JobId,
        flops: u64,
        part: Option<(TrainingPart, Vec<MinerIndex>)>,
        actions: &mut Vec<Action>,
    ) {
        let (part, preferred) = part.unzip();
        let preferred = preferred.unwrap_or_default();
        self.used_ids.insert(id);
        let job = self.jobs.insert(OpenJob {
            id,
            flops,
            round: 0,
            seats: Vec::new(),
            reassignments: 0,
            self_selected: 0,
            stealable: None,
            abandoned: 0,
            former_owners: Vec::new(),
            part,
            preferred,
            dispute: None,
        });
        let mut stream = self.seats_stream(job);
        let mut miners = self.assign(job, 1, &mut stream);
        let first = self.jobs.get(job).and_then(|job| job.seats.first());
        let miner = first.and_then(|seat| seat.holders().next());
        if miner.is_none_or(|miner| self.is_checked(miner, &mut stream)) {
            miners.extend(self.assign(job, self.rules.seats, &mut stream));
        }
        actions.push(Action::Assigned { job: id, miners });
    }

    /// The random stream that decides who gets the next seats of a job. Additional and reassigned
    /// seats of a round use other streams than its first seats.
    pub(super) fn seats_stream(&self, job: JobRef) -> Stream {
        let epoch = self.jobs.get(job).map_or(0, |job| {
            let seats = job.seats.len() as u64;
            u64::from(job.round) | seats << 32 | u64::from(job.reassignments) << 40
        });
        Stream::new(self.seed, Purpose::Seats, epoch, job.id.0)
    }

    /// Adds seats up to `count` and draws a miner for each, preferably from owners that had no seat
    /// in the job. Seats of a job without agreement go to miners with a good record where there are
    /// any: many that invent measurements could make every job fail. So do all seats under the rules
    /// that doubt the others, which request theirs ([`JobBoard::trial_seat`]): many that never request
    /// one could hold up every job.
    pub(super) fn assign(
        &mut self,
        to: JobRef,
        count: usize,
        stream: &mut Stream,
    ) -> Vec<Option<MinerId>> {
        let limited = self.rules.reputation.is_some();
        let counts_disputes = self.counts_disputes();
        let has_proven_miners = self.has_proven_miners();
        let Some(job) = self.jobs.get_mut(to) else {
            return Vec::new();
        };
        let held = job.seats.iter().flat_map(Seat::holders);
        let mut holders: Vec<OwnerIndex> = held.map(|miner| self.roster[miner].owner).collect();
        let mut names = Vec::with_capacity(count - job.seats.len());
        job.seats.reserve_exact(count - job.seats.len());
        for number in job.seats.len()..count {
            let former = &job.former_owners;
            let excluded: Vec<OwnerIndex> = holders.iter().chain(former).copied().collect();
            let is_further = job.round > 0 || number >= self.rules.seats;
            let is_disputed = counts_disputes && is_further;
            let mut drawn = None;
            if !is_further && !job.preferred.is_empty() {
                let is_last = number > 0 && number + 1 == self.rules.seats;
                let preferred = &job.preferred;
                drawn = self
                    .roster
                    .draw_preferred(stream, preferred, &excluded, is_last);
            }
            if drawn.is_none() && (has_proven_miners || is_disputed) {
                drawn = self.roster.draw_proven(stream, &excluded);
            }
            if is_disputed {
                drawn = drawn.or_else(|| self.roster.draw_proven(stream, &holders));
            }
            drawn = drawn.or_else(|| self.roster.draw(stream, &excluded, limited));
            if !former.is_empty() {
                drawn = drawn.or_else(|| self.roster.draw(stream, &holders, limited));
            }
            let seat = to.seat(number);
            job.seats.push(match drawn {
                Some(to) => {
                    holders.push(self.roster[to].owner);
                    self.roster.assign(to, seat, job.round, job.flops);
                    Seat::Assigned { to }
                }
                None => Seat::Open {
                    ticket: self.open_seats.push(seat),
                },
            });
            names.push(drawn.map(|miner| self.roster.name(miner)));
        }
        self.queue_stealable(to);
        names
    }

    /// Gives a job that was assigned to one trusted miner all its seats.
    pub(super) fn widen(&mut self, job: JobRef, actions: &mut Vec<Action>) {
        let mut stream = self.seats_stream(job);
        let miners = self.assign(job, self.rules.seats, &mut stream);
        actions.push(Action::Widened {
            job: job.id,
            miners,
        });
    }

    /// Gives a job without agreement additional seats. Returns `false` if it has the maximum number
    /// already or too few other miners are present.
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
        let owners: Vec<OwnerIndex> = owners.chain(job.former_owners.iter().copied()).collect();
        let more = self.rules.escalate_to.saturating_sub(job.seats.len());
        if more == 0 || self.roster.available_owners(&owners) < more {
            return false;
        }
        let mut stream = self.seats_stream(to);
        let miners = self.assign(to, self.rules.escalate_to, &mut stream);
        actions.push(Action::Escalated {
            job: to.id,
            verdict: verdict.clone(),
            miners,
        });
        true
    }

    /// Starts a new round of a job without agreement, with other miners; its answers are dropped.
    pub(super) fn start_round(&mut self, to: JobRef, verdict: Verdict, actions: &mut Vec<Action>) {
        self.count_rows(to, &verdict);
        self.revoke_late(to, actions);
        self.withdraw_questions(to);
        let Some(job) = self.jobs.get_mut(to) else {
            return;
        };
        job.dispute = None;
        job.round += 1;
        job.self_selected = 0;
        let round = job.round;
        for seat in std::mem::take(&mut job.seats) {
            self.open_seats.forget(&seat);
            for holder in seat.holders() {
                let owner = self.roster[holder].owner;
                if !job.former_owners.contains(&owner) {
                    job.former_owners.push(owner);
                }
            }
        }
        let mut stream = self.seats_stream(to);
        let miners = self.assign(to, self.rules.seats, &mut stream);
        actions.push(Action::NewRound {
            job: to.id,
            round,
            verdict,
            miners,
        });
    }
}
