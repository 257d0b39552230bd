//! `GET /v1/events`: what happens in a run, as server-sent events.
//!
//! A reader first gets what it has missed, from the journal; then it is sent what all readers are
//! sent, the same bytes. One that cannot keep up falls back to the journal, so nothing is kept
//! for it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use naschain_consensus::Millis;
use serde::Deserialize;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::coordinator::{CallError, Coordinator};
use crate::feed::{Cursor, Message, frames};
use crate::leader::Told;
use crate::server::Failure;

/// So many events of the journal are read at once.
const PAGE: usize = 500;
/// So many readers are served.
const MOST_READERS: u64 = 1_000;
/// A comment after so long without an event keeps proxies from hanging up.
const QUIET: Duration = Duration::from_secs(15);

#[derive(Deserialize)]
pub(crate) struct After {
    after: Option<String>,
}

/// The event stream from a cursor on: the header `Last-Event-ID`, which browsers send when they
/// connect again, or `?after=`, or else from the beginning.
pub(crate) async fn events(
    State(coordinator): State<Arc<Coordinator>>,
    query: Result<Query<After>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let wrong = |detail: String| Failure::new(StatusCode::BAD_REQUEST, "bad_cursor", detail);
    let Query(query) = query.map_err(|error| wrong(error.body_text()))?;
    let last_id = headers.get("last-event-id");
    let last_id = last_id.map(|id| String::from_utf8_lossy(id.as_bytes()).into_owned());
    let cursor: Cursor = match last_id.or(query.after) {
        Some(text) => text.parse().map_err(wrong)?,
        None => Cursor::default(),
    };
    let reader = Reader::new(coordinator, cursor)?;
    let (_, last) = reader.coordinator.told(cursor.number, 0).await?;
    if cursor.number > last {
        let detail = format!(
            "event {} has not happened; the last one is {last}",
            cursor.number
        );
        return Err(Failure::new(StatusCode::CONFLICT, "cursor_ahead", detail));
    }
    let stream = unfold(reader, |mut reader| async {
        let bytes = reader.next().await?;
        Some((Ok::<Bytes, Infallible>(bytes), reader))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    Ok((headers, Body::from_stream(stream)).into_response())
}

/// Where one reader is.
struct Reader {
    coordinator: Arc<Coordinator>,
    live: Receiver<Arc<Told>>,
    /// The last message that it was sent.
    cursor: Cursor,
    /// Whether it has to read the journal before it can follow what is told.
    behind: bool,
}

impl Reader {
    fn new(coordinator: Arc<Coordinator>, cursor: Cursor) -> Result<Reader, Failure> {
        // Listening begins first, so that nothing falls between the journal and the broadcast.
        let live = coordinator.listen();
        let others = coordinator.metrics().feed_readers.fetch_add(1, Relaxed);
        let reader = Reader {
            coordinator,
            live,
            cursor,
            behind: true,
        };
        match others < MOST_READERS {
            true => Ok(reader),
            false => Err(Failure::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too_many_readers",
                format!("{MOST_READERS} readers follow the events already; try again later"),
            )),
        }
    }

    /// The next bytes to send; nothing when this genomaster leads no more: the reader connects
    /// again and goes on there from its cursor.
    async fn next(&mut self) -> Option<Bytes> {
        let mut away = self.coordinator.watch_away();
        loop {
            if self.behind {
                match self.catch_up().await {
                    Ok(text) if text.is_empty() => continue,
                    Ok(text) => return Some(text.into()),
                    Err(_) => return None,
                }
            }
            let told = tokio::select! {
                told = self.live.recv() => told,
                _ = away.wait_for(Option::is_some) => return None,
                _ = tokio::time::sleep(QUIET) => return Some(Bytes::from_static(b":\n\n")),
            };
            match told {
                Ok(told) if told.last <= self.cursor.number => {}
                Ok(told) => {
                    self.cursor = after_all_of(told.last);
                    return Some(told.bytes.clone());
                }
                Err(RecvError::Lagged(_)) => self.behind = true,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// A page of what the reader has missed.
    async fn catch_up(&mut self) -> Result<String, CallError> {
        let (page, last) = self.coordinator.told(self.cursor.number, PAGE).await?;
        let mut text = String::new();
        for (number, now_ms, feed) in &page {
            let messages: Vec<Message> = serde_json::from_str(feed).unwrap_or_default();
            frames(*number, Millis(*now_ms), &messages, self.cursor, &mut text);
        }
        let whole = page.len() < PAGE;
        self.cursor = match page.last() {
            Some((number, ..)) if !whole => after_all_of(*number),
            _ => after_all_of(last),
        };
        self.behind = !whole;
        Ok(text)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let readers = &self.coordinator.metrics().feed_readers;
        readers.fetch_sub(1, Relaxed);
    }
}

fn after_all_of(number: u64) -> Cursor {
    Cursor {
        number,
        part: u64::MAX,
    }
}
