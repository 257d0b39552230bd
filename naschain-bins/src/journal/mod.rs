//! The journal of a run: hash-chained entries, written in groups, and snapshots.

pub(crate) mod folder_lock;
mod options;
pub(crate) mod run_folder;
pub(crate) mod secret;
pub(crate) mod store;
pub(crate) mod versions;

use anyhow::{Context, Result, ensure};
use naschain_consensus::{Event, Millis};
use naschain_core::Digest;

use crate::journal::store::{JournalPlace, Snapshot, Store};
use naschain_run::{Entry, JournalHead, Proof};

/// The layout of snapshots. With another layout or version the journal is replayed: a snapshot is
/// the result of this build's rules, which another version may have changed.
pub(crate) const SNAPSHOT_FORMAT: &str = concat!("naschain ", env!("CARGO_PKG_VERSION"), " 11");

/// The events of one run, in the order in which they were accepted.
pub struct Journal {
    store: Store,
    chain: JournalHead,
    /// The last entry before the staged ones.
    before: JournalHead,
    staged: Vec<Entry>,
}

impl Journal {
    /// Opens the journal of the run with this digest to lead it; `None` if another genomaster
    /// leads. The position is before the first entry: [`Journal::snapshot`] and
    /// [`Journal::read_next`] move it to its end.
    pub async fn lead(place: &JournalPlace, run: Digest) -> Result<Option<Journal>> {
        Journal::open(place, run, false).await
    }

    /// Like [`Journal::lead`] for a run that has begun: a missing file is an error.
    pub async fn lead_existing(place: &JournalPlace, run: Digest) -> Result<Option<Journal>> {
        Journal::open(place, run, true).await
    }

    async fn open(place: &JournalPlace, run: Digest, must_exist: bool) -> Result<Option<Journal>> {
        let store = place.lead(run, must_exist).await?;
        let root = JournalHead::root(run);
        Ok(store.map(|store| Journal {
            store,
            chain: root,
            before: root,
            staged: Vec::new(),
        }))
    }

    /// Fails unless the journal has this entry, which may also be the root.
    pub async fn check_has(&mut self, head: JournalHead) -> Result<()> {
        let Some(before) = head.number.checked_sub(1) else {
            return Ok(());
        };
        let found = self.store.entries(before, 1).await?;
        ensure!(
            found
                .first()
                .is_some_and(|entry| (entry.number, entry.hash) == (head.number, head.hash)),
            "the journal has lost event {}, which was acknowledged: restore it from a backup",
            head.number
        );
        Ok(())
    }

    /// The number and the hash of the last entry, staged ones included.
    pub fn head(&self) -> JournalHead {
        self.chain
    }

    /// Restores the latest snapshot and positions the journal after its entry. `restore` gets the
    /// number of the entry and the bytes. A snapshot that is damaged, has another layout or belongs
    /// to no entry of the journal is logged and ignored.
    pub async fn snapshot<T>(
        &mut self,
        restore: impl FnOnce(u64, &[u8]) -> Result<T>,
    ) -> Result<Option<(Millis, T)>> {
        let snapshot = match self.store.snapshot().await {
            Ok(Some(snapshot)) => snapshot,
            Ok(None) => return Ok(None),
            Err(error) => {
                tracing::warn!("the snapshot cannot be read, replaying everything: {error:#}");
                return Ok(None);
            }
        };
        match self
            .verified(&snapshot)
            .await
            .and_then(|()| restore(snapshot.number, &snapshot.bytes))
        {
            Ok(state) => {
                self.chain = JournalHead {
                    number: snapshot.number,
                    hash: snapshot.hash,
                };
                Ok(Some((Millis(snapshot.now_ms), state)))
            }
            Err(error) => {
                tracing::warn!("the snapshot is not used, replaying everything: {error:#}");
                Ok(None)
            }
        }
    }

