//! The hash chain of a run's journal: each entry's hash covers the entry and the previous hash.

use naschain_consensus::{Event, Millis};
use naschain_core::Digest;

/// One row of the journal.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its number, counted from 1.
    pub number: u64,
    /// Run time in milliseconds.
    pub now_ms: u64,
    /// The event as JSON.
    pub event: String,
    /// The miner's signed request ([`crate::Proof`]) as JSON, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
    /// BLAKE3 over the previous hash and this entry; see [`next_entry_hash`]. Stored as `link`.
    #[serde(rename = "link")]
    pub hash: Digest,
    /// The public events of this entry as JSON. They are derived from the entries, so the hash does
    /// not cover them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feed: Option<String>,
}

/// Why an entry does not continue the hash chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BrokenChain {
    /// An entry is missing.
    #[error("event {number} is missing")]
    Missing {
        /// The number.
        number: u64,
    },
    /// An entry has the number of an earlier one.
    #[error("event {number} is at the position of event {expected}")]
    Misplaced {
        /// The number found.
        number: u64,
        /// The number that should be there.
        expected: u64,
    },
    /// The hash does not match the entry and its predecessors.
    #[error("event {number} was changed after it was written, or an earlier one was removed")]
    Changed {
        /// The number of the event.
        number: u64,
    },
    /// The hash matches, but this build cannot parse the event.
    #[error("event {number} is unknown: {reason}")]
    Unknown {
        /// The number of the event.
        number: u64,
        /// The error of the JSON parser.
        reason: String,
    },
}

/// Returns the hash of an entry: BLAKE3 over the previous hash, the run time in milliseconds (8 bytes,
/// little endian), the event's JSON, and, if there is a proof, a zero byte and the proof's JSON.
pub fn next_entry_hash(before: Digest, now: Millis, event: &str, proof: Option<&str>) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&before.0);
    hasher.update(&now.0.to_le_bytes());
    hasher.update(event.as_bytes());
    if let Some(proof) = proof {
        // JSON contains no zero byte, so the separator is unambiguous.
        hasher.update(&[0]);
        hasher.update(proof.as_bytes());
    }
    Digest(*hasher.finalize().as_bytes())
}

/// A position in the hash chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalHead {
    /// The number of the last entry.
    pub number: u64,
    /// Its hash; before the first entry the digest of the run's specification.
    pub hash: Digest,
}

impl JournalHead {
    /// The position before the first entry of a run.
    pub fn root(run: Digest) -> JournalHead {
        JournalHead {
            number: 0,
            hash: run,
        }
    }

    /// Verifies the next entry and advances to it. Returns its run time and event.
    ///
    /// # Errors
    /// [`BrokenChain`] names the entry; the position is then unchanged.
    pub fn follow(&mut self, entry: &Entry) -> Result<(Millis, Event), BrokenChain> {
        let (number, expected) = (entry.number, self.number + 1);
        if number > expected {
            return Err(BrokenChain::Missing { number: expected });
        }
        if number < expected {
            return Err(BrokenChain::Misplaced { number, expected });
        }
        let now = Millis(entry.now_ms);
        if next_entry_hash(self.hash, now, &entry.event, entry.proof.as_deref()) != entry.hash {
            return Err(BrokenChain::Changed { number });
        }
        let event = serde_json::from_str(&entry.event).map_err(|error| BrokenChain::Unknown {
            number,
            reason: error.to_string(),
        })?;
        self.number = number;
        self.hash = entry.hash;
        Ok((now, event))
    }

    /// Creates the next entry and advances to it.
    pub fn entry(&mut self, now: Millis, event: String, proof: Option<String>) -> Entry {
        self.number += 1;
        self.hash = next_entry_hash(self.hash, now, &event, proof.as_deref());
        Entry {
            number: self.number,
            now_ms: now.0,
            event,
            proof,
            hash: self.hash,
            feed: None,
        }
    }
}
