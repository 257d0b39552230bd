//! Large responses that nobody reads: they are limited for each network, and all together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::response::Response;
use naschain_bins::{Coordinator, JournalPlace};
use naschain_consensus::{Event, MinerId, Row};
use naschain_run::JobReply;
use tower::ServiceExt;

use crate::operations::simulated;
use crate::programs::{folder, legacy_router};

const JOURNAL: &str = "/v1/journal";
const JOBS: &str = "/v1/batches";
const FRONT: &str = "/v1/front";
const MEASURED: &str = "/handle_valid_request";

/// Three uids have answered: the first job with measurements, all others with long reasons.
async fn answered(dir: &std::path::Path) -> Arc<Coordinator> {
    let mut spec = simulated::spec(400, 3, 1);
    spec.rules.reputation = None;
    let coordinator = Coordinator::open(JournalPlace::of_run(dir), spec).await;
    let coordinator = coordinator.unwrap();
    let reason = "\u{10348}".repeat(500);
    let miners = ["uid-1", "uid-2", "uid-3"].map(|name| name.parse::<MinerId>().unwrap());
    for miner in miners.iter().cloned() {
        coordinator
            .handle(Event::Join { miner }, None)
            .await
            .unwrap();
    }
    for round in 0..150 {
        for miner in &miners {
            let reply = coordinator.request(miner, Duration::ZERO, None).await;
            let JobReply::Job(job) = reply.unwrap() else {
                continue;
            };
            let row = match round {
                0..10 => simulated::answer(coordinator.spec(), &job),
                _ => Row::Failed(reason.clone()),
            };
            let submitted = coordinator.submit(miner, job.lease, row, None).await;
            submitted.unwrap();
        }
    }
    coordinator
}

/// Requests a page from this address. The response is as large as it is while its body is unread.
async fn get(router: &Router, address: &str, path: &str) -> Response {
    let mut request = Request::builder().uri(path).body(Body::empty()).unwrap();
    let address = SocketAddr::new(address.parse().unwrap(), 9);
    request.extensions_mut().insert(ConnectInfo(address));
    router.clone().oneshot(request).await.unwrap()
}

async fn text(response: Response) -> String {
    let body = to_bytes(response.into_body(), 1 << 22).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

/// Unread responses from many networks until one is refused, at most `limit`.
async fn fill(router: &Router, path: &str, limit: usize, held: &mut Vec<Response>) -> Response {
    let before = held.len();
    for number in 0..limit {
        let network = before + number;
        let address = format!("10.{}.{}.1", network / 256, network % 256);
        let response = get(router, &address, path).await;
        if response.status() != 200 {
            return response;
        }
        held.push(response);
    }
    panic!("{limit} unread responses to {path}, of which none was refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_reads_32_large_responses_at_a_time() {
    let dir = folder("reads-of-a-network");
    let coordinator = answered(&dir).await;
    let router = legacy_router(coordinator.clone(), None);
    for (at, path) in [JOURNAL, JOBS, FRONT, MEASURED].into_iter().enumerate() {
        let hosts = |host: usize| format!("2001:db8:0:{at}::{host}");
        let mut held = Vec::new();
        for host in 1..=32 {
            let response = get(&router, &hosts(host), path).await;
            assert_eq!(response.status(), 200, "{path}: response {host}");
            held.push(response);
        }
        let refused = get(&router, &hosts(33), path).await;
        assert_eq!(refused.status(), 503, "{path}");
        let refused = text(refused).await;
        assert!(
            refused.contains("is already reading 32 responses"),
            "{path}: {refused}"
        );
        assert_eq!(refused.starts_with("{\"message\""), path == MEASURED);
        let other = get(&router, "192.0.2.7", path).await;
        assert_eq!(other.status(), 200, "{path}");
        // One that was read makes room.
        text(held.pop().unwrap()).await;
        let response = get(&router, &hosts(34), path).await;
        assert_eq!(response.status(), 200, "{path}");
    }
    coordinator.close().await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes 10 to 20 seconds; .ci/run runs it"]
async fn all_large_responses_have_one_budget() {
    let dir = folder("reads-of-all");
    let coordinator = answered(&dir).await;
    let router = legacy_router(coordinator.clone(), None);
    let mut held = Vec::new();
    // Each leaves less room than one more of them needs.
    for (path, limit) in [(JOBS, 200), (JOURNAL, 600), (MEASURED, 200), (FRONT, 200)] {
        let refused = fill(&router, path, limit, &mut held).await;
        assert_eq!(refused.status(), 503, "{path}");
        let refused = text(refused).await;
        assert!(refused.contains("budget of 32 MiB"), "{path}: {refused}");
    }
    assert!(held.len() > 60, "{}", held.len());
    // Another one needs no share.
    let run = get(&router, "192.0.2.7", "/v1/run").await;
    assert_eq!(run.status(), 200);
    drop(held);
    for path in [JOBS, JOURNAL, MEASURED, FRONT] {
        let response = get(&router, "192.0.2.7", path).await;
        assert_eq!(response.status(), 200, "{path}");
        let json: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
        assert!(!json.is_null());
    }
    coordinator.close().await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}

/// Pages are cut by bytes, and each follows the last one to the end of the run, with its head.
#[tokio::test(flavor = "multi_thread")]
async fn pages_of_jobs_lead_to_the_signed_end() {
    let dir = folder("pages-of-jobs");
    let coordinator = answered(&dir).await;
    let router = legacy_router(coordinator.clone(), None);
    let ended = coordinator.with_state(|state| state.ended_jobs().to_vec());
    let ended = ended.await;
    let mut chain = naschain_run::HistoryChain::new(coordinator.run());
    let (mut jobs, mut pages) = (Vec::new(), 0);
    loop {
        let path = format!("{JOBS}?after={}", jobs.len());
        let page = text(get(&router, "192.0.2.7", &path).await).await;
        assert!(page.len() < 300 * 1024, "{}", page.len());
        let page: naschain_run::EndedJobs = serde_json::from_str(&page).unwrap();
        assert_eq!(page.total, ended.len());
        jobs.extend(page.jobs);
        pages += 1;
        if let Some(head) = page.head {
            chain.follow(&jobs);
            assert_eq!(chain.problem(&head, None), None);
            break;
        }
    }
    assert!(jobs == ended && pages > 1, "{pages}");
    let beyond = text(get(&router, "192.0.2.7", "/v1/batches?after=9999999").await).await;
    let beyond: naschain_run::EndedJobs = serde_json::from_str(&beyond).unwrap();
    assert!(beyond.jobs.is_empty() && beyond.head.is_some());
    coordinator.close().await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}