    async fn verified(&mut self, snapshot: &Snapshot) -> Result<()> {
        let Snapshot { number, format, .. } = snapshot;
        ensure!(
            format == SNAPSHOT_FORMAT,
            "its layout is {format}, not {SNAPSHOT_FORMAT}"
        );
        // `RunState::restored` trusts the bytes, and the hash chain does not cover a snapshot.
        let digest = Digest(*blake3::hash(&snapshot.bytes).as_bytes());
        ensure!(
            digest == snapshot.digest,
            "its bytes were changed after they were written"
        );
        // The journal may have been shortened or replaced since; the snapshot is then not its fold.
        let before = number.saturating_sub(1);
        let entry = self.store.entries(before, 1).await?;
        let entry = entry.first().filter(|entry| entry.number == *number);
        let entry =
            entry.with_context(|| format!("it was made after event {number}, which is missing"))?;
        ensure!(
            entry.hash == snapshot.hash,
            "event {number} has hash {}, but the snapshot was made after one with hash {}",
            entry.hash,
            snapshot.hash
        );
        Ok(())
    }

    /// Up to `limit` next events with their proofs, after the hash chain is verified; empty at the
    /// end. A broken chain is an error that names the event.
    pub async fn read_next(&mut self, limit: usize) -> Result<Vec<(Millis, Event, Option<Proof>)>> {
        let entries = self.store.entries(self.chain.number, limit).await?;
        let follow = |entry: Entry| {
            let followed = self.chain.follow(&entry);
            let (now, event) = followed.context("the journal is broken")?;
            // An audit verifies proofs; here they only have to be readable.
            let proof = entry.proof.as_deref().map(Proof::parse).transpose();
            let proof = proof.with_context(|| format!("event {}", entry.number))?;
            Ok((now, event, proof))
        };
        entries.into_iter().map(follow).collect()
    }

    /// Stages one event; [`Journal::commit`] writes it. The hash chain covers event and
    /// proof.
    pub fn append(&mut self, now: Millis, event: &Event, proof: Option<&Proof>) -> Result<()> {
        if self.staged.is_empty() {
            self.before = self.chain;
        }
        let text = serde_json::to_string(event)?;
        let entry = self.chain.entry(now, text, proof.map(Proof::to_json));
        self.staged.push(entry);
        Ok(())
    }

    /// Sets the public events of the entry that was staged last, as JSON. They can be recomputed
    /// from the entries, so the hash chain does not cover them.
    pub fn set_feed(&mut self, feed: String) {
        if let Some(entry) = self.staged.last_mut() {
            entry.feed = Some(feed);
        }
    }

    /// Writes all that is staged, in one transaction, and waits until it is on disk. After an
    /// error it is unknown whether the entries were written: open the journal again.
    pub async fn commit(&mut self) -> Result<()> {
        if !self.staged.is_empty() {
            self.store.append(self.before, &self.staged).await?;
            self.staged.clear();
        }
        Ok(())
    }

    /// Stores the bytes of the state after the last entry as a snapshot.
    pub async fn keep_snapshot(&mut self, now: Millis, bytes: Vec<u8>) -> Result<()> {
        let snapshot = Snapshot {
            number: self.chain.number,
            hash: self.chain.hash,
            now_ms: now.0,
            format: SNAPSHOT_FORMAT.to_owned(),
            digest: Digest(*blake3::hash(&bytes).as_bytes()),
            bytes,
        };
        self.store.keep_snapshot(&snapshot).await
    }

    /// Up to `limit` stored entries after number `after`, unverified.
    pub async fn entries(&mut self, after: u64, limit: usize) -> Result<Vec<Entry>> {
        self.store.entries(after, limit).await
    }

    /// Public events of entries from number `first` on: number, run time in milliseconds, JSON.
    pub async fn feed(&mut self, first: u64, limit: usize) -> Result<Vec<(u64, u64, String)>> {
        self.store.feed(first, limit).await
    }

    /// Fails if the journal's files were removed, replaced or changed by another program.
    pub fn check_files(&self) -> Result<()> {
        self.store.check_files()
    }

    /// Fails if the store is gone or another genomaster leads.
    pub async fn check(&mut self) -> Result<()> {
        self.store.check().await
    }

    /// Closes the store.
    pub async fn close(self) -> Result<()> {
        self.store.close().await
    }
}
