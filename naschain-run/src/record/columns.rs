//! The tables of a record as columns, which are small in JSON and quick to read.

use naschain_consensus::{JobId, MinerId};
use naschain_core::Genome;
use serde::Serialize;

use crate::record::outcomes::{JobOutcome, SeatOutcome};
use crate::record::tables::{CandidateRow, RunRecord, SeatRow};

/// Most trainings in an answer.
const MAX_SEATS: usize = 5_000;

/// Everything but the trainings.
#[derive(Serialize)]
pub struct RecordColumns<'r> {
    now_ms: u64,
    finished_ms: Option<u64>,
    generations: &'r [u64],
    miners: &'r [MinerId],
    presence: PresenceColumns,
    verdicts: [&'static str; JobOutcome::ALL.len()],
    candidates: CandidateColumns<'r>,
    front: FrontColumns<'r>,
}

#[derive(Serialize)]
struct PresenceColumns {
    miner: Vec<u32>,
    ms: Vec<u64>,
    here: Vec<bool>,
}

#[derive(Serialize)]
struct CandidateColumns<'r> {
    job: Vec<JobId>,
    genome: Vec<&'r Genome>,
    generation: Vec<u32>,
    rung: Vec<u32>,
    opened_ms: Vec<u64>,
    ended_ms: Vec<Option<u64>>,
    accuracy: Vec<Option<f64>>,
    params: Vec<Option<u64>>,
    flops: Vec<Option<u64>>,
    verdict: Vec<u8>,
}

#[derive(Serialize)]
struct FrontColumns<'r> {
    ms: Vec<u64>,
    entered: Vec<&'r [JobId]>,
    left: Vec<&'r [JobId]>,
}

/// Which trainings are wanted.
#[derive(Clone, Debug)]
pub struct SeatFilter {
    /// Those that ended before this time, in milliseconds, are left out.
    pub from_ms: u64,
    /// Those that began after this time are left out.
    pub to_ms: u64,
    /// Only those of this job.
    pub job: Option<JobId>,
    /// Only those of this miner.
    pub miner: Option<MinerId>,
}

/// Trainings, the newest first.
#[derive(Serialize)]
pub struct SeatColumns<'r> {
    job: Vec<JobId>,
    seat: Vec<u32>,
    miner: Vec<u32>,
    from_ms: Vec<u64>,
    to_ms: Vec<Option<u64>>,
    outcome: Vec<u8>,
    second: Vec<bool>,
    epoch: Vec<u32>,
    outcomes: [&'static str; SeatOutcome::ALL.len()],
    miners: &'r [MinerId],
    /// Whether there are more.
    truncated: bool,
}

/// One column of a table.
fn column<R, T>(rows: &[R], value: impl Fn(&R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

impl RunRecord {
    /// Everything but the trainings.
    pub fn columns(&self) -> RecordColumns<'_> {
        let rows = &self.candidates;
        let measured = |row: &CandidateRow| row.measured;
        RecordColumns {
            now_ms: self.now_ms,
            finished_ms: self.finished_ms,
            generations: &self.generations,
            miners: &self.miners,
            presence: PresenceColumns {
                miner: column(&self.presence, |row| row.miner),
                ms: column(&self.presence, |row| row.at_ms),
                here: column(&self.presence, |row| row.is_here),
            },
            verdicts: JobOutcome::ALL.map(JobOutcome::name),
            candidates: CandidateColumns {
                job: column(rows, |row| row.job),
                genome: rows.iter().map(|row| &row.genome).collect(),
                generation: column(rows, |row| row.generation),
                rung: column(rows, |row| row.rung),
                opened_ms: column(rows, |row| row.opened_ms),
                ended_ms: column(rows, |row| row.ended_ms),
                accuracy: column(rows, |row| measured(row).map(|m| f64::from(m.0) / 100.0)),
                params: column(rows, |row| measured(row).map(|m| m.1)),
                flops: column(rows, |row| measured(row).map(|m| m.2)),
                verdict: column(rows, |row| row.outcome as u8),
            },
            front: FrontColumns {
                ms: column(&self.front, |change| change.at_ms),
                entered: self
                    .front
                    .iter()
                    .map(|change| &change.entered[..])
                    .collect(),
                left: self.front.iter().map(|change| &change.left[..]).collect(),
            },
        }
    }

    /// The trainings that the filter lets through, the newest first, at most 5,000.
    pub fn seats(&self, filter: &SeatFilter) -> SeatColumns<'_> {
        let miner = filter.miner.as_ref();
        let miner = miner.map(|miner| self.miner_numbers.get(miner).copied());
        let is_wanted = |row: &&SeatRow| {
            row.from_ms <= filter.to_ms
                && row.to_ms.is_none_or(|to_ms| to_ms >= filter.from_ms)
                && filter.job.is_none_or(|job| row.job == job)
                && miner.is_none_or(|miner| miner == Some(row.miner))
        };
        let wanted = self.seats.iter().rev().filter(is_wanted);
        let mut rows: Vec<&SeatRow> = wanted.take(MAX_SEATS + 1).collect();
        let truncated = rows.len() > MAX_SEATS;
        rows.truncate(MAX_SEATS);
        SeatColumns {
            job: column(&rows, |row| row.job),
            seat: column(&rows, |row| row.seat),
            miner: column(&rows, |row| row.miner),
            from_ms: column(&rows, |row| row.from_ms),
            to_ms: column(&rows, |row| row.to_ms),
            outcome: column(&rows, |row| row.outcome as u8),
            second: column(&rows, |row| row.is_speculative),
            epoch: column(&rows, |row| row.epoch),
            outcomes: SeatOutcome::ALL.map(SeatOutcome::name),
            miners: &self.miners,
            truncated,
        }
    }
}
