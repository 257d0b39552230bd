//! The state of the board and its one entrance; the parts of its behaviour are the modules below.

mod assign;
mod id_set;
mod job;
mod jobs;
mod lease;
mod queries;
mod queue;
mod release;
mod request;
mod roster;
mod settle;
mod trust;
mod watchdog;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    Action, Ending, Error, Event, JobId, LeaseId, Millis, MinerId, Rejected, Row, Rules, Tally,
};
use id_set::IdSet;
use jobs::{JobRef, Jobs, SeatRef};
use lease::Lease;
use queue::Queue;
use roster::{MinerIndex, Roster};
use watchdog::Pace;

/// Who trains what, and for how long: a state machine without a clock, a thread or a socket.
///
/// Its state is a function of its rules, its seed and the events it accepted with their times, so
/// a journal of those brings it back exactly, in any process. [`JobBoard::handle`] takes one event
/// and returns what follows from it; a refused event changes nothing and need not be kept.
///
/// **Dealing.** A job is dealt to [`Rules::seats`] different miners drawn at random from those
/// present. Seats for which there is nobody stay open until somebody asks: with fewer miners than
/// seats a job waits, and never fails for want of miners.
///
/// **Requests.** Miners pull. One that asks gets the oldest seat dealt to it; else the oldest open
/// seat; else a seat that another miner was dealt and has not started on: of the oldest job that
/// has one, that of the miner with the longest backlog; else, as a second miner, the seat that lags
/// most behind the average ([`Rules::watchdog`]). Nobody ever holds two seats of a job, and no
/// owner's miners do. A miner that asks while it holds as many leases as it has room for has lost
/// one: it gets that seat again under a new lease, three times; then others get it.
///
/// **Seats that a miner was not drawn for** are given with care, since whoever does not train is
/// always the first to ask for them: [`Rules::max_taken_over`] seats of a job at most are taken
/// over or copied, and neither these nor open seats go to a miner that has been given as much as
/// the fastest one that is believed could do ([`Rules::max_speed_percent`]). Until half of the
/// miners present have answered the network's pace is not known: then nobody takes over, and who
/// has answered waits for the others.
///
/// **Leases** end when the answer comes, when [`Rules::lease_ms`] pass without a heartbeat,
/// [`Rules::job_limit_ms`] after they began, or when they last many times the average
/// ([`Watchdog::stalled_percent`](crate::Watchdog::stalled_percent)). An answer under an ended
/// lease is refused by name. The seat of a lease that ended without an answer, or of a miner that
/// is gone, is dealt to another one drawn at random; it is open to all only when there is nobody
/// to draw. After [`Rules::max_retries`] such ends for each seat the job ends with the answers it
/// has.
///
/// **Verdicts.** When all seats are answered the job is judged, and closed if anybody agrees;
/// if not, it gets more seats ([`Rules::escalate_to`]), and then it is dealt again, first to owners
/// that had no seat in it before, [`Rules::max_dealings`] times at most. Where nobody can be drawn
/// for a seat, a second answer to another one fills it, and the seats added to a job are not
/// waited for. A job of which more than
/// half the seats report a failed training ends as failed at once. No row of an open job can be
/// seen from outside.
///
/// **Time.** Leases that are due end before any accepted event, so the caller sends a
/// [`Event::Tick`] at [`JobBoard::next_deadline`]. A time before the latest one counts as that one.
///
/// **Storing.** A board may be written in any format of serde whose maps may have any keys, such
/// as MessagePack; JSON has names for keys alone. A journal of events needs no such thing.
///
/// **Cost.** An event takes O(log n) steps in the number of miners, open jobs and leases,
/// amortised over the events that made the work; only where most miners present belong to owners
/// that have a seat of the job already does drawing a seat look at all miners.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobBoard {
    rules: Rules,
    seed: u64,
    now: Millis,
    roster: Roster,
    jobs: Jobs,
    /// The numbers of all jobs ever opened.
    used_ids: IdSet,
    /// Seats that nobody was dealt.
    open_seats: Queue<SeatRef>,
    /// Jobs of which a seat may be taken over from somebody who has not started.
    stealable: Queue<JobRef>,
    leases: BTreeMap<LeaseId, Box<Lease>>,
    granted: u64,
    /// When leases end without a heartbeat.
    lease_deadlines: BTreeSet<(Millis, LeaseId)>,
    /// When miners without a lease count as away.
    away_deadlines: BTreeSet<(Millis, MinerIndex)>,
    /// Leases that are alone at their seats, by estimated end; empty without a watchdog.
    estimated_ends: BTreeSet<(Millis, LeaseId)>,
    /// How many live leases were granted as copies.
    speculative_leases: u64,
    pace: Pace,
}

/// An event that was found acceptable, its names looked up.
enum Step {
    /// With owner and capacity, or with those it had, or none and 1.
    Join(MinerId, Option<(Option<MinerId>, u32)>),
    Open(JobId, u64),
    Request(MinerIndex),
    Heartbeat(LeaseId, u32),
    Submit(LeaseId, Row),
    Leave(MinerIndex),
    Tick,
}

