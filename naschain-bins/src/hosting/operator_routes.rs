//! `GET /v1/operator`: how a genomaster is, for its operator.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::Json;
use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use naschain_consensus::MinerId;
use naschain_core::Digest;
use naschain_run::{ProblemKind, RunState};
use serde::Serialize;
use utoipa::ToSchema;

use crate::artifacts::extent::work_done;
use crate::clock;
use crate::coordinator::metrics::route_times::RouteTimes;
use crate::home::runs::{RunFilter, StoredRun};
use crate::home::tokens::Scope;
use crate::hosting::account_routes::Account;
use crate::hosting::caller::{Sender, trouble};
use crate::hosting::host::Host;
use crate::hosting::openapi::Refusals;
use crate::server::app::Reply;
use crate::server::problem::ErrorResponse;

/// Most runs that are listed, the newest first.
const MAX_RUNS: u32 = 200;
/// Most users and miners that are listed.
const MAX_LISTED: usize = 500;

/// How a genomaster is.
#[derive(Serialize, ToSchema)]
pub(crate) struct OperatorView {
    version: &'static str,
    uptime_s: f64,
    disk: Option<DiskSpace>,
    memory_bytes: Option<u64>,
    genomasters: Vec<GenomasterView>,
    /// Uploads that are complete and are being checked.
    checks_waiting: usize,
    runs: Vec<OperatedRun>,
    users: Vec<Account>,
    /// Of this genomaster, the slowest first.
    routes: Vec<RouteTimes>,
    miners: Vec<OperatedMiner>,
}

