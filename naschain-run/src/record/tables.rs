//! The tables, and the events that they are made from.

use std::collections::BTreeMap;

use naschain_consensus::{JobId, MinerId, Row};
use naschain_core::{Genome, Measurement};

use crate::events::{JudgedRow, PublicEvent};
use crate::record::outcomes::{JobOutcome, SeatOutcome};
use crate::spec::RunSpec;

/// What came of the trainings of a miner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MinerCounts {
    /// Trainings that it has begun.
    pub begun: u64,
    /// Answers that are rewarded.
    pub agreed: u64,
    /// Answers that are not rewarded, without those below.
    pub rejected: u64,
    /// Answers that report a failed training.
    pub failed: u64,
    /// Leases that ran out.
    pub expired: u64,
    /// Rewarded answers since the last one that was not, of judged jobs.
    pub agreed_in_a_row: u64,
}

impl MinerCounts {
    /// Counts an answer of a job that has ended.
    pub fn judge(&mut self, row: &Row, is_rewarded: bool) {
        if is_rewarded {
            self.agreed += 1;
            self.agreed_in_a_row += 1;
            return;
        }
        let has_failed = matches!(row, Row::Failed(_));
        self.failed += u64::from(has_failed);
        self.rejected += u64::from(!has_failed);
        self.agreed_in_a_row = 0;
    }
}

/// A candidate of the search, that is, a job.
#[derive(Clone, Debug)]
pub(super) struct CandidateRow {
    pub(super) job: JobId,
    pub(super) genome: Genome,
    pub(super) generation: u32,
    /// How many jobs have trained the genome before.
    pub(super) rung: u32,
    pub(super) opened_ms: u64,
    pub(super) ended_ms: Option<u64>,
    /// The numbers of the journal's entries that opened it and, once it has ended, ended it.
    pub(super) entries: (u64, u64),
    /// Hundredths of a percentage point, parameters, FLOPs.
    pub(super) measured: Option<(u32, u64, u64)>,
    pub(super) outcome: JobOutcome,
}

/// A training of a job by a miner.
#[derive(Clone, Debug)]
pub(super) struct SeatRow {
    pub(super) job: JobId,
    pub(super) seat: u32,
    /// Index in the list of miners.
    pub(super) miner: u32,
    pub(super) from_ms: u64,
    pub(super) to_ms: Option<u64>,
    pub(super) outcome: SeatOutcome,
    pub(super) is_speculative: bool,
    /// The number of finished epochs.
    pub(super) epoch: u32,
}

/// A change of the Pareto front.
#[derive(Clone, Debug)]
pub(super) struct FrontChange {
    pub(super) at_ms: u64,
    pub(super) entered: Vec<JobId>,
    pub(super) left: Vec<JobId>,
}

/// A miner that came or went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Presence {
    pub(super) miner: u32,
    pub(super) at_ms: u64,
    pub(super) is_here: bool,
}

/// The record of a run, made from its public events in their order.
///
/// It takes about 150 bytes for each candidate, and 48 for each training.
#[derive(Clone, Debug)]
pub struct RunRecord {
    pub(super) population: usize,
    pub(super) has_rungs: bool,
    pub(super) now_ms: u64,
    /// The entry that is being added.
    pub(super) number_now: u64,
    pub(super) finished_ms: Option<u64>,
    pub(super) generations: Vec<u64>,
    pub(super) miners: Vec<MinerId>,
    pub(super) miner_numbers: BTreeMap<MinerId, u32>,
    pub(super) counts: Vec<MinerCounts>,
    pub(super) present: Vec<bool>,
    pub(super) presence: Vec<Presence>,
    pub(super) candidates: Vec<CandidateRow>,
    pub(super) places: BTreeMap<JobId, usize>,
    /// Candidates that continue no other one.
    pub(super) genomes: usize,
    /// In a run with rungs, the number of jobs of each genome, and its generation.
    pub(super) trained: BTreeMap<Genome, (u32, u32)>,
    pub(super) front: Vec<FrontChange>,
    pub(super) seats: Vec<SeatRow>,
    /// Trainings that go on, by job, seat and miner.
    pub(super) open_seats: BTreeMap<(JobId, u32, u32), usize>,
    /// Answered trainings of jobs that are open.
    pub(super) answered: BTreeMap<JobId, Vec<usize>>,
}

