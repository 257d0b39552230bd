//! Reads pages of the journal without delaying writers: one page at a time, in parts, and for at
//! most half of the time.

use std::time::Instant;

use tokio::sync::OwnedMutexGuard;

use crate::clock;
use crate::coordinator::Coordinator;
use crate::coordinator::active_run::ActiveRun;
use crate::coordinator::call_error::{CallError, Unavailable};
use naschain_run::Entry;

/// Number of entries read while the state is locked; between parts the writing task can take the
/// lock. docs/operations.md has measurements.
const PART: usize = 50;

/// Public events of one entry: number, run time in milliseconds, JSON.
pub(crate) type PublishedEntry = (u64, u64, String);

impl Coordinator {
    /// Public entries of the journal after number `after`, and the number of the last public entry.
    pub async fn public_entries(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<(Vec<Entry>, u64), CallError> {
        let turn = self.reading.clone().lock_owned().await;
        let began = clock::now();
        let mut page: Vec<Entry> = Vec::new();
        loop {
            let after = page.last().map_or(after, |entry| entry.number);
            let (part, last) = self
                .some_entries(after, PART.min(limit - page.len()))
                .await?;
            let is_last = part.len() < PART;
            page.extend(part);
            if is_last || page.len() == limit {
                rest(turn, began);
                return Ok((page, last));
            }
        }
    }

    async fn some_entries(&self, after: u64, limit: usize) -> Result<(Vec<Entry>, u64), CallError> {
        let mut active = self.shared.active.lock().await;
        let (state, journal) = ActiveRun::journal(&mut active)?;
        // Answers of open jobs must not be shown, and later entries could not be verified without
        // them.
        let last = state.public_events();
        let left = last.saturating_sub(after).min(limit as u64) as usize;
        let entries = journal.entries(after, left).await.map_err(trouble)?;
        Ok((entries, last))
    }

    /// Public events of entries from number `first` on, and the number of the last event.
    pub async fn published_events(
        &self,
        first: u64,
        limit: usize,
    ) -> Result<(Vec<PublishedEntry>, u64), CallError> {
        // Reads no entries, so a new reader of events need not wait for its turn.
        if limit == 0 {
            return self.some_published_events(first, 0).await;
        }
        let turn = self.reading.clone().lock_owned().await;
        let began = clock::now();
        let mut page: Vec<PublishedEntry> = Vec::new();
        loop {
            let first = page.last().map_or(first, |(number, ..)| number + 1);
            let (part, last) = self
                .some_published_events(first, PART.min(limit - page.len()))
                .await?;
            let is_last = part.len() < PART;
            page.extend(part);
            if is_last || page.len() == limit {
                rest(turn, began);
                return Ok((page, last));
            }
        }
    }

    async fn some_published_events(
        &self,
        first: u64,
        limit: usize,
    ) -> Result<(Vec<PublishedEntry>, u64), CallError> {
        let mut active = self.shared.active.lock().await;
        let (state, journal) = ActiveRun::journal(&mut active)?;
        let last = state.events();
        let page = journal.feed(first, limit).await.map_err(trouble)?;
        Ok((page, last))
    }
}

fn trouble(error: anyhow::Error) -> CallError {
    CallError::Unavailable(Unavailable::Journal(format!("{error:#}")))
}

/// Releases the lock after as long as this page took, so that readers use at most half of the time.
fn rest(turn: OwnedMutexGuard<()>, began: Instant) {
    let took = began.elapsed();
    // In a task of its own, so that the caller gets its page at once.
    tokio::spawn(async move {
        tokio::time::sleep(took).await;
        drop(turn);
    });
}
