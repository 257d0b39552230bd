use naschain_consensus::{Failure, Finding, JobId, MinerId};
use serde_json::{Value, json};

use super::*;
use crate::{DataSpec, RunSpec};

fn record(rungs: &[u32]) -> RunRecord {
    let space = naschain_core::MacroSpace {
        phases: 1,
        nodes: 2,
        input: "1x8x8".parse().unwrap(),
        init_channels: 4,
        classes: 10,
    };
    let data = DataSpec::new("digits", naschain_core::Digest([7; 32]));
    let mut spec = RunSpec::new(space, data);
    spec.search.population = 2;
    spec.search.rungs = rungs.to_vec();
    RunRecord::new(&spec)
}

fn add(record: &mut RunRecord, now_ms: u64, event: Value) {
    record.add(now_ms, now_ms, serde_json::from_value(event).unwrap());
}

fn columns(record: &RunRecord) -> Value {
    serde_json::to_value(record.columns()).unwrap()
}

fn seats(record: &RunRecord, from_ms: u64, to_ms: u64) -> Value {
    let filter = SeatFilter {
        from_ms,
        to_ms,
        job: None,
        miner: None,
    };
    serde_json::to_value(record.seats(&filter)).unwrap()
}

fn verdict(job: u64, accuracies: &[(&str, f64, &str)]) -> Value {
    let measured = |accuracy: f64| json!({"accuracy": accuracy, "params": 100, "flops": 2000, "digest": "07".repeat(32)});
    let row = |(miner, accuracy, reason): &(&str, f64, &str)| {
        json!({"miner": miner, "row": {"measured": measured(*accuracy)},
            "agreed": *reason == "agreed", "reason": reason})
    };
    let rows: Vec<Value> = accuracies.iter().map(row).collect();
    json!({"type": "verdict", "batch": job, "genome": "11", "rows": rows,
        "consensus": measured(accuracies[0].1)})
}

/// A record with a job that two of three miners have answered, and one has lost.
fn answered_job() -> RunRecord {
    let mut record = record(&[]);
    for miner in ["ada", "bob", "cyd"] {
        add(
            &mut record,
            1,
            json!({"type": "miner_joined", "miner": miner}),
        );
    }
    add(
        &mut record,
        2,
        json!({"type": "miner_joined", "miner": "ada"}),
    );
    for (job, genome) in [(0, "11"), (1, "10"), (2, "01"), (0, "11")] {
        add(
            &mut record,
            3,
            json!({"type": "batch_opened", "batch": job, "genome": genome, "seats": 3}),
        );
    }
    for (seat, miner) in ["ada", "bob", "cyd"].into_iter().enumerate() {
        let taken = json!({"type": "seat_taken", "batch": 0, "seat": seat, "miner": miner, "second": seat == 2});
        add(&mut record, 10, taken);
    }
    let progress = json!({"type": "progress", "batch": 0, "seat": 0, "miner": "ada", "epoch": 4});
    add(&mut record, 15, progress);
    for (seat, miner) in ["ada", "bob"].into_iter().enumerate() {
        let answered = json!({"type": "answered", "batch": 0, "seat": seat, "miner": miner});
        add(&mut record, 20 + seat as u64, answered);
    }
    let lost = json!({"type": "seat_lost", "batch": 0, "seat": 2, "miner": "cyd", "expired": true});
    add(&mut record, 30, lost);
    record
}

