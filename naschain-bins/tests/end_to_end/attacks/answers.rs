//! Answers to an open job: only the first one under a lease counts, and nothing about it is published
//! before the job ends. Over HTTP.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use naschain_bins::{Access, Authenticator, Coordinator, JournalPlace, router};
use naschain_consensus::Row;
use naschain_core::{Accuracy, Digest};
use naschain_run::{Job, JobReply};
use serde_json::json;
use tower::ServiceExt;

use crate::operations::simulated;
use crate::programs::folder;

async fn serve(dir: &std::path::Path) -> (Arc<Coordinator>, Router) {
    let mut spec = simulated::spec(2, 2, 3);
    spec.rules.reputation = None;
    let coordinator = Coordinator::open(JournalPlace::of_run(dir), spec).await;
    let coordinator = coordinator.unwrap();
    let auth = Authenticator::new(Access::default(), coordinator.nonces());
    let router = router(coordinator.clone(), auth.into(), None);
    (coordinator, router)
}

async fn send(router: &Router, path: &str, body: Option<serde_json::Value>) -> (u16, String) {
    let method = if body.is_some() { "POST" } else { "GET" };
    let body = body.map_or(Body::empty(), |body| body.to_string().into());
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .body(body)
        .unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn join_and_ask(router: &Router, miner: &str) -> Job {
    let joined = send(router, "/v1/join", Some(json!({"miner": miner}))).await;
    assert_eq!(joined.0, 204, "{joined:?}");
    let body = json!({"miner": miner, "wait_ms": 0});
    let (status, reply) = send(router, "/v1/jobs", Some(body)).await;
    match serde_json::from_str(&reply) {
        Ok(JobReply::Job(job)) => job,
        other => panic!("{miner}: {status} {other:?}"),
    }
}

/// Sends an answer; returns the status.
async fn answer(
    router: &Router,
    coordinator: &Coordinator,
    miner: &str,
    job: &Job,
    row: &Row,
) -> u16 {
    let body = json!({"miner": miner, "run": coordinator.run(), "row": row});
    let path = format!("/v1/leases/{}/result", job.lease.0);
    send(router, &path, Some(body)).await.0
}

/// All were acknowledged once, so that a miner could send another one until one fitted.
#[tokio::test]
async fn of_forty_answers_to_one_lease_the_first_counts() {
    let dir = folder("forty-answers");
    let (coordinator, router) = serve(&dir).await;
    let job = join_and_ask(&router, "ada").await;
    let mut statuses = Vec::new();
    for number in 0..40 {
        let Row::Measured(mut given) = simulated::answer(coordinator.spec(), &job) else {
            panic!("no measurement");
        };
        given.accuracy = Accuracy::from_hundredths(5_000 + number).unwrap();
        let row = Row::Measured(given);
        statuses.push(answer(&router, &coordinator, "ada", &job, &row).await);
    }
    assert_eq!(statuses[0], 204);
    assert!(
        statuses[1..].iter().all(|status| *status == 409),
        "{statuses:?}"
    );
    coordinator.close().await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}

/// The figures told a miner how others had answered, before it answered itself.
#[tokio::test]
async fn metrics_show_no_rejected_rows_of_an_open_job() {
    let dir = folder("open-job-metrics");
    let (coordinator, router) = serve(&dir).await;
    let mut given = Vec::new();
    // Nobody is drawn for a seat before others have joined, so all get seats of the first job.
    for miner in ["ada", "bob", "eve"] {
        let job = join_and_ask(&router, miner).await;
        given.push((miner, job));
    }
    let first = given[0].1.job;
    assert!(given.iter().all(|(_, job)| job.job == first), "{given:?}");
    let published = async || {
        let (status, text) = send(&router, "/metrics", None).await;
        assert_eq!(status, 200);
        let tells = |line: &&str| {
            line.starts_with("naschain_re") && line.contains("_rows_total{")
                || line.contains("kind=\"escalated\"")
        };
        text.lines()
            .filter(tells)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let seats = given.len();
    for (number, (miner, job)) in given.iter().enumerate() {
        assert_eq!(published().await, Vec::<String>::new(), "before {miner}");
        let Row::Measured(mut row) = simulated::answer(coordinator.spec(), job) else {
            panic!("no measurement");
        };
        // The second one differs.
        if number == 1 {
            row.digest = Digest([9; 32]);
            row.accuracy = Accuracy::from_hundredths(10).unwrap();
        }
        let status = answer(&router, &coordinator, miner, job, &Row::Measured(row)).await;
        assert_eq!(status, 204, "{miner}");
    }
    let ended = coordinator.with_state(|state| state.ended_jobs().len());
    assert_eq!((ended.await, seats), (1, 3));
    let published = published().await;
    let rejected = "naschain_rejected_rows_total{miner=\"bob\"} 1".to_owned();
    assert!(published.contains(&rejected), "{published:?}");
    coordinator.close().await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}
