//! The response to the reference network's validator: the measurements of all jobs that have ended.
//!
//! It only grows, so all readers share its parts, and each job is formatted once.

use axum::body::Bytes;
use naschain_consensus::Row;
use naschain_core::{Genome, Measurement};
use serde_json::json;

use crate::coordinator::Coordinator;
use crate::coordinator::call_error::CallError;
use crate::server::legacy::values;
use naschain_run::EndedJob;

/// A part ends with the object that reaches this size.
pub(super) const PART_BYTES: usize = 16 * 1024;
/// Number of jobs that are read at once.
const MAX_JOBS: usize = 500;

/// A JSON array of objects, of which the closing bracket is missing.
pub(super) struct Measured {
    /// Rows of uids from this one on are omitted.
    uids: u32,
    /// Number of jobs in it.
    jobs: usize,
    parts: Vec<Bytes>,
    /// The part that still grows.
    last: String,
}

/// The rows of a job that are shown.
type Rows = (Genome, Vec<(u32, Measurement)>);

impl Measured {
    pub(super) fn new(uids: u32) -> Measured {
        Measured {
            uids,
            jobs: 0,
            parts: Vec::new(),
            last: "[".to_owned(),
        }
    }

    /// Adds the jobs that have ended since the last call.
    pub(super) async fn follow(&mut self, coordinator: &Coordinator) -> Result<(), CallError> {
        loop {
            let (known, uids) = (self.jobs, self.uids);
            let read = coordinator.read_in_turn(|state| {
                let next = state.ended_jobs().iter().skip(known).take(MAX_JOBS);
                next.map(|job| rows(job, uids)).collect::<Vec<_>>()
            });
            let next = read.await?;
            for rows in &next {
                self.add(rows);
            }
            if next.len() < MAX_JOBS {
                return Ok(());
            }
        }
    }

    fn add(&mut self, (genome, rows): &Rows) {
        self.jobs += 1;
        for (uid, measurement) in rows {
            let object = json!({
                "Genome_String": values::bits(genome),
                "Assigned_User": uid,
                "Response": values::response(measurement),
            });
            let comma = if self.is_empty() { "" } else { "," };
            self.last += &format!("{comma}{object}");
            if self.last.len() >= PART_BYTES {
                self.parts.push(std::mem::take(&mut self.last).into());
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.last == "["
    }

    /// The number of parts before the end, and the end; `None` if there are no objects.
    pub(super) fn end(&self) -> Option<(usize, Vec<u8>)> {
        let last = format!("{}]", self.last).into_bytes();
        (!self.is_empty()).then_some((self.parts.len(), last))
    }

    /// A part before the end.
    pub(super) fn part(&self, at: usize) -> Option<Bytes> {
        self.parts.get(at).cloned()
    }
}

fn rows(job: &EndedJob, uids: u32) -> Rows {
    let shown = |(miner, row): &(naschain_consensus::MinerId, Row)| {
        let uid = miner.uid().filter(|uid| *uid < uids)?;
        match row {
            Row::Measured(measurement) => Some((uid, *measurement)),
            _ => None,
        }
    };
    (
        job.genome.clone(),
        job.rows.iter().filter_map(shown).collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use naschain_core::{Accuracy, Digest};

    /// Each of many slow readers once held a copy of the whole response.
    #[test]
    fn readers_share_all_parts_but_the_last() {
        let mut measured = Measured::new(9);
        assert!(measured.end().is_none());
        let measurement = Measurement {
            accuracy: Accuracy::from_hundredths(9_000).unwrap(),
            params: 1,
            flops: 2,
            digest: Digest([0; 32]),
        };
        let genome: Genome = "0101".parse().unwrap();
        for _ in 0..2_000 {
            measured.add(&(genome.clone(), vec![(7, measurement), (8, measurement)]));
            let (_, last) = measured.end().unwrap();
            assert!(last.len() < PART_BYTES + 200, "{}", last.len());
        }
        let (end, last) = measured.end().unwrap();
        assert!(end > 10, "{end}");
        let part = measured.part(3).unwrap();
        assert_eq!(part.as_ptr(), measured.part(3).unwrap().as_ptr());
        let parts = (0..end).flat_map(|at| measured.part(at).unwrap());
        let text: Vec<u8> = parts.chain(last).collect();
        let objects: Vec<serde_json::Value> = serde_json::from_slice(&text).unwrap();
        assert_eq!((objects.len(), measured.jobs), (4_000, 2_000));
        assert_eq!(objects[1]["Assigned_User"], 8);
    }
}
