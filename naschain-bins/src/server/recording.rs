//! The record of a run, kept between requests and extended by what has happened since.

use std::sync::Arc;

use axum::body::Bytes;
use naschain_run::{PublicEvent, RunRecord};
use tokio::sync::Mutex;

use crate::coordinator::Coordinator;
use crate::coordinator::call_error::CallError;

/// The record of a run; empty until somebody asks for it.
#[derive(Default)]
pub(crate) struct Recording(Mutex<Option<Kept>>);

/// A record and how far it goes.
pub(crate) struct Kept {
    pub(super) record: RunRecord,
    /// The number of the last entry of the journal that it has.
    pub(super) last: u64,
    /// The response that was made of it, and for which `last`.
    pub(super) response: Option<(u64, Bytes)>,
}

impl Recording {
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
        loop {
            let part = coordinator.recorded_events(kept.last + 1).await?;
            for (number, now_ms, feed) in part.entries {
                // A damaged column is skipped here; an audit reports it.
                let events: Vec<PublicEvent> = serde_json::from_str(&feed).unwrap_or_default();
                for event in events {
                    kept.record.add(number, now_ms, event);
                }
                kept.last = number;
            }
            if !part.more {
                kept.last = part.last;
                return Ok(read(kept));
            }
            tokio::task::yield_now().await;
        }
    }
}