impl RunRecord {
    /// The record before the first event.
    pub fn new(spec: &RunSpec) -> RunRecord {
        RunRecord {
            population: spec.search.population.max(1),
            has_rungs: !spec.search.rungs.is_empty(),
            now_ms: 0,
            number_now: 0,
            finished_ms: None,
            generations: Vec::new(),
            miners: Vec::new(),
            miner_numbers: BTreeMap::new(),
            counts: Vec::new(),
            present: Vec::new(),
            presence: Vec::new(),
            candidates: Vec::new(),
            places: BTreeMap::new(),
            genomes: 0,
            trained: BTreeMap::new(),
            front: Vec::new(),
            seats: Vec::new(),
            open_seats: BTreeMap::new(),
            answered: BTreeMap::new(),
        }
    }

    /// Adds a public event of entry `number` of the journal, at the run's time `now_ms`.
    pub fn add(&mut self, number: u64, now_ms: u64, event: PublicEvent) {
        self.number_now = number;
        self.now_ms = self.now_ms.max(now_ms);
        match event {
            PublicEvent::MinerJoined { miner } => self.presence(now_ms, &miner, true),
            PublicEvent::MinerAway { miner } => self.presence(now_ms, &miner, false),
            PublicEvent::JobOpened { job, genome, .. } => self.open(now_ms, job, genome),
            PublicEvent::SeatTaken {
                job,
                seat,
                miner,
                second,
            } => self.take_seat(now_ms, (job, seat), &miner, second),
            PublicEvent::Progress {
                job,
                seat,
                miner,
                epoch,
            } => {
                let key = self.seat_key(job, seat, &miner);
                if let Some(at) = self.open_seats.get(&key) {
                    self.seats[*at].epoch = epoch;
                }
            }
            PublicEvent::Answered { job, seat, miner } => {
                self.answer(now_ms, (job, seat), &miner);
            }
            PublicEvent::SeatLost {
                job,
                seat,
                miner,
                expired,
            } => {
                let outcome = [SeatOutcome::Released, SeatOutcome::Expired][usize::from(expired)];
                self.leave_seat(now_ms, (job, seat), &miner, outcome);
            }
            PublicEvent::Verdict {
                job,
                rows,
                consensus,
                failure,
                ..
            } => {
                self.judge(job, &rows);
                let answers = rows.iter().map(|row| (row.agreed, &row.finding));
                let outcome = JobOutcome::of(answers, failure.as_ref());
                self.close(job, consensus.filter(|_| failure.is_none()), outcome);
            }
            PublicEvent::FrontChanged { entered, left } => self.front.push(FrontChange {
                at_ms: now_ms,
                entered: entered.into_iter().map(|member| member.job).collect(),
                left,
            }),
            // With rungs a generation can be the newest one again.
            PublicEvent::Generation { number, .. } => {
                if number > self.generations.len() {
                    self.generations.push(now_ms);
                }
            }
            PublicEvent::Finished => self.finished_ms = Some(now_ms),
        }
    }

    /// The time of the last event, in milliseconds.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// The numbers of the first and the last entry of the journal that can concern a job; the last is the
    /// maximum while the job is open. `None` for an unknown job.
    pub fn entries_of(&self, job: JobId) -> Option<(u64, u64)> {
        let at = self.places.get(&job)?;
        Some(self.candidates[*at].entries)
    }

    /// What came of the trainings of a miner; `None` for an unknown one.
    pub fn counts(&self, miner: &MinerId) -> Option<MinerCounts> {
        let number = self.miner_numbers.get(miner)?;
        Some(self.counts[*number as usize])
    }

    /// The generation of a job's genome, from 1.
    pub fn generation_of(&self, job: JobId) -> Option<u32> {
        let at = self.places.get(&job)?;
        Some(self.candidates[*at].generation)
    }

    fn number(&mut self, miner: &MinerId) -> u32 {
        if let Some(number) = self.miner_numbers.get(miner) {
            return *number;
        }
        let number = u32::try_from(self.miners.len()).unwrap_or(u32::MAX);
        self.miners.push(miner.clone());
        self.present.push(false);
        self.counts.push(MinerCounts::default());
        self.miner_numbers.insert(miner.clone(), number);
        number
    }

    fn presence(&mut self, at_ms: u64, miner: &MinerId, is_here: bool) {
        let miner = self.number(miner);
        let present = &mut self.present[miner as usize];
        // A miner that joins again was here already.
        if *present != is_here {
            *present = is_here;
            self.presence.push(Presence {
                miner,
                at_ms,
                is_here,
            });
        }
    }

