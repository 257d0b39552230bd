//! The job board: its state and [`JobBoard::handle`]; each module holds one part of its behaviour.

mod assign;
mod collect;
mod dispute;
mod draw;
mod findings;
mod held_up;
mod introduce;
mod job;
mod jobs;
mod lease;
mod places;
mod profile;
mod pursue;
mod queries;
mod questions;
mod queue;
mod record;
mod release;
mod reputation;
mod request;
mod roster;
mod settle;
mod spot_check;
mod trial;
mod trust;
mod watchdog;

pub use profile::MinerProfile;

use std::collections::{BTreeMap, BTreeSet};

use naschain_core::{Digest, StepState};
use serde::{Deserialize, Serialize};

use crate::{
    Action, Ending, Error, Event, JobId, LeaseId, Millis, MinerId, QuestionId, Rejected, Row,
    Rules, Ruling, Tally, TrackRecord, TrainingPart,
};
use jobs::{JobRef, Jobs, SeatRef};
use lease::Lease;
use questions::Questions;
use queue::Queue;
use roster::{MinerIndex, Roster};
use watchdog::AveragePace;

/// Assigns jobs to miners, grants leases, collects answers and judges them: a state machine without
/// a clock, a thread or a socket.
///
/// The state is a function of the rules, the seed and the accepted events with their times, so
/// replaying a journal of those restores it exactly, in any process. [`JobBoard::handle`] takes one
/// event and returns its consequences. A rejected event changes nothing and need not be stored.
///
/// **Assignment.** A job is assigned to [`Rules::seats`] different miners, drawn at random from
/// those present. A seat for which no miner can be drawn stays open to the next miner that requests
/// work: with fewer miners than seats a job waits, and does not fail.
///
/// **Requests.** Miners pull work. A request is answered with the oldest seat assigned to the
/// miner; else the oldest open seat; else, by work stealing, a seat that is assigned to another
/// miner and not started: from the oldest job that has one, the seat of the miner with the longest
/// backlog; else, by speculative execution, the seat of the worst straggler ([`Rules::watchdog`]).
/// No miner, and no owner of miners, ever holds two seats of a job. A miner that requests work
/// while it holds as many leases as its capacity has lost a job, as after a crash: its oldest seat
/// is leased to it again, three times; then the seat goes to others.
///
/// **Self-selection.** A miner that does not train is always the first to request more work, so it
/// would collect every seat that is not tied to a random draw. At most [`Rules::max_self_selected`]
/// seats of a job are therefore stolen or speculative, and neither these nor open seats go to a
/// miner that was given as much as the fastest plausible miner could have trained by now
/// ([`Rules::max_speed_percent`]). Until half of the miners present have answered, the network's
/// pace is unknown; until then there is no work stealing, and a miner that has answered gets no
/// open seat.
///
/// **Leases** end with the answer, after [`Rules::lease_ms`] without a heartbeat, after
/// [`Rules::job_limit_ms`] in any case, or when they last many times the average
/// ([`Watchdog::stalled_percent`](crate::Watchdog::stalled_percent)). An answer under an ended
/// lease is rejected. The seat of a lease that ended without an answer, or of a miner that is away,
/// is reassigned to a miner drawn at random; if none can be drawn it is open. After more than
/// [`Rules::max_retries`] such ends for each seat the job ends with the answers it has.
///
/// **Verdicts.** When all seats are answered the job is judged, and closed if answers agree. If
/// not, it gets additional seats ([`Rules::escalate_to`]), and then new rounds, at most
/// [`Rules::max_new_rounds`], preferably with owners that had no seat in it. Where no miner can be
/// drawn for a seat, a late answer for another seat fills it, and open additional seats are not
/// waited for. A job fails at once if more than half of its seats report a failed training. The
/// answers of an open job are not visible from outside.
///
/// **Disputes.** With [`Rules::referee`], differing answers are not left to the majority. Two miners
/// with different answers at a time are asked for the states of their trainings, until the first step
/// is found at which they part, and the caller recomputes that step. So one honest miner among the
/// seats of a job is enough. A miner loses if it is refuted, does not answer in time, leaves, or
/// contradicts itself; then it gets one seat at a time, and selects none itself, until an answer of it
/// is accepted. An answer that is left because all others were silent needs that of one more miner.
///
/// **New miners.** With [`Rules::reputation`], what a miner gets depends on its record, and a job
/// waits for miners without a good one only as long as there is other work (docs/consensus.md).
///
/// **Time.** Leases that are due end before an accepted event is applied, so the caller sends
/// [`Event::Tick`] at [`JobBoard::next_deadline`]. A time before the latest one counts as the
/// latest one.
///
/// **Storage.** A board can be serialised in any serde format whose maps have keys of any type,
/// such as MessagePack, but not JSON. A journal of events has no such restriction.
///
/// **Cost.** An event takes O(log n) in the number of miners, open jobs and leases, amortised over
/// the events that caused the work. The exception is drawing a miner when most of those present
/// belong to owners with a seat of the job: this scans all miners.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobBoard {
    rules: Rules,
    seed: u64,
    now: Millis,
    roster: Roster,
    jobs: Jobs,
    /// The ids of all jobs ever opened.
    used_ids: BTreeSet<JobId>,
    /// Seats that no miner is assigned to.
    open_seats: Queue<SeatRef>,
    /// Jobs with a seat that may be stolen.
    stealable: Queue<JobRef>,
    leases: BTreeMap<LeaseId, Box<Lease>>,
    granted: u64,
    /// When each lease expires without a heartbeat.
    lease_deadlines: BTreeSet<(Millis, LeaseId)>,
    /// When each miner without a lease counts as away.
    away_deadlines: BTreeSet<(Millis, MinerIndex)>,
    /// Estimated end of each lease that is the only one of its seat; empty without a watchdog.
    estimated_ends: BTreeSet<(Millis, LeaseId)>,
    /// Number of active leases that are speculative.
    speculative_leases: u64,
    pace: AveragePace,
    /// When each miner without a lease may lose its place.
    #[serde(default)]
    place_deadlines: BTreeSet<(Millis, MinerIndex)>,
    /// When the open seats will be drawn.
    #[serde(default)]
    draw_at: Option<Millis>,
    /// The slowest pace of accepted answers; 0 if unknown.
    #[serde(default)]
    slowest_ms_per_flop: f64,
    #[serde(default, skip_serializing_if = "Questions::is_unused")]
    questions: Questions,
}

