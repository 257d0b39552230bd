//! Rows of a journal as both databases give them.

use anyhow::{Context, Result};
use naschain_core::Digest;
use naschain_run::Entry;

/// The state after an entry of the journal; avoids replaying the entries before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The number of the entry.
    pub number: u64,
    /// Its hash (column `link`).
    pub hash: Digest,
    /// The run's time then.
    pub now_ms: u64,
    /// Which layout the bytes have.
    pub format: String,
    /// BLAKE3 of the bytes.
    pub digest: Digest,
    /// The state.
    pub bytes: Vec<u8>,
}

/// An entry as both servers give it: number, time, event, link, proof, feed.
pub(super) type EntryRow = (i64, i64, String, String, Option<String>, Option<String>);
/// A snapshot: number, link, time, format, digest, bytes.
pub(super) type SnapshotRow = (i64, String, i64, String, String, Vec<u8>);

pub(super) fn entry(row: EntryRow) -> Result<Entry> {
    let (number, now_ms, event, hash, proof, feed) = row;
    let hash: Result<Digest, _> = hash.parse();
    Ok(Entry {
        number: number.max(0) as u64,
        now_ms: now_ms.max(0) as u64,
        event,
        proof,
        hash: hash.with_context(|| format!("the link of event {number} was changed"))?,
        feed,
    })
}

pub(super) fn published((number, now_ms, feed): (i64, i64, String)) -> (u64, u64, String) {
    (number.max(0) as u64, now_ms.max(0) as u64, feed)
}

pub(super) fn snapshot(row: SnapshotRow) -> Result<Snapshot> {
    let (number, hash, now_ms, format, digest, bytes) = row;
    Ok(Snapshot {
        number: number.max(0) as u64,
        hash: hash.parse()?,
        now_ms: now_ms.max(0) as u64,
        format,
        digest: digest.parse()?,
        bytes,
    })
}
