//! Large responses for validators: the journal, ended jobs, the front. Each is bounded in bytes and
//! takes its share of the response budget; the journal is sent in parts while the client reads.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::coordinator::Coordinator;
use crate::coordinator::pages::{PART_BYTES, Part};
use crate::server::app::{App, Reply};
use crate::server::auth::RemoteAddress;
use crate::server::budget::{ResponseBudget, Share};
use crate::server::limits::NetworkLimit;
use crate::server::problem::Failure;
use naschain_run::{EndedJobs, Entry, FrontEntry, ProblemKind};

/// Maximum number of jobs per page.
const MAX_JOBS: usize = 1_000;
/// A page of jobs ends with the job that reaches this size.
const MAX_JOBS_BYTES: usize = 256 * 1024;
/// Maximum number of journal entries per page.
const MAX_ENTRIES: usize = 1_000;
/// A page of the journal ends with the part that reaches this size.
const MAX_JOURNAL_BYTES: usize = 1024 * 1024;
/// A page of the journal ends after this time, so that a slow client cannot keep its share.
const MAX_JOURNAL_TIME: Duration = Duration::from_secs(60);
/// Share of the budget for one part: JSON escapes make it longer than what is stored.
const PART_SHARE_BYTES: usize = 2 * PART_BYTES;
/// Concurrent responses of these routes for each remote network.
pub(super) const MAX_READS_PER_NETWORK: usize = 32;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct After {
    #[serde(default)]
    after: usize,
}

type AfterQuery = Result<Query<After>, QueryRejection>;

fn after(query: AfterQuery) -> Reply<usize> {
    let wrong = |error: QueryRejection| Failure::new(ProblemKind::BadQuery, error.body_text());
    Ok(query.map_err(wrong)?.0.after)
}

/// Middleware: limits the concurrent responses of each remote network.
pub(super) async fn limit_reads(
    State(limit): State<Arc<NetworkLimit>>,
    request: Request,
    next: Next,
) -> Response {
    let address = request.extensions().get::<RemoteAddress>();
    let Some(address) = address.and_then(|address| address.0) else {
        return next.run(request).await;
    };
    let Some(permit) = limit.enter(address) else {
        return too_many_reads(address).into_response();
    };
    let response = next.run(request).await;
    // The body holds the permit until it is sent.
    response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _ = &permit;
            frame
        }))
    })
}

fn too_many_reads(address: IpAddr) -> Failure {
    let detail = format!(
        "{address} reads {MAX_READS_PER_NETWORK} responses already; wait until one of them ends"
    );
    Failure::new(ProblemKind::TooManyReaders, detail)
}

pub(super) async fn ended_jobs(State(app): State<App>, query: AfterQuery) -> Reply<Response> {
    let after = after(query)?;
    let share = app.budget.share(2 * MAX_JOBS_BYTES).await?;
    let page = app.coordinator.with_state(|state| {
        let ended = state.ended_jobs();
        // `after` is any number that the client sent.
        let after = after.min(ended.len());
        let mut bytes = 0;
        let jobs = ended[after..].iter().take(MAX_JOBS);
        let fits = |job: &&_| {
            let before = bytes;
            bytes += json(job).len();
            before < MAX_JOBS_BYTES
        };
        let end = after + jobs.take_while(fits).count();
        let jobs = &ended[after..end];
        let is_last = end == ended.len();
        EndedJobs {
            // The chain covers all jobs, so only a client that has the last page can compare it.
            head: is_last.then(|| {
                let mut chain = app.chain.lock().unwrap_or_else(PoisonError::into_inner);
                chain.follow(ended);
                chain.head(app.auth.hotkey())
            }),
            training_seeds: jobs
                .iter()
                .filter_map(|ended| app.coordinator.training_seed(ended.job))
                .collect(),
            jobs: jobs.to_vec(),
            total: ended.len(),
            finished: state.is_finished(),
        }
    });
    let page = page.await;
    Ok(json_response(share.hold(json(&page))))
}

pub(super) async fn front(State(app): State<App>) -> Reply<Response> {
    let front = app.coordinator.with_state(|state| state.front()).await;
    let entry = |member: naschain_run::FrontMember| FrontEntry {
        genome: member.genome,
        measurement: member.measurement,
    };
    let front: Vec<FrontEntry> = front.into_iter().map(entry).collect();
    let bytes = json(&front);
    let share = app.budget.share(bytes.len()).await?;
    Ok(json_response(share.hold(bytes)))
}

/// A page of the journal as JSON, `{"entries":[...],"last":N}`. A client that reads too slowly gets a
/// shorter page.
pub(super) async fn journal(
    State(coordinator): State<Arc<Coordinator>>,
    State(budget): State<ResponseBudget>,
    query: AfterQuery,
) -> Reply<Response> {
    let after = after(query)? as u64;
    let mut page = Page {
        coordinator,
        budget,
        after,
        entries: 0,
        bytes: 0,
        deadline: clock::now() + MAX_JOURNAL_TIME,
        ended: false,
    };
    let (share, part) = page.read().await?;
    let first = page.text(share, part);
    if page.ended {
        return Ok(json_response(first));
    }
    let stream = unfold((page, Some(first)), |(mut page, first)| async {
        let bytes = match first {
            Some(bytes) => bytes,
            None => page.next().await?,
        };
        Some((Ok::<Bytes, Infallible>(bytes), (page, None)))
    });
    Ok(json_response(Body::from_stream(stream)))
}

/// A page of the journal that is being sent.
struct Page {
    coordinator: Arc<Coordinator>,
    budget: ResponseBudget,
    /// Number of the last entry that was read.
    after: u64,
    entries: usize,
    bytes: usize,
    deadline: Instant,
    /// Whether the closing brackets were sent.
    ended: bool,
}

impl Page {
    async fn read(&self) -> Reply<(Share, Part<Entry>)> {
        let share = self.budget.share(PART_SHARE_BYTES).await?;
        let limit = MAX_ENTRIES - self.entries;
        Ok((
            share,
            self.coordinator.public_entries(self.after, limit).await?,
        ))
    }

    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        if clock::now() < self.deadline
            && let Ok((share, part)) = self.read().await
        {
            return Some(self.text(share, part));
        }
        // The page is shorter than it could be, but valid: the client requests the next one.
        self.ended = true;
        let after = self.after;
        Some(format!("],\"last\":{after}}}").into())
    }

    fn text(&mut self, share: Share, part: Part<Entry>) -> Bytes {
        let mut text = Vec::new();
        if self.entries == 0 {
            text.extend_from_slice(b"{\"entries\":[");
        }
        for mut entry in part.entries {
            if self.entries > 0 {
                text.push(b',');
            }
            self.entries += 1;
            self.after = entry.number;
            // Public events can be recomputed from the entries, so they are not sent.
            entry.feed = None;
            text.extend_from_slice(&json(&entry));
        }
        self.bytes += text.len();
        let full = self.entries >= MAX_ENTRIES || self.bytes >= MAX_JOURNAL_BYTES;
        self.ended = full || !part.more;
        if self.ended {
            let last = part.last;
            text.extend_from_slice(format!("],\"last\":{last}}}").as_bytes());
        }
        share.hold(text)
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("replies are plain data")
}

fn json_response(body: impl Into<Body>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body.into()).into_response()
}
