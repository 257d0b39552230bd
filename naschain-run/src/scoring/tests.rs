use super::terms::NOT_RETRAINED;
use super::*;
use crate::proof::Proof;
use naschain_core::{Accuracy, Measurement};
use naschain_identity::{Auth, Hotkey, SignedParts};
use serde_json::json;

const RUN: Digest = Digest([4; 32]);

fn key(seed: u8) -> Hotkey {
    Hotkey::from_seed(&[seed; 32])
}

fn measured(hundredths: u32) -> Row {
    Row::Measured(Measurement {
        accuracy: Accuracy::from_hundredths(hundredths).unwrap(),
        params: 5,
        flops: 6,
        digest: Digest([7; 32]),
    })
}

/// The signed answer of a hotkey to the genomaster, whose seed is 9.
fn proof(hotkey: &Hotkey, row: &Row, lease: u64, run: Digest, genomaster: u8) -> Proof {
    let miner = hotkey.address();
    let body = json!({"miner": miner, "row": row, "run": run}).to_string();
    let path = format!("/v1/leases/{lease}/result");
    let message = SignedParts {
        method: "POST",
        path: &path,
        body: body.as_bytes(),
    };
    let receiver = key(genomaster);
    let auth = Auth::sign(hotkey, message, Some(receiver.address()), 1000 + lease);
    Proof::new(&auth, message).unwrap()
}

/// A job that three hotkeys answered alike and signed.
fn job(number: u64) -> EndedJob {
    let answer = |seed: u8| {
        let (hotkey, row) = (key(seed), measured(9000));
        let proof = proof(&hotkey, &row, 10 * number + u64::from(seed), RUN, 9);
        ((hotkey.address().parse().unwrap(), row), Some(proof))
    };
    let (rows, proofs): (Vec<_>, Vec<_>) = [1, 2, 3].map(answer).into_iter().unzip();
    let only: Vec<Row> = rows
        .iter()
        .map(|(_, row): &(MinerId, Row)| row.clone())
        .collect();
    EndedJob {
        job: JobId(number),
        genome: "01".parse().unwrap(),
        verdict: judge(&only, &Agreement::default()),
        rows,
        failure: None,
        proofs,
    }
}

fn report(jobs: &[EndedJob]) -> ScoringReport {
    report_of(jobs, false)
}

fn report_of(jobs: &[EndedJob], legacy: bool) -> ScoringReport {
    let (genomaster, agreement) = (key(9), Agreement::default());
    let terms = ScoringTerms {
        spec: None,
        run: RUN,
        agreement: &agreement,
        genomaster: Some(genomaster.address()),
        legacy,
        epoch_jobs: 1,
        finished: true,
        retrained: &NOT_RETRAINED,
    };
    validate(jobs, &terms).0
}

#[test]
fn signed_rows_are_paid() {
    let report = report(&[job(1), job(2)]);
    assert_eq!((report.signed_rows, report.forged.len()), (6, 0));
    assert_eq!(
        (report.accepted, report.disputed.len(), report.epochs),
        (2, 0, 2)
    );
    assert!(
        report
            .miners
            .values()
            .all(|s| s.points == 2 && s.weight == u16::MAX)
    );
}

#[test]
fn forged_rows_are_named_and_earn_nothing() {
    let forge = |what: &str, change: fn(&mut EndedJob)| {
        let mut forged = job(2);
        change(&mut forged);
        let report = report(&[job(1), forged]);
        let [found] = &report.forged[..] else {
            panic!("{what}: {:?}", report.forged)
        };
        let first: MinerId = key(1).address().parse().unwrap();
        assert_eq!((found.job, &found.miner), (JobId(2), &first));
        assert!(found.problem.contains(what), "{what}: {}", found.problem);
        assert_eq!(
            (report.miners[&first].points, report.signed_rows),
            (1, 5),
            "{what}"
        );
    };
    forge("it is not signed", |job| job.proofs[0] = None);
    forge("does not match", |job| job.rows[0].1 = measured(9001));
    forge("not a valid one of", |job| {
        job.proofs[0].as_mut().unwrap().nonce += 1;
    });
    forge("another hotkey", |job| {
        job.proofs[0] = job.proofs[1].clone()
    });
    forge("does not match", |job| {
        let row = measured(9000);
        job.proofs[0] = Some(proof(&key(1), &row, 21, Digest([5; 32]), 9));
    });
    forge("it was signed for", |job| {
        job.proofs[0] = Some(proof(&key(1), &measured(9000), 21, RUN, 8));
    });
    // The signed answer to another job.
    forge("signed for another row", |job| {
        job.proofs[0] = Some(proof(&key(1), &measured(9000), 11, RUN, 9));
    });
}

#[test]
fn miners_of_the_old_network_are_paid_where_that_is_wanted() {
    let mut job = job(1);
    let old: MinerId = "uid-7".parse().unwrap();
    job.rows[0].0 = old.clone();
    job.proofs[0] = None;
    let jobs = [job];
    let refused = report_of(&jobs, false);
    assert_eq!(refused.miners[&old].points, 0);
    assert!(refused.forged[0].problem.contains("--legacy"));
    let paid = report_of(&jobs, true);
    assert_eq!((paid.miners[&old].points, paid.unsigned_rows), (1, 1));
    assert_eq!(paid.forged, []);
}

#[test]
fn a_wrong_verdict_is_disputed() {
    let mut wrong = job(1);
    wrong.verdict.agreed[2] = false;
    assert_eq!(report(&[wrong]).disputed, [JobId(1)]);
}

#[test]
fn rows_that_differ_from_the_validators_training_earn_nothing() {
    let jobs = [job(1), job(2)];
    let agreement = Agreement::default();
    let genomaster = key(9);
    let own = |hundredths, digest| {
        let Row::Measured(mut own) = measured(hundredths) else {
            unreachable!();
        };
        own.digest = Digest([digest; 32]);
        BTreeMap::from([(JobId(2), Row::Measured(own))])
    };
    let report = |retrained: &BTreeMap<JobId, Row>| {
        let mut terms = ScoringTerms::new(RUN, &agreement);
        terms.genomaster = Some(genomaster.address());
        terms.retrained = retrained;
        validate(&jobs, &terms).0
    };
    let right = report(&own(9000, 7));
    assert_eq!((right.accepted, right.retrained), (2, 1));
    assert_eq!((right.wrong.len(), right.wrong()), (0, None));
    // Another digest, and the right digest with a better accuracy.
    for retrained in [own(9000, 8), own(8999, 7)] {
        let wrong = report(&retrained);
        assert_eq!((wrong.accepted, wrong.wrong.len()), (1, 3));
        assert!(wrong.wrong.iter().all(|row| row.job == JobId(2)));
        assert!(wrong.wrong().unwrap().contains("own training"));
        assert!(wrong.distrust().is_none());
    }
    let diverged = BTreeMap::from([(JobId(2), Row::Failed("diverged".to_owned()))]);
    assert_eq!(report(&diverged).accepted, 1);
}
