//! Reads the journal in parts without delaying writers: one part at a time, and for at most half of
//! the time.

use std::time::Instant;

use tokio::sync::OwnedMutexGuard;

use crate::clock;
use crate::coordinator::Coordinator;
use crate::coordinator::active_run::ActiveRun;
use crate::coordinator::call_error::{CallError, Unavailable};
use naschain_run::{Entry, RunState};

/// Number of entries read while the state is locked; between parts the writing task can take the
/// lock. docs/operations.md has measurements.
const PART: usize = 50;
/// Number of entries of a part for a reader that keeps them: a few milliseconds of reading.
const RECORDED_PART: usize = 1_000;
/// As [`PART_BYTES`], of such a part.
const RECORDED_PART_BYTES: usize = 4 << 20;
/// A part ends after the entry that reaches this size, so that a slow reader holds little.
pub(crate) const PART_BYTES: usize = 64 * 1024;

/// Public events of one entry: number, run time in milliseconds, JSON.
pub(crate) type PublishedEntry = (u64, u64, String);

/// Consecutive entries of the journal.
pub struct JournalPart<T> {
    /// The entries.
    pub entries: Vec<T>,
    /// The number of the last entry of the journal that may be read now.
    pub last: u64,
    /// Whether there are more after these.
    pub more: bool,
}

impl JournalPart<PublishedEntry> {
    /// The number from which the next part begins.
    pub(crate) fn next(&self) -> u64 {
        self.entries
            .last()
            .map_or(self.last, |(number, ..)| *number)
            + 1
    }
}

impl Coordinator {
    /// The first public entries of the journal after number `after`: at most `limit`, and as many
    /// as are read at once.
    pub async fn public_entries(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<JournalPart<Entry>, CallError> {
        let turn = self.reading.clone().lock_owned().await;
        let began = clock::now();
        let mut active = self.shared.active.lock().await;
        let (state, journal) = ActiveRun::journal(&mut active)?;
        // Answers of open jobs must not be shown, and later entries could not be verified without
        // them.
        let last = state.public_events();
        let left = last.saturating_sub(after).min(limit.min(PART) as u64) as usize;
        let mut entries = journal.entries(after, left).await.map_err(trouble)?;
        drop(active);
        rest(turn, began);
        let proof = |entry: &Entry| entry.proof.as_ref().map_or(0, String::len);
        cut(&mut entries, PART_BYTES, |entry| {
            entry.event.len() + proof(entry)
        });
        let end = entries.last().map_or(last, |entry| entry.number);
        Ok(JournalPart {
            entries,
            last,
            more: end < last,
        })
    }

    /// Reads the state, in turn with the readers of the journal. `read` should only copy: the
    /// writing task waits for it.
    pub async fn read_in_turn<T>(&self, read: impl FnOnce(&RunState) -> T) -> Result<T, CallError> {
        let turn = self.reading.clone().lock_owned().await;
        let began = clock::now();
        let active = self.shared.active.lock().await;
        let leading = active.as_ref();
        let leading = leading.ok_or(CallError::Unavailable(Unavailable::Standby))?;
        let found = read(&leading.state);
        drop(active);
        rest(turn, began);
        Ok(found)
    }

    /// The number of the last event.
    pub async fn last_event(&self) -> Result<u64, CallError> {
        let mut active = self.shared.active.lock().await;
        let (state, _) = ActiveRun::journal(&mut active)?;
        Ok(state.events())
    }

    /// The first public events of entries from number `first` on.
    pub async fn published_events(
        &self,
        first: u64,
    ) -> Result<JournalPart<PublishedEntry>, CallError> {
        let turn = self.reading.clone().lock_owned().await;
        let began = clock::now();
        let mut active = self.shared.active.lock().await;
        let (state, journal) = ActiveRun::journal(&mut active)?;
        let last = state.events();
        let mut entries = journal.feed(first, PART).await.map_err(trouble)?;
        drop(active);
        rest(turn, began);
        let found = entries.len();
        cut(&mut entries, PART_BYTES, |(_, _, feed)| feed.len());
        Ok(JournalPart {
            more: found == PART || entries.len() < found,
            entries,
            last,
        })
    }

    /// As [`Coordinator::published_events`], in parts that are large enough to read a whole journal. Only
    /// for readers that keep what they have read, because writers wait meanwhile.
    pub(crate) async fn recorded_events(
        &self,
        first: u64,
    ) -> Result<JournalPart<PublishedEntry>, CallError> {
        // Without a rest: each entry is read once.
        let _turn = self.reading.clone().lock_owned().await;
        let mut active = self.shared.active.lock().await;
        let (state, journal) = ActiveRun::journal(&mut active)?;
        let last = state.events();
        let mut entries = journal.feed(first, RECORDED_PART).await.map_err(trouble)?;
        drop(active);
        let found = entries.len();
        cut(&mut entries, RECORDED_PART_BYTES, |(_, _, feed)| feed.len());
        Ok(JournalPart {
            more: found == RECORDED_PART || entries.len() < found,
            entries,
            last,
        })
    }
}

/// Keeps the first entries up to the one that reaches the size of a part.
fn cut<T>(entries: &mut Vec<T>, most: usize, bytes: impl Fn(&T) -> usize) {
    let mut sum = 0;
    let reaches = |entry: &T| {
        sum += bytes(entry);
        sum >= most
    };
    if let Some(last) = entries.iter().position(reaches) {
        entries.truncate(last + 1);
    }
}

fn trouble(error: anyhow::Error) -> CallError {
    CallError::Unavailable(Unavailable::Journal(format!("{error:#}")))
}

/// Releases the lock after as long as this part took, so that readers use at most half of the time.
fn rest(turn: OwnedMutexGuard<()>, began: Instant) {
    let took = began.elapsed();
    // In a task of its own, so that the caller gets its page at once.
    tokio::spawn(async move {
        tokio::time::sleep(took).await;
        drop(turn);
    });
}