/// The disk of the home's folder.
#[derive(Serialize, ToSchema)]
pub(crate) struct DiskSpace {
    path: String,
    free_bytes: u64,
    total_bytes: u64,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct GenomasterView {
    name: String,
    address: String,
    runs: usize,
    is_this: bool,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct OperatedRun {
    #[schema(value_type = String)]
    id: Digest,
    name: String,
    owner: String,
    state: String,
    /// The genomaster that leads it.
    leader: Option<String>,
    /// Whether it is open at this genomaster; what follows is known only then.
    here: bool,
    open_jobs: Option<usize>,
    open_leases: Option<usize>,
    journal_events: Option<u64>,
    journal_bytes: Option<u64>,
    readers: Option<u64>,
    progress: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct OperatedMiner {
    #[schema(value_type = String)]
    miner: MinerId,
    here: bool,
    /// A run that goes on and that it takes part in; missing where it waits for one.
    #[schema(value_type = Option<String>)]
    run: Option<Digest>,
}

/// How the genomaster is. For administrators.
#[utoipa::path(get, path = "/v1/operator", tag = "account", security(("token" = []), ("session" = [])),
    responses((status = 200, body = OperatorView), Refusals))]
pub(super) async fn operator(
    State(host): State<Arc<Host>>,
    sender: Sender,
) -> Reply<Json<OperatorView>> {
    if !sender.needs(Scope::Account)?.is_admin {
        let detail = "this is for administrators";
        return Err(ErrorResponse::new(ProblemKind::NotPermitted, detail));
    }
    let failed = |error: anyhow::Error| trouble(&error);
    let stored = host.home.runs(&RunFilter::default(), MAX_RUNS).await;
    let stored = stored.map_err(failed)?;
    let (mut runs, mut miners) = (Vec::new(), BTreeMap::new());
    for run in &stored {
        runs.push(operated(&host, run, &mut miners).await);
    }
    let mut users = Vec::new();
    for user in host
        .home
        .users()
        .await
        .map_err(failed)?
        .into_iter()
        .take(MAX_LISTED)
    {
        users.push(Account::of(&host, &user).await?);
    }
    let here = host.open_runs();
    let metrics = here.iter().map(|run| run.coordinator.metrics());
    let routes = RouteTimes::of(metrics.chain([&host.metrics]));
    for miner in host.waiting.here() {
        let known = miners.entry(miner.clone()).or_insert(OperatedMiner {
            miner,
            here: true,
            run: None,
        });
        known.here = true;
    }
    Ok(Json(OperatorView {
        version: env!("CARGO_PKG_VERSION"),
        uptime_s: host.started.elapsed().as_secs_f64(),
        disk: disk_space(&host.home.dir),
        memory_bytes: memory_bytes(),
        genomasters: genomasters(&host, &stored),
        checks_waiting: host.checks.count(),
        runs,
        users,
        routes,
        miners: miners.into_values().take(MAX_LISTED).collect(),
    }))
}

/// A run as far as this genomaster knows it; its miners are added.
async fn operated(
    host: &Host,
    run: &StoredRun,
    miners: &mut BTreeMap<MinerId, OperatedMiner>,
) -> OperatedRun {
    let mut view = OperatedRun {
        id: run.id,
        name: run.name.clone(),
        owner: run.owner.clone(),
        state: run.status.to_string(),
        leader: run.leader.clone(),
        here: false,
        open_jobs: None,
        open_leases: None,
        journal_events: None,
        journal_bytes: None,
        readers: None,
        progress: None,
    };
    let opened = host.open_runs().into_iter().find(|open| open.id == run.id);
    let Some(open) = opened else {
        return view;
    };
    let is_open = run.status.is_open();
    let read = |state: Option<&RunState>| {
        let state = state?;
        let board = state.board();
        (view.open_jobs, view.open_leases) = (Some(board.open_jobs()), Some(board.active_leases()));
        (view.journal_events, view.progress) = (Some(state.events()), Some(work_done(state)));
        if !is_open {
            // What is left of a run that was stopped is dropped.
            (view.open_jobs, view.open_leases) = (Some(0), Some(0));
            return None;
        }
        let present = board.miners();
        Some(
            present
                .map(|(miner, here, _)| (miner.clone(), here))
                .collect::<Vec<_>>(),
        )
    };
    for (miner, here) in open
        .coordinator
        .try_with_state(read)
        .await
        .unwrap_or_default()
    {
        let known = miners.entry(miner.clone()).or_insert(OperatedMiner {
            miner,
            here,
            run: Some(run.id),
        });
        if here && !known.here {
            (known.here, known.run) = (true, Some(run.id));
        }
    }
    view.here = true;
    view.readers = Some(open.coordinator.metrics().feed_readers.load(Relaxed));
    view.journal_bytes = journal_bytes(&open.dir);
    view
}

/// The size of a journal in a file, with what SQLite has not moved into it yet.
fn journal_bytes(dir: &Path) -> Option<u64> {
    let size = |name: &str| {
        std::fs::metadata(dir.join(name))
            .ok()
            .map(|file| file.len())
    };
    Some(size("journal.sqlite")? + size("journal.sqlite-wal").unwrap_or(0))
}

fn genomasters(host: &Host, runs: &[StoredRun]) -> Vec<GenomasterView> {
    let Some(cluster) = &host.cluster else {
        return vec![GenomasterView {
            name: "this one".to_owned(),
            address: String::new(),
            runs: host.open_runs().len(),
            is_this: true,
        }];
    };
    let this = (cluster.id().to_owned(), cluster.address().to_owned());
    let all = std::iter::once(this).chain(cluster.others());
    let view = |(name, address): (String, String)| GenomasterView {
        runs: runs
            .iter()
            .filter(|run| run.leader.as_deref() == Some(&name))
            .count(),
        is_this: name == cluster.id(),
        name,
        address,
    };
    all.map(view).collect()
}

#[cfg(unix)]
fn disk_space(dir: &Path) -> Option<DiskSpace> {
    let found = rustix::fs::statvfs(dir).ok()?;
    Some(DiskSpace {
        path: dir.display().to_string(),
        free_bytes: found.f_bavail * found.f_frsize,
        total_bytes: found.f_blocks * found.f_frsize,
    })
}

#[cfg(not(unix))]
fn disk_space(_: &Path) -> Option<DiskSpace> {
    None
}

/// The memory that this process uses, where Linux tells it.
fn memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// Middleware: counts requests that concern no single run, and how long they took.
pub(super) async fn measure(
    State(host): State<Arc<Host>>,
    request: Request,
    next: Next,
) -> Response {
    let began = clock::now();
    let path = request.extensions().get::<MatchedPath>();
    // Paths that match no route share one label, and unusual methods another, because clients can invent any number of them.
    let route = path.map_or("other", MatchedPath::as_str);
    let method = match *request.method() {
        Method::GET
        | Method::HEAD
        | Method::POST
        | Method::PUT
        | Method::PATCH
        | Method::DELETE => request.method().as_str(),
        _ => "other",
    };
    let route = format!("{method} {route}");
    let response = next.run(request).await;
    // The routes of a run count their own requests.
    if !route.ends_with("{*rest}") {
        let status = response.status().as_u16();
        host.metrics.answered(&route, status, began.elapsed());
    }
    response
}
