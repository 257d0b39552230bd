//! The chain of a run's journal: every entry is hashed with the one before.

use naschain_consensus::{Event, Millis};
use naschain_core::Digest;

/// One row of the journal.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its place, counted from 1.
    pub number: u64,
    /// The run's time.
    pub now_ms: u64,
    /// The event as JSON.
    pub event: String,
    /// What proves who sent the event, as JSON: the miner's signed request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
    /// The digest of all that stands before and of this entry.
    #[serde(rename = "link")]
    pub hash: Digest,
    /// What was told to the public of the event, as JSON; it follows from the entries, so the
    /// chain need not cover it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feed: Option<String>,
}

/// What is wrong with a journal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BrokenChain {
    /// A number is not there.
    #[error("event {number} is missing")]
    Missing {
        /// The number.
        number: u64,
    },
    /// A number is there twice.
    #[error("event {number} stands where event {expected} should")]
    Misplaced {
        /// The number found.
        number: u64,
        /// The number that should be there.
        expected: u64,
    },
    /// The digest is not that of the entry and all before.
    #[error("event {number} was changed after it was written, or one before it was dropped")]
    Changed {
        /// The number of the event.
        number: u64,
    },
    /// The chain is whole, and the event means nothing to this build.
    #[error("event {number} is unknown: {reason}")]
    Unknown {
        /// The number of the event.
        number: u64,
        /// What JSON says of it.
        reason: String,
    },
}

/// The digest after an entry.
pub fn next_entry_hash(before: Digest, now: Millis, event: &str, proof: Option<&str>) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&before.0);
    hasher.update(&now.0.to_le_bytes());
    hasher.update(event.as_bytes());
    if let Some(proof) = proof {
        // JSON has no zero byte, so nothing of the event can be taken for a proof.
        hasher.update(&[0]);
        hasher.update(proof.as_bytes());
    }
    Digest(*hasher.finalize().as_bytes())
}

/// How far a chain has been followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalHead {
    /// The number of the last entry.
    pub number: u64,
    /// Its digest; before the first entry that of the run's specification.
    pub hash: Digest,
}

impl JournalHead {
    /// The chain of a run before its first entry.
    pub fn root(run: Digest) -> JournalHead {
        JournalHead {
            number: 0,
            hash: run,
        }
    }

    /// Follows the chain by one entry, which has to be the next one and unchanged.
    ///
    /// # Errors
    /// [`Broken`] names the entry and says what is wrong; then the chain has not moved.
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

    /// Makes the next entry.
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