/// An accepted event, with its names resolved.
enum Step {
    /// `None` keeps the owner and capacity of a known miner; a new one is its own owner, with a
    /// capacity of 1.
    Join(MinerId, Option<(Option<MinerId>, u32)>),
    Open(JobId, u64, Option<(TrainingPart, Vec<MinerIndex>)>),
    Request(MinerIndex),
    Heartbeat(LeaseId, u32),
    Submit(LeaseId, Row),
    Leave(MinerIndex),
    Introduce(MinerIndex, TrackRecord),
    Testify(QuestionId, Vec<StepState>),
    Received(QuestionId),
    Ruled(JobId, Ruling),
    Collect(JobId, Digest, Vec<MinerId>, bool),
    Tick,
}

impl JobBoard {
    /// A board without miners and jobs.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for invalid rules.
    pub fn new(rules: Rules, seed: u64) -> Result<Self, Error> {
        rules.validate()?;
        Ok(JobBoard {
            rules,
            seed,
            now: Millis(0),
            roster: Roster::default(),
            jobs: Jobs::default(),
            used_ids: BTreeSet::new(),
            open_seats: Queue::default(),
            stealable: Queue::default(),
            leases: BTreeMap::new(),
            granted: 0,
            lease_deadlines: BTreeSet::new(),
            away_deadlines: BTreeSet::new(),
            estimated_ends: BTreeSet::new(),
            speculative_leases: 0,
            pace: AveragePace::default(),
            place_deadlines: BTreeSet::new(),
            draw_at: None,
            slowest_ms_per_flop: 0.0,
            questions: Questions::default(),
        })
    }

    /// Applies one event and returns its consequences in order.
    ///
    /// # Errors
    /// [`Rejected`] with the reason; then nothing has changed.
    pub fn handle(&mut self, now: Millis, event: Event) -> Result<Vec<Action>, Rejected> {
        let now = now.max(self.now);
        let step = self.resolve(now, event)?;
        let due = self.next_deadline().is_some_and(|deadline| deadline <= now);
        let mut actions = Vec::new();
        if matches!(step, Step::Tick) && !due {
            return Ok(actions);
        }
        self.now = now;
        let answered = match &step {
            Step::Submit(lease, _) => self.leases.get(lease),
            _ => None,
        };
        let answered = answered.map(|active| (self.roster.name(active.miner), active.seat));
        if due {
            self.expire(&mut actions);
        }
        match step {
            Step::Join(miner, terms) => self.join(miner, terms, &mut actions),
            Step::Open(job, flops, part) => self.open(job, flops, part, &mut actions),
            Step::Request(miner) => self.request(miner, &mut actions),
            Step::Heartbeat(lease, epoch) => self.heartbeat(lease, epoch, &mut actions),
            // The leases that were due may have ended the job, and this lease with it.
            Step::Submit(lease, row) if !self.leases.contains_key(&lease) => {
                actions.extend(answered.map(|(miner, seat)| Action::Discarded {
                    miner,
                    job: seat.id,
                    seat: seat.number(),
                    lease,
                    row,
                }));
            }
            Step::Submit(lease, row) => self.submit(lease, row, &mut actions),
            Step::Leave(miner) => self.leave(miner, &mut actions),
            Step::Introduce(miner, record) => self.introduce(miner, record),
            Step::Testify(question, states) => self.testify(question, &states, &mut actions),
            Step::Received(question) => self.receive(question, &mut actions),
            Step::Ruled(job, ruling) => self.rule(job, ruling, &mut actions),
            Step::Collect(job, digest, miners, is_awaited) => {
                self.collect(job, digest, miners, is_awaited, &mut actions);
            }
            Step::Tick => {}
        }
        Ok(actions)
    }

