//! `GET /v1/events`: the public events of a run, as server-sent events.
//!
//! A reader first gets the missed events from the journal, then the broadcast, whose bytes all
//! readers share. A reader that cannot keep up falls back to the journal, so no events are queued
//! for it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use naschain_consensus::Millis;
use serde::Deserialize;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::watch;

use crate::coordinator::Coordinator;
use crate::coordinator::activity::RunActivity;
use naschain_run::{Cursor, ProblemKind, PublicEvent, server_sent_events};

use crate::coordinator::pages::PART_BYTES;
use crate::coordinator::shared::PublishedEvents;
use crate::server::budget::ResponseBudget;
use crate::server::problem::ErrorResponse;

/// Share of the budget for a part of the missed events: public events are longer than what is stored.
const PART_SHARE_BYTES: usize = 2 * PART_BYTES;
/// Maximum number of readers.
const MAX_READERS: u64 = 1_000;
/// A comment is sent after this time without an event, so that proxies keep the connection open.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);

#[derive(Deserialize)]
pub(crate) struct AfterCursor {
    after: Option<String>,
    /// Whether the stream also says whether the run goes on: events of the type `activity`.
    #[serde(default)]
    activity: bool,
}

/// The event stream from a cursor on: the header `Last-Event-ID`, which browsers send when they
/// connect again, or `?after=`, or else from the beginning.
pub(crate) async fn events(
    State(coordinator): State<Arc<Coordinator>>,
    State(budget): State<ResponseBudget>,
    query: Result<Query<AfterCursor>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, ErrorResponse> {
    let wrong = |detail: String| ErrorResponse::new(ProblemKind::BadCursor, detail);
    let Query(query) = query.map_err(|error| wrong(error.body_text()))?;
    let last_id = headers.get("last-event-id");
    let last_id = last_id.map(|id| String::from_utf8_lossy(id.as_bytes()).into_owned());
    let cursor: Cursor = match last_id.or(query.after) {
        Some(text) => text.parse().map_err(wrong)?,
        None => Cursor::default(),
    };
    let mut reader = Reader::new(coordinator, budget, cursor)?;
    if query.activity {
        reader.follow_activity();
    }
    let last = reader.coordinator.last_event().await?;
    // Otherwise such a reader would silently miss all events up to its cursor.
    if cursor.number > last {
        let detail = format!(
            "event {} has not happened; the last one is {last}",
            cursor.number
        );
        return Err(ErrorResponse::new(ProblemKind::CursorAhead, detail));
    }
    let stream = unfold(reader, |mut reader| async {
        let bytes = reader.next().await?;
        Some((Ok::<Bytes, Infallible>(bytes), reader))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
        // Otherwise nginx delays events until its buffer is full.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(stream)).into_response())
}

/// The state of one reader.
struct Reader {
    coordinator: Arc<Coordinator>,
    budget: ResponseBudget,
    broadcast: Receiver<Arc<PublishedEvents>>,
    /// The last message that the reader was sent.
    cursor: Cursor,
    /// Whether the reader has to read the journal before the broadcast.
    behind: bool,
    /// Whether the run goes on, if the reader wants to know.
    activity: Option<watch::Receiver<RunActivity>>,
}

impl Reader {
    fn new(
        coordinator: Arc<Coordinator>,
        budget: ResponseBudget,
        cursor: Cursor,
    ) -> Result<Reader, ErrorResponse> {
        // Before the journal is read, so that no event is lost between the two.
        let broadcast = coordinator.subscribe();
        // Counted before the check, so that simultaneous readers cannot exceed the limit. A refused
        // reader is dropped here, which subtracts it again.
        let others = coordinator.metrics().feed_readers.fetch_add(1, Relaxed);
        let reader = Reader {
            coordinator,
            budget,
            broadcast,
            cursor,
            behind: true,
            activity: None,
        };
        if others < MAX_READERS {
            Ok(reader)
        } else {
            Err(ErrorResponse::new(
                ProblemKind::TooManyReaders,
                format!("{MAX_READERS} readers follow the events already; try again later"),
            ))
        }
    }

    /// Has messages of whether the run goes on; the first is what it is now.
    fn follow_activity(&mut self) {
        let mut activity = self.coordinator.watch_activity();
        activity.mark_changed();
        self.activity = Some(activity);
    }

    /// The next bytes to send; `None` when this genomaster no longer leads: the client reconnects
    /// and resumes from its cursor.
    async fn next(&mut self) -> Option<Bytes> {
        let mut unavailable = self.coordinator.watch_unavailable();
        loop {
            if self.behind {
                match self.catch_up().await {
                    Ok(bytes) if bytes.is_empty() => continue,
                    Ok(bytes) => return Some(bytes),
                    Err(_) => return None,
                }
            }
            let published = tokio::select! {
                published = self.broadcast.recv() => published,
                activity = changed(&mut self.activity) => return Some(message_of(activity)),
                _ = unavailable.wait_for(Option::is_some) => return None,
                _ = tokio::time::sleep(KEEP_ALIVE_INTERVAL) => return Some(Bytes::from_static(b":\n\n")),
            };
            match published {
                // The reader already has these from the journal.
                Ok(published) if published.last <= self.cursor.number => {}
                Ok(published) => {
                    self.cursor = after_all_of(published.last);
                    return Some(published.bytes.clone());
                }
                Err(RecvError::Lagged(_)) => self.behind = true,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// A part of the missed events.
    async fn catch_up(&mut self) -> Result<Bytes, ErrorResponse> {
        let share = self.budget.share(PART_SHARE_BYTES).await?;
        // From the event of the cursor on, if some of its public events may not have been sent.
        let all_sent = self.cursor.part == u64::MAX;
        let first = self.cursor.number.saturating_add(u64::from(all_sent));
        let part = self.coordinator.published_events(first).await?;
        let mut text = String::new();
        let mut stopped_at = None;
        for (number, now_ms, feed) in &part.entries {
            // A damaged column is skipped here; an audit reports it.
            let public_events: Vec<PublicEvent> = serde_json::from_str(feed).unwrap_or_default();
            // One event can have many: that which begins a generation opens all of its jobs.
            stopped_at = server_sent_events(
                *number,
                Millis(*now_ms),
                &public_events,
                self.cursor,
                PART_BYTES,
                &mut text,
            );
            if stopped_at.is_some() {
                break;
            }
        }
        // Events without public events are not in the part, so the last part may end before
        // `last`.
        self.cursor = match (stopped_at, part.entries.last()) {
            (Some(cursor), _) => cursor,
            (None, Some((number, ..))) if part.more => after_all_of(*number),
            (None, _) => after_all_of(part.last),
        };
        self.behind = part.more || stopped_at.is_some();
        Ok(share.hold(text.into_bytes()))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let readers = &self.coordinator.metrics().feed_readers;
        readers.fetch_sub(1, Relaxed);
    }
}

/// Waits until whether the run goes on has changed.
async fn changed(activity: &mut Option<watch::Receiver<RunActivity>>) -> RunActivity {
    if let Some(activity) = activity
        && activity.changed().await.is_ok()
    {
        return *activity.borrow_and_update();
    }
    std::future::pending().await
}

/// Without an id, so that a client's cursor stays.
fn message_of(activity: RunActivity) -> Bytes {
    let json = serde_json::to_string(&activity).unwrap_or_default();
    Bytes::from(format!("event: activity\ndata: {json}\n\n"))
}

fn after_all_of(number: u64) -> Cursor {
    Cursor {
        number,
        part: u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::store::JournalPlace;
    use crate::test_folder::test_folder;
    use naschain_consensus::Event;
    use naschain_core::MacroSpace;
    use naschain_run::{DataSpec, RunSpec};
    use naschain_train::Dataset;

    fn spec() -> RunSpec {
        let digits = Dataset::digits();
        let space = MacroSpace {
            phases: 2,
            nodes: 3,
            input: digits.shape,
            init_channels: 4,
            classes: digits.classes,
        };
        let data = DataSpec::new("digits", digits.digest());
        RunSpec::new(space, data)
    }

    async fn ids(mut reader: Reader, last: &str) -> Vec<String> {
        let mut ids = Vec::new();
        while ids.last().is_none_or(|id| id != last) {
            let bytes = reader.next().await.unwrap();
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            let found = text.lines().filter_map(|line| line.strip_prefix("id: "));
            ids.extend(found.map(str::to_owned));
        }
        ids
    }

    #[tokio::test]
    async fn a_reader_that_sleeps_through_more_than_is_buffered_misses_nothing() {
        let dir = test_folder("lag");
        let coordinator = Coordinator::open(JournalPlace::of_run(&dir), spec())
            .await
            .unwrap();
        let join = async |number| {
            let miner = format!("miner-{number}").parse().unwrap();
            coordinator
                .handle(Event::Join { miner }, None)
                .await
                .unwrap();
        };
        join(0).await;
        let budget = ResponseBudget::default();
        let reader = |cursor| {
            let reader = Reader::new(coordinator.clone(), budget.clone(), cursor);
            reader.ok().unwrap()
        };
        let (mut slow, fast) = (reader(Cursor::default()), reader(Cursor::default()));
        slow.next().await.unwrap();
        let first = slow.cursor.number;
        assert!((first, slow.behind) == (1, false));
        // One event per group, and many more groups than the broadcast buffers.
        for number in 1..300 {
            join(number).await;
        }
        let slow = ids(slow, "300.0").await;
        let expected: Vec<String> = (2..=300).map(|number| format!("{number}.0")).collect();
        assert_eq!(slow, expected);
        let all = ids(fast, "300.0").await;
        assert!(all.ends_with(&expected) && all[0] == "1.0");
        let readers = coordinator.metrics().feed_readers.load(Relaxed);
        assert_eq!(readers, 0);
        coordinator.close().await.unwrap();
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[tokio::test]
    async fn a_reader_that_asks_is_told_whether_the_run_goes_on() {
        let dir = test_folder("activity");
        let opened = Coordinator::open(JournalPlace::of_run(&dir), spec()).await;
        let coordinator = opened.unwrap();
        let budget = ResponseBudget::default();
        let reader = Reader::new(coordinator.clone(), budget, Cursor::default());
        let mut reader = reader.ok().unwrap();
        reader.follow_activity();
        for (activity, name) in [
            (RunActivity::Running, "running"),
            (RunActivity::Paused, "paused"),
            (RunActivity::Ended, "ended"),
        ] {
            coordinator.set_activity(activity);
            let message = format!("event: activity\ndata: \"{name}\"\n\n");
            assert_eq!(reader.next().await.unwrap(), message);
        }
        assert_eq!(reader.cursor.number, 0);
        coordinator.close().await.unwrap();
        std::fs::remove_dir_all(dir).unwrap();
    }
}