#[test]
fn a_job_is_followed_from_its_opening_to_the_verdict() {
    let mut record = answered_job();
    assert_eq!(seats(&record, 0, 40)["outcome"], json!([4, 1, 1]));
    add(
        &mut record,
        40,
        verdict(
            0,
            &[("ada", 91.5, "agreed"), ("bob", 80.0, "digest-differs")],
        ),
    );
    let entered = json!([{"batch": 0, "genome": "11", "measurement":
        {"accuracy": 91.5, "params": 100, "flops": 2000, "digest": "07".repeat(32)}}]);
    add(
        &mut record,
        40,
        json!({"type": "front_changed", "entered": entered, "left": []}),
    );
    add(
        &mut record,
        50,
        json!({"type": "miner_away", "miner": "cyd"}),
    );
    assert_eq!(record.entries_of(JobId(0)), Some((3, 40)));
    assert_eq!(record.entries_of(JobId(9)), None);
    let columns = columns(&record);
    assert_eq!(
        columns["candidates"],
        json!({"job": [0, 1, 2], "genome": ["11", "10", "01"], "generation": [1, 1, 2],
            "rung": [0, 0, 0], "opened_ms": [3, 3, 3], "ended_ms": [40, null, null],
            "accuracy": [91.5, null, null], "params": [100, null, null],
            "flops": [2000, null, null], "verdict": [2, 0, 0]})
    );
    assert_eq!(columns["verdicts"][2], "majority");
    assert_eq!(
        columns["front"],
        json!({"ms": [40], "entered": [[0]], "left": [[]]})
    );
    assert_eq!(
        columns["presence"],
        json!({"miner": [0, 1, 2, 2], "ms": [1, 1, 1, 50], "here": [true, true, true, false]})
    );
    let counts = |miner: &str| record.counts(&MinerId::new(miner).unwrap()).unwrap();
    assert_eq!((counts("ada").agreed, counts("bob").rejected), (1, 1));
    assert_eq!((counts("cyd").expired, counts("cyd").begun), (1, 1));
    let shown = seats(&record, 0, 60);
    // The newest first: cyd's lease expired, bob's answer was rejected, ada's is rewarded.
    assert_eq!(shown["miner"], json!([2, 1, 0]));
    assert_eq!(shown["outcome"], json!([4, 3, 2]));
    assert_eq!(shown["to_ms"], json!([30, 21, 20]));
    assert_eq!(shown["second"], json!([true, false, false]));
    assert_eq!(shown["epoch"], json!([0, 0, 4]));
    assert_eq!(shown["truncated"], json!(false));
    assert_eq!(seats(&record, 22, 60)["miner"], json!([2]));
    assert_eq!(seats(&record, 0, 9)["miner"], json!([]));
}

#[test]
fn the_jobs_of_a_genome_are_its_rungs() {
    let mut record = record(&[1, 3]);
    for (job, genome) in [(0, "11"), (1, "10"), (2, "11"), (3, "01"), (4, "11")] {
        add(
            &mut record,
            job,
            json!({"type": "batch_opened", "batch": job, "genome": genome, "seats": 3}),
        );
    }
    let columns = columns(&record);
    assert_eq!(columns["candidates"]["rung"], json!([0, 0, 1, 0, 2]));
    assert_eq!(columns["candidates"]["generation"], json!([1, 1, 1, 2, 1]));
}

#[test]
fn outcomes_of_jobs_have_names() {
    let outcome = |findings: &[Finding], failure: Option<Failure>| {
        let answers = findings.iter().map(|f| (*f == Finding::Agreed, f));
        JobOutcome::of(answers, failure.as_ref()).name()
    };
    use Finding::{Agreed, DigestDiffers, Failed, Refuted};
    assert_eq!(outcome(&[Agreed, Agreed, Agreed], None), "agreed");
    assert_eq!(outcome(&[Agreed, Agreed, DigestDiffers], None), "majority");
    assert_eq!(outcome(&[Agreed, Refuted, DigestDiffers], None), "disputed");
    let failed = Failure::TrainingFailed { reasons: vec![] };
    assert_eq!(outcome(&[Failed, Failed], Some(failed)), "failed");
    let rejected = Failure::NoAgreement { rounds: 3 };
    assert_eq!(outcome(&[DigestDiffers; 3], Some(rejected)), "rejected");
    for (number, outcome) in JobOutcome::ALL.into_iter().enumerate() {
        assert_eq!(outcome as usize, number);
    }
    for (number, outcome) in SeatOutcome::ALL.into_iter().enumerate() {
        assert_eq!(outcome as usize, number);
    }
}