    /// Resolves the names of an event and rejects it if it is not acceptable at this time. A lease
    /// that is due counts as ended.
    fn resolve(&self, now: Millis, event: Event) -> Result<Step, Rejected> {
        Ok(match event {
            Event::Join { miner } => {
                self.place_for(now, &miner)?;
                Step::Join(miner, None)
            }
            Event::Register {
                miner,
                owner,
                capacity,
            } => {
                if !(1..=1024).contains(&capacity) {
                    return Err(Rejected::Capacity { miner, capacity });
                }
                self.place_for(now, &miner)?;
                Step::Join(miner, Some((owner, capacity)))
            }
            Event::Open { job, flops } => Step::Open(self.unused(job)?, flops, None),
            Event::OpenPart {
                job,
                flops,
                part,
                holders,
            } => {
                let holders = holders.iter().filter_map(|miner| self.roster.find(miner));
                let part = Some((part, holders.collect()));
                Step::Open(self.unused(job)?, flops, part)
            }
            Event::Request { miner } => Step::Request(self.known(miner)?),
            Event::Heartbeat {
                miner,
                lease,
                epoch,
            } => Step::Heartbeat(self.active_lease(now, miner, lease)?, epoch),
            Event::Submit { miner, lease, row } => {
                Step::Submit(self.active_lease(now, miner, lease)?, row)
            }
            Event::Leave { miner } => Step::Leave(self.known(miner)?),
            Event::Introduce { miner, record } => Step::Introduce(self.known(miner)?, record),
            Event::Testify {
                miner,
                question,
                states,
            } => {
                self.check_testimony(now, miner, question)?;
                Step::Testify(question, states)
            }
            Event::Received { question } => {
                self.check_delivery(now, question)?;
                Step::Received(question)
            }
            Event::Ruled { job, ruling } => {
                self.check_ruling(job, &ruling)?;
                Step::Ruled(job, ruling)
            }
            Event::Collect {
                job,
                digest,
                miners,
                is_awaited,
            } => {
                self.check_collection(job, &miners)?;
                Step::Collect(job, digest, miners, is_awaited)
            }
            Event::Tick | Event::Reveal { .. } | Event::Extend { .. } => Step::Tick,
        })
    }

    fn unused(&self, job: JobId) -> Result<JobId, Rejected> {
        if self.used_ids.contains(&job) {
            return Err(Rejected::DuplicateJob { job });
        }
        Ok(job)
    }

    fn known(&self, miner: MinerId) -> Result<MinerIndex, Rejected> {
        self.roster
            .find(&miner)
            .ok_or(Rejected::UnknownMiner { miner })
    }

    fn active_lease(
        &self,
        now: Millis,
        miner: MinerId,
        lease: LeaseId,
    ) -> Result<LeaseId, Rejected> {
        let found = self.leases.get(&lease);
        if let Some(active) = found
            && self.roster[active.miner].name == miner
        {
            if active.expires <= now {
                let reason = Some(self.expiry_reason(active));
                return Err(Rejected::StaleLease {
                    miner,
                    lease,
                    reason,
                });
            }
            return Ok(lease);
        }
        let is_others = found.is_some();
        let index = self.known(miner.clone())?;
        if is_others {
            return Err(Rejected::NotYours { miner, lease });
        }
        if lease.0 == 0 || lease.0 > self.granted {
            let latest = self.granted;
            return Err(Rejected::UnknownLease { lease, latest });
        }
        let mut ended = self.roster[index].ended.iter();
        let reason = ended
            .find(|(own, _)| *own == lease)
            .map(|(_, reason)| *reason);
        Err(match reason {
            Some(Ending::Answered) => Rejected::AlreadyAnswered { miner, lease },
            reason => Rejected::StaleLease {
                miner,
                lease,
                reason,
            },
        })
    }

    /// When the caller should send the next [`Event::Tick`] unless another event comes first.
    pub fn next_deadline(&self) -> Option<Millis> {
        let lease = self.lease_deadlines.first().map(|(deadline, _)| *deadline);
        let away = self.away_deadlines.first().map(|(deadline, _)| *deadline);
        let question = self.questions.first_due().map(|(deadline, _)| deadline);
        let others = [away, question, self.draw_at];
        lease.into_iter().chain(others.into_iter().flatten()).min()
    }

    /// Every miner that ever joined, in the order of joining: its name, whether it is present, and
    /// its tally.
    pub fn miners(&self) -> impl ExactSizeIterator<Item = (&MinerId, bool, Tally)> {
        self.roster.standings()
    }
}
