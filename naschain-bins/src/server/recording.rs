//! The record of a run, kept between requests and extended by what has happened since.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Bytes;
use naschain_run::{PublicEvent, RunRecord};
use tokio::sync::Mutex;

use crate::artifacts::run_facts::RunFacts;
use crate::coordinator::Coordinator;
use crate::coordinator::call_error::{CallError, Unavailable};
use crate::coordinator::pages::PublishedEntry;

/// The record of a run; empty until somebody asks for it.
#[derive(Default)]
pub(crate) struct Recording(Mutex<Option<Kept>>);

/// A record and how far it goes.
pub(crate) struct Kept {
    pub(super) record: RunRecord,
    /// The number of the last entry of the journal that it has.
    pub(super) last: u64,
    /// The response that was made of it.
    pub(super) response: Option<RecordResponse>,
}

/// A response, and what it was made of.
pub(super) struct RecordResponse {
    pub(super) last: u64,
    pub(super) made: Instant,
    /// A stop and an extension change these, but add nothing to the record.
    pub(super) facts: RunFacts,
    pub(super) bytes: Bytes,
}

impl Recording {
    /// Makes the record before anybody asks for it, which takes seconds where much has happened.
    pub(crate) fn prepare(self: &Arc<Recording>, coordinator: &Arc<Coordinator>) {
        let (recording, coordinator) = (self.clone(), coordinator.clone());
        tokio::spawn(async move {
            // A standby has nothing to show yet.
            let _ = recording.read(&coordinator, |_| ()).await;
        });
    }

    /// Brings the record up to date, and reads it.
    pub(crate) async fn read<T>(
        &self,
        coordinator: &Arc<Coordinator>,
        read: impl FnOnce(&mut Kept) -> T,
    ) -> Result<T, CallError> {
        let mut kept = self.0.lock().await;
        let kept = kept.get_or_insert_with(|| Kept {
            record: RunRecord::new(coordinator.spec()),
            last: 0,
            response: None,
        });
        let mut part = coordinator.recorded_events(kept.last + 1).await?;
        loop {
            // The next part is read while this one is parsed.
            let reading = part.more.then(|| {
                let (coordinator, first) = (coordinator.clone(), part.next());
                tokio::spawn(async move { coordinator.recorded_events(first).await })
            });
            let entries = part.entries;
            let parsed = tokio::task::spawn_blocking(move || parsed(entries)).await;
            for (number, now_ms, events) in parsed.map_err(|_| closing())? {
                for event in events {
                    kept.record.add(number, now_ms, event);
                }
                kept.last = number;
            }
            let Some(reading) = reading else {
                kept.last = part.last;
                return Ok(read(kept));
            };
            part = reading.await.map_err(|_| closing())??;
        }
    }
}

/// The public events of entries of the journal.
fn parsed(entries: Vec<PublishedEntry>) -> Vec<(u64, u64, Vec<PublicEvent>)> {
    let entries = entries.into_iter().map(|(number, now_ms, feed)| {
        // A damaged column is skipped here; an audit reports it.
        (
            number,
            now_ms,
            serde_json::from_str(&feed).unwrap_or_default(),
        )
    });
    entries.collect()
}

/// The tasks of a process that ends are dropped.
fn closing() -> CallError {
    CallError::Unavailable(Unavailable::Closing)
}
