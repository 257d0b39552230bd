//! Conversion of rows, which have the same columns in both databases.

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
    /// Run time of the entry, in milliseconds.
    pub now_ms: u64,
    /// Layout of the bytes.
    pub format: String,
    /// BLAKE3 of the bytes.
    pub digest: Digest,
    /// The state.
    pub bytes: Vec<u8>,
}

/// A row of an entry: number, time, event, entry hash (column `link`), proof, feed.
pub(super) type EntryRow = (i64, i64, String, String, Option<String>, Option<String>);
/// A row of a snapshot: number, entry hash (column `link`), time, format, digest, bytes.
pub(super) type SnapshotRow = (i64, String, i64, String, String, Vec<u8>);

pub(super) fn entry(row: EntryRow) -> Result<Entry> {
    let (number, now_ms, event, hash, proof, feed) = row;
    // SQL integers are signed. A negative number can only be damage, and becomes one that the hash
    // chain does not accept.
    let hash: Result<Digest, _> = hash.parse();
    Ok(Entry {
        number: number.max(0) as u64,
        now_ms: now_ms.max(0) as u64,
        event,
        proof,
        hash: hash.with_context(|| format!("the entry hash of event {number} was changed"))?,
        feed,
    })
}

pub(super) fn published((number, now_ms, feed): (i64, i64, String)) -> (u64, u64, String) {
    (number.max(0) as u64, now_ms.max(0) as u64, feed)
}

/// The same of a line with the three columns, separated by spaces.
pub(super) fn published_line(line: &str) -> Result<(u64, u64, String)> {
    let mut parts = line.splitn(3, ' ');
    let mut number = || parts.next().and_then(|text| text.parse::<i64>().ok());
    let numbers = number().zip(number());
    let columns = numbers.zip(parts.next());
    let ((number, now_ms), feed) =
        columns.with_context(|| format!("the journal has a damaged row: {line:.60}"))?;
    Ok(published((number, now_ms, feed.to_owned())))
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
