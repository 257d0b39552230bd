//! Answers with invented costs: three miners that agree on them would lead the front.

use std::sync::Arc;
use std::time::Duration;

use naschain_bins::{Coordinator, JournalPlace};
use naschain_consensus::{Event, MinerId, Row};
use naschain_core::{Accuracy, Digest, Measurement};
use naschain_run::{JobReply, ScoringTerms, validate};

use crate::operations::simulated;
use crate::programs::folder;

async fn answer_all(coordinator: &Arc<Coordinator>, miners: &[MinerId], row: &Row) {
    for miner in miners {
        let reply = coordinator.request(miner, Duration::ZERO, None).await;
        if let JobReply::Job(job) = reply.unwrap() {
            let submitted = coordinator
                .submit(miner, job.lease, row.clone(), None)
                .await;
            submitted.unwrap();
        }
    }
}

#[tokio::test]
async fn three_miners_that_agree_on_other_costs_earn_nothing() {
    let dir = folder("invented-costs");
    std::fs::create_dir_all(&dir).unwrap();
    let mut spec = simulated::spec(2, 1, 3);
    spec.rules.reputation = None;
    let coordinator = Coordinator::open(JournalPlace::of_run(&dir), spec.clone()).await;
    let coordinator = coordinator.unwrap();
    let miners = ["ada", "bob", "eve"].map(|name| name.parse::<MinerId>().unwrap());
    for miner in miners.clone() {
        coordinator
            .handle(Event::Join { miner }, None)
            .await
            .unwrap();
    }
    let invented = Row::Measured(Measurement {
        accuracy: Accuracy::from_hundredths(10_000).unwrap(),
        params: 1,
        flops: 1,
        digest: Digest([1; 32]),
    });
    for _ in 0..100 {
        answer_all(&coordinator, &miners, &invented).await;
        if coordinator.with_state(|state| state.is_finished()).await {
            break;
        }
    }
    let (front, ended) = coordinator
        .with_state(|state| (state.front(), state.ended_jobs().to_vec()))
        .await;
    assert!(front.is_empty(), "{front:?}");
    assert!(!ended.is_empty());
    for job in &ended {
        assert_eq!(job.verdict.consensus, None);
        let all_malformed = job
            .rows
            .iter()
            .all(|(_, row)| matches!(row, Row::Malformed(_)));
        assert!(all_malformed, "{:?}", job.rows);
    }
    // A genomaster that lists such rows as accepted fools no validator either.
    let mut listed = ended[0].clone();
    for (_, row) in &mut listed.rows {
        *row = invented.clone();
    }
    let rows: Vec<Row> = listed.rows.iter().map(|(_, row)| row.clone()).collect();
    listed.verdict = naschain_consensus::judge(&rows, &spec.rules.agreement);
    assert!(listed.verdict.consensus.is_some() || rows.len() < 2);
    let mut terms = ScoringTerms::new(spec.digest(), &spec.rules.agreement);
    terms.spec = Some(&spec);
    let (report, _) = validate(&[listed], &terms);
    assert!(report.miners.values().all(|miner| miner.points == 0));
    coordinator.close().await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}