    fn open(&mut self, opened_ms: u64, job: JobId, genome: Genome) {
        // The jobs of the first generation are published twice: at the beginning, and when they are
        // assigned.
        if self.places.contains_key(&job) {
            return;
        }
        let newest = u32::try_from(self.genomes / self.population + 1).unwrap_or(u32::MAX);
        let (rung, generation) = if self.has_rungs {
            // What goes on from a rung belongs to the generation in which it was new.
            let trained = self.trained.entry(genome.clone()).or_insert((0, newest));
            trained.0 += 1;
            (trained.0 - 1, trained.1)
        } else {
            (0, newest)
        };
        self.genomes += usize::from(rung == 0);
        // A search that was extended goes on.
        self.finished_ms = None;
        self.places.insert(job, self.candidates.len());
        self.candidates.push(CandidateRow {
            job,
            genome,
            generation,
            rung,
            opened_ms,
            ended_ms: None,
            entries: (self.number_now, u64::MAX),
            measured: None,
            outcome: JobOutcome::Open,
        });
    }

    /// Notes the result of a job, which ends now.
    fn close(&mut self, job: JobId, result: Option<Measurement>, outcome: JobOutcome) {
        let Some(at) = self.places.get(&job) else {
            return;
        };
        let candidate = &mut self.candidates[*at];
        candidate.ended_ms = Some(self.now_ms);
        candidate.entries.1 = self.number_now;
        candidate.measured = result.map(|m| (m.accuracy.hundredths(), m.params, m.flops));
        candidate.outcome = outcome;
    }

    fn seat_key(&mut self, job: JobId, seat: usize, miner: &MinerId) -> (JobId, u32, u32) {
        let seat = u32::try_from(seat).unwrap_or(u32::MAX);
        (job, seat, self.number(miner))
    }

    fn take_seat(
        &mut self,
        from_ms: u64,
        (job, seat): (JobId, usize),
        miner: &MinerId,
        is_speculative: bool,
    ) {
        // A lost lease is given again without being taken back.
        self.leave_seat(from_ms, (job, seat), miner, SeatOutcome::Released);
        let key = self.seat_key(job, seat, miner);
        self.counts[key.2 as usize].begun += 1;
        self.open_seats.insert(key, self.seats.len());
        self.seats.push(SeatRow {
            job,
            seat: key.1,
            miner: key.2,
            from_ms,
            to_ms: None,
            outcome: SeatOutcome::Training,
            is_speculative,
            epoch: 0,
        });
    }

    /// Ends a training; returns where it is in the table, if it was going on.
    fn leave_seat(
        &mut self,
        to_ms: u64,
        (job, seat): (JobId, usize),
        miner: &MinerId,
        outcome: SeatOutcome,
    ) -> Option<usize> {
        let key = self.seat_key(job, seat, miner);
        let at = self.open_seats.remove(&key)?;
        let row = &mut self.seats[at];
        (row.to_ms, row.outcome) = (Some(to_ms), outcome);
        self.counts[row.miner as usize].expired += u64::from(outcome == SeatOutcome::Expired);
        Some(at)
    }

    /// Notes an answer, which counts only while its job is open.
    fn answer(&mut self, now_ms: u64, (job, seat): (JobId, usize), miner: &MinerId) {
        let is_open = self.places.get(&job).is_some_and(|at| {
            let candidate = &self.candidates[*at];
            candidate.outcome == JobOutcome::Open
        });
        let outcome = [SeatOutcome::Released, SeatOutcome::Answered][usize::from(is_open)];
        let answered = self.leave_seat(now_ms, (job, seat), miner, outcome);
        if let Some(at) = answered.filter(|_| is_open) {
            self.answered.entry(job).or_default().push(at);
        }
    }

    /// Notes the verdict on the trainings of a job that were answered.
    fn judge(&mut self, job: JobId, rows: &[JudgedRow]) {
        for at in self.answered.remove(&job).unwrap_or_default() {
            let row = &mut self.seats[at];
            let judged = rows
                .iter()
                .find(|judged| self.miner_numbers.get(&judged.miner) == Some(&row.miner));
            let Some(judged) = judged else {
                row.outcome = SeatOutcome::Released;
                continue;
            };
            self.counts[row.miner as usize].judge(&judged.row, judged.agreed);
            row.outcome = [SeatOutcome::Rejected, SeatOutcome::Agreed][usize::from(judged.agreed)];
        }
    }
}
