//! The record of a run of which only its ended jobs are known.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use naschain_consensus::{JobId, MinerId};
use naschain_core::{Genome, Measurement};
use naschain_run::{
    EndedJob, JudgedRow, MinerCounts, NewFrontMember, PublicEvent, RunRecord, RunSpec,
};
use serde_json::{Map, json};

use crate::artifacts::history::existing_history;
use crate::artifacts::models::{retrained_accuracy, retrained_genomes};
use crate::artifacts::report::details::picks;
use crate::artifacts::results::Results;
use crate::artifacts::run_facts::{RecordDocument, RunFacts};

/// All ended jobs of a run: with rungs, `results` has the last job of each network only.
pub(super) fn all_jobs(results: &Results) -> Result<Vec<EndedJob>> {
    if results.spec.search.rungs.is_empty() {
        return Ok(results.ended.clone());
    }
    existing_history(&results.dir)
}

/// The record of a run that has these jobs.
pub(super) fn record_of(results: &Results, all: &[EndedJob]) -> RunRecord {
    let spec = &results.spec;
    let mut record = RunRecord::new(spec);
    let mut front = FrontSoFar {
        spec,
        members: Vec::new(),
    };
    let last: BTreeSet<JobId> = results.ended.iter().map(|job| job.job).collect();
    let is_whole =
        |job: &EndedJob| last.contains(&job.job) && !results.stopped.contains_key(&job.job);
    // In the order in which they were opened, as the numbers of jobs tell.
    let mut opened: Vec<&EndedJob> = all.iter().collect();
    opened.sort_by_key(|job| job.job);
    for job in opened {
        let event = PublicEvent::JobOpened {
            job: job.job,
            genome: job.genome.clone(),
            seats: job.rows.len(),
        };
        record.add(0, 0, event);
    }
    let (mut began, of) = (0, spec.search.generations);
    for (number, job) in (1..).zip(all) {
        // A generation begins with the first of its networks that has a result.
        let generation = record.generation_of(job.job).unwrap_or(0) as usize;
        while began < generation {
            began += 1;
            record.add(
                number,
                number,
                PublicEvent::Generation { number: began, of },
            );
        }
        record.add(number, number, verdict(job));
        let measured = job.result().filter(|_| is_whole(job));
        let change = measured.and_then(|measured| front.add(job, measured));
        if let Some(change) = change {
            record.add(number, number, change);
        }
    }
    if results.extent.finished {
        let number = all.len() as u64;
        record.add(number, number, PublicEvent::Finished);
    }
    record
}

/// As the response of `GET /v1/record`, with what else the run's folder tells of its networks.
pub(super) fn document(
    results: &Results,
    (all, record): (&[EndedJob], &RunRecord),
    title: &str,
) -> Result<serde_json::Value> {
    let spec = &results.spec;
    let mut facts = RunFacts::new(spec, title, results.extent.networks, false);
    facts.guessing_limit = results.guessing_limit();
    let document = RecordDocument {
        cursor: "0".to_owned(),
        facts,
        columns: record.columns(),
    };
    let mut document = serde_json::to_value(document)?;
    add_tests(&mut document["candidates"], results);
    document["miner_rows"] = miner_rows(all);
    Ok(document)
}

/// What the jobs tell of their miners, as in the response of `GET /v1/miners`.
fn miner_rows(all: &[EndedJob]) -> serde_json::Value {
    let mut counts: BTreeMap<&MinerId, MinerCounts> = BTreeMap::new();
    for job in all {
        for ((miner, row), agreed) in job.rows.iter().zip(&job.verdict.agreed) {
            let of_miner = counts.entry(miner).or_default();
            of_miner.begun += 1;
            of_miner.judge(row, *agreed);
        }
    }
    let rows = counts.into_iter().map(|(miner, counts)| {
        json!({
            "miner": miner, "jobs": counts.begun, "agreed": counts.agreed, "rejected": counts.rejected,
            "failed": counts.failed, "agreed_in_a_row": counts.agreed_in_a_row,
        })
    });
    rows.collect()
}

/// Adds what is known of single networks, by job.
fn add_tests(candidates: &mut serde_json::Value, results: &Results) {
    let mut known = std::array::from_fn::<_, 3, _>(|_| Map::new());
    // Only networks of the front are tested, and only some were trained again.
    let again: BTreeSet<Genome> = retrained_genomes(&results.dir).into_iter().collect();
    let front: BTreeSet<JobId> = results.front.iter().map(|member| member.job).collect();
    let is_known = |job: &&EndedJob| front.contains(&job.job) || again.contains(&job.genome);
    for job in results.ended.iter().filter(is_known) {
        let model = results.model(&job.genome);
        let again = retrained_accuracy(&results.dir, &job.genome);
        let names = picks(results, job.job);
        let values = [
            model.map(|model| json!(model.test_accuracy.percent())),
            again.map(|again| json!(again)),
            (!names.is_empty()).then(|| json!(names)),
        ];
        for (map, value) in known.iter_mut().zip(values) {
            if let Some(value) = value {
                map.insert(job.job.0.to_string(), value);
            }
        }
    }
    for (name, map) in ["test_accuracy", "retrained", "picks"]
        .into_iter()
        .zip(known)
    {
        candidates[name] = map.into();
    }
}

fn verdict(job: &EndedJob) -> PublicEvent {
    let judged = job.verdict.agreed.iter().zip(&job.verdict.findings);
    let rows = job.rows.iter().zip(judged);
    let rows = rows.map(|((miner, row), (agreed, finding))| JudgedRow {
        miner: miner.clone(),
        row: row.clone(),
        agreed: *agreed,
        finding: *finding,
    });
    PublicEvent::Verdict {
        job: job.job,
        genome: job.genome.clone(),
        rows: rows.collect(),
        consensus: job.verdict.consensus,
        failure: job.failure.clone(),
    }
}

/// The front of the networks so far.
struct FrontSoFar<'s> {
    spec: &'s RunSpec,
    /// The members, with the values of their objectives.
    members: Vec<(JobId, [f64; 3])>,
}

impl FrontSoFar<'_> {
    /// Adds a network; returns how the front changes, if it does.
    fn add(&mut self, job: &EndedJob, new: Measurement) -> Option<PublicEvent> {
        let values = self.spec.objective_values(&job.genome, &new);
        // Networks with equal results are on the front together.
        let dominates =
            |a: &[f64; 3], b: &[f64; 3]| a[0] >= b[0] && a[1] <= b[1] && a[2] <= b[2] && a != b;
        if self.members.iter().any(|(_, old)| dominates(old, &values)) {
            return None;
        }
        let members = self.members.iter();
        let (left, kept) = members.partition(|(_, old)| dominates(&values, old));
        let left: Vec<(JobId, [f64; 3])> = left;
        self.members = kept;
        self.members.push((job.job, values));
        Some(PublicEvent::FrontChanged {
            entered: vec![NewFrontMember {
                job: job.job,
                genome: job.genome.clone(),
                measurement: new,
            }],
            left: left.into_iter().map(|(job, _)| job).collect(),
        })
    }
}
