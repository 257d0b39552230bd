//! Large responses for validators: the journal, ended jobs, the front. Each is bounded in bytes and
//! takes its share of the response budget; the journal is sent in parts while the client reads.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use http_body_util::BodyExt;
use naschain_consensus::Row;
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::coordinator::Coordinator;
use crate::coordinator::pages::{JournalPart, PART_BYTES};
use crate::server::app::{App, Reply};
use crate::server::auth::RemoteAddress;
use crate::server::budget::{ResponseBudget, Share};
use crate::server::limits::NetworkLimit;
use crate::server::problem::ErrorResponse;
use naschain_run::{EndedJob, EndedJobs, Entry, FrontEntry, HistoryHead, ProblemKind, RunState};

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
    let wrong =
        |error: QueryRejection| ErrorResponse::new(ProblemKind::BadQuery, error.body_text());
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

fn too_many_reads(address: IpAddr) -> ErrorResponse {
    let detail = format!(
        "{address} is already reading {MAX_READS_PER_NETWORK} responses; wait until one has ended"
    );
    ErrorResponse::new(ProblemKind::TooManyReaders, detail)
}

pub(super) async fn ended_jobs(State(app): State<App>, query: AfterQuery) -> Reply<Response> {
    let after = after(query)?;
    // For the copy and its JSON.
    let share = app.budget.share(2 * MAX_JOBS_BYTES).await?;
    let read = app.coordinator.read_in_turn(|state| {
        let ended = state.ended_jobs();
        (next_jobs(ended, after), ended.len(), state.is_finished())
    });
    let (mut jobs, total, finished) = read.await?;
    // Their JSON is made here, not while the writing task waits for the state.
    jobs.truncate(fitting(&jobs, |job| json(job).len()).len());
    let is_last = after.min(total) + jobs.len() == total;
    let page = EndedJobs {
        // The chain covers all jobs, so only a client that has the last page can compare it.
        head: if is_last {
            head(&app, total).await?
        } else {
            None
        },
        training_seeds: jobs
            .iter()
            .filter_map(|ended| app.coordinator.training_seed(ended.job, &ended.genome))
            .collect(),
        jobs,
        total,
        finished,
    };
    Ok(json_response(share.hold(json(&page))))
}

/// The signed head of the first `total` ended jobs.
async fn head(app: &App, total: usize) -> Reply<Option<HistoryHead>> {
    let mut chain = app.chain.lock().await;
    while chain.length() < total {
        let known = chain.length();
        let read = |state: &RunState| next_jobs(state.ended_jobs(), known);
        chain.extend(&app.coordinator.read_in_turn(read).await?);
    }
    // The chain may have later jobs too, for another request.
    Ok(chain.head_at(total, app.auth.hotkey()))
}

/// A copy of the jobs after number `after`, which may be any that a client sent: at most as many as
/// a page has. Their size is estimated, because making their JSON takes long.
fn next_jobs(ended: &[EndedJob], after: usize) -> Vec<EndedJob> {
    let next = ended.get(after..).unwrap_or_default();
    let next = &next[..next.len().min(MAX_JOBS)];
    fitting(next, stored_bytes).to_vec()
}

/// About the memory that a job takes.
fn stored_bytes(job: &EndedJob) -> usize {
    let row = |row: &Row| match row {
        Row::Failed(text) | Row::Malformed(text) => text.len(),
        Row::Measured(_) => 0,
    };
    let rows = job.rows.iter().map(|(_, given)| 256 + row(given));
    let proofs = job.proofs.iter().flatten();
    let proofs = proofs.map(|proof| 512 + proof.body.len());
    job.genome.len() + rows.chain(proofs).sum::<usize>()
}

/// The first jobs up to the one that reaches the size of a page.
fn fitting(jobs: &[EndedJob], bytes: impl Fn(&EndedJob) -> usize) -> &[EndedJob] {
    let mut sum = 0;
    let reaches = |job: &EndedJob| {
        sum += bytes(job);
        sum >= MAX_JOBS_BYTES
    };
    let last = jobs.iter().position(reaches);
    &jobs[..last.map_or(jobs.len(), |last| last + 1)]
}

pub(super) async fn front(State(app): State<App>) -> Reply<Response> {
    let front = app.coordinator.read_in_turn(|state| state.front()).await?;
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
    let mut page = SentPage {
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
struct SentPage {
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

impl SentPage {
    async fn read(&self) -> Reply<(Share, JournalPart<Entry>)> {
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

    fn text(&mut self, share: Share, part: JournalPart<Entry>) -> Bytes {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::store::JournalPlace;
    use crate::server::access::Access;
    use crate::server::auth::Authenticator;
    use crate::server::legacy::Legacy;
    use crate::test_folder::test_folder;
    use naschain_run::{DataSpec, RunSpec};
    use naschain_train::Dataset;
    use tower::ServiceExt;

    /// Requests for ended jobs once locked the state whenever they came, so that the writing task
    /// waited for all of them.
    #[tokio::test]
    async fn readers_of_the_state_take_turns() {
        let dir = test_folder("turns");
        let digits = Dataset::digits();
        let space = naschain_core::MacroSpace {
            phases: 2,
            nodes: 3,
            input: digits.shape,
            init_channels: 4,
            classes: digits.classes,
        };
        let spec = RunSpec::new(space, DataSpec::new("digits", digits.digest()));
        let coordinator = Coordinator::open(JournalPlace::of_run(&dir), spec).await;
        let coordinator = coordinator.unwrap();
        let auth = Arc::new(Authenticator::new(Access::default(), coordinator.nonces()));
        let legacy = Legacy {
            credentials: None,
            auth: auth.clone(),
            uids: 256,
            reports: None,
        };
        let router = crate::server::router(coordinator.clone(), auth, Some(legacy));
        for (path, status) in [
            ("/v1/batches", 200),
            ("/v1/front", 200),
            ("/v1/journal", 200),
            // No job has ended.
            ("/handle_valid_request", 503),
        ] {
            let turn = coordinator.reading.clone().lock_owned().await;
            let request = Request::builder().uri(path).body(Body::empty()).unwrap();
            let mut response = Box::pin(router.clone().oneshot(request));
            let waited = tokio::time::timeout(Duration::from_millis(200), &mut response).await;
            assert!(waited.is_err(), "{path} does not wait for its turn");
            drop(turn);
            assert_eq!(response.await.unwrap().status().as_u16(), status, "{path}");
        }
        coordinator.close().await.unwrap();
        std::fs::remove_dir_all(dir).unwrap();
    }
}