impl JobBoard {
    /// A board without miners and jobs.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for rules that no board could keep.
    pub fn new(rules: Rules, seed: u64) -> Result<Self, Error> {
        rules.validate()?;
        Ok(JobBoard {
            rules,
            seed,
            now: Millis(0),
            roster: Roster::default(),
            jobs: Jobs::default(),
            used_ids: IdSet::default(),
            open_seats: Queue::default(),
            stealable: Queue::default(),
            leases: BTreeMap::new(),
            granted: 0,
            lease_deadlines: BTreeSet::new(),
            away_deadlines: BTreeSet::new(),
            estimated_ends: BTreeSet::new(),
            speculative_leases: 0,
            pace: Pace::default(),
        })
    }

    /// Takes one event and returns what follows from it, in order.
    ///
    /// # Errors
    /// [`Rejected`] says why the event is refused; then nothing has changed.
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
        let answered = answered.map(|live| (self.roster.name(live.miner), live.place));
        if due {
            self.expire(&mut actions);
        }
        match step {
            Step::Join(miner, terms) => self.join(miner, terms),
            Step::Open(job, flops) => self.open(job, flops, &mut actions),
            Step::Request(miner) => self.request(miner, &mut actions),
            Step::Heartbeat(lease, epoch) => self.heartbeat(lease, epoch, &mut actions),
            // What was due may have ended the job, and this lease with it.
            Step::Submit(lease, row) if !self.leases.contains_key(&lease) => {
                actions.extend(answered.map(|(miner, place)| Action::Discarded {
                    miner,
                    job: place.id,
                    seat: place.seat(),
                    lease,
                    row,
                }));
            }
            Step::Submit(lease, row) => self.submit(lease, row, &mut actions),
            Step::Leave(miner) => self.leave(miner, &mut actions),
            Step::Tick => {}
        }
        Ok(actions)
    }

    /// Looks up the names of an event and refuses what cannot be accepted at this time: a lease
    /// that is due counts as ended here already.
    fn resolve(&self, now: Millis, event: Event) -> Result<Step, Rejected> {
        Ok(match event {
            Event::Join { miner } => Step::Join(miner, None),
            Event::Register {
                miner,
                owner,
                capacity,
            } => {
                if !(1..=1024).contains(&capacity) {
                    return Err(Rejected::Capacity { miner, capacity });
                }
                Step::Join(miner, Some((owner, capacity)))
            }
            Event::Open { job, flops } => Step::Open(self.unused(job)?, flops),
            Event::Request { miner } => Step::Request(self.known(miner)?),
            Event::Heartbeat {
                miner,
                lease,
                epoch,
            } => Step::Heartbeat(self.live_lease(now, miner, lease)?, epoch),
            Event::Submit { miner, lease, row } => {
                Step::Submit(self.live_lease(now, miner, lease)?, row)
            }
            Event::Leave { miner } => Step::Leave(self.known(miner)?),
            Event::Tick => Step::Tick,
        })
    }

    fn unused(&self, job: JobId) -> Result<JobId, Rejected> {
        if self.used_ids.contains(job.0) {
            return Err(Rejected::DuplicateJob { job });
        }
        Ok(job)
    }

    fn known(&self, miner: MinerId) -> Result<MinerIndex, Rejected> {
        self.roster
            .find(&miner)
            .ok_or(Rejected::UnknownMiner { miner })
    }

    fn live_lease(&self, now: Millis, miner: MinerId, lease: LeaseId) -> Result<LeaseId, Rejected> {
        let found = self.leases.get(&lease);
        if let Some(live) = found
            && self.roster[live.miner].name == miner
        {
            if live.expires <= now {
                let reason = Some(self.expiry_reason(live));
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

    /// When the caller should send the next [`Event::Tick`], if nothing else happens before.
    pub fn next_deadline(&self) -> Option<Millis> {
        let lease = self.lease_deadlines.first().map(|(deadline, _)| *deadline);
        let away = self.away_deadlines.first().map(|(deadline, _)| *deadline);
        lease.into_iter().chain(away).min()
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The latest time the board was told.
    pub fn now(&self) -> Millis {
        self.now
    }

    /// How many jobs have been opened and have not ended.
    pub fn open_jobs(&self) -> usize {
        self.jobs.len()
    }

    /// The size of an open job, as it was opened with.
    pub fn flops(&self, job: JobId) -> Option<u64> {
        self.jobs.find(job).map(|job| job.flops)
    }

    /// How many leases are live.
    pub fn live_leases(&self) -> usize {
        self.leases.len()
    }

    /// How many leases have been granted so far; the number of the latest one.
    pub fn granted_leases(&self) -> u64 {
        self.granted
    }

    /// Every miner that ever joined, in order of joining: whether it is present, and what it has
    /// earned.
    pub fn miners(&self) -> impl ExactSizeIterator<Item = (&MinerId, bool, Tally)> {
        self.roster.standings()
    }
}
