//! Where a run's journal is kept: a file, or a PostgreSQL server that several genomasters share.

mod postgres;
mod sqlite;

use std::ffi::OsStr;
use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::str::FromStr;

use anyhow::{Context, Result};
use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command};
use naschain_core::Digest;

use crate::chain::Entry;

/// The answer of a [`Store`], on its way.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// The journal of one run, opened for reading or by the one genomaster that leads.
pub trait Store: Send {
    /// Up to `most` entries after number `after`, in order.
    fn entries(&mut self, after: u64, most: usize) -> Answer<'_, Vec<Entry>>;

    /// Up to `most` entries from number `first` on of which the public was told something, as
    /// number, run's time and what was told.
    fn feed(&mut self, first: u64, most: usize) -> Answer<'_, Vec<(u64, u64, String)>>;

    /// Appends all of these entries or none, and waits until they are on disk. A genomaster that
    /// leads no longer gets an error. After any error it is open whether they were appended.
    fn append<'a>(&'a mut self, entries: &'a [Entry]) -> Answer<'a, ()>;

    /// The latest snapshot that was kept, unverified.
    fn snapshot(&mut self) -> Answer<'_, Option<Snapshot>>;

    /// Keeps a snapshot in place of the one before.
    fn keep_snapshot<'a>(&'a mut self, snapshot: &'a Snapshot) -> Answer<'a, ()>;

    /// Whether the store is still there and still led by this genomaster.
    fn check(&mut self) -> Answer<'_, ()>;

    /// Lets go of the store.
    fn close(self: Box<Self>) -> Answer<'static, ()>;
}

/// The state after an entry of the journal, to spare replaying those before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The number of the entry.
    pub number: u64,
    /// Its link.
    pub link: Digest,
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
type EntryRow = (i64, i64, String, String, Option<String>, Option<String>);
/// A snapshot: number, link, time, format, digest, bytes.
type SnapshotRow = (i64, String, i64, String, String, Vec<u8>);

fn entry(row: EntryRow) -> Result<Entry> {
    let (number, now_ms, event, link, proof, feed) = row;
    let link = link.parse();
    Ok(Entry {
        number: number.max(0) as u64,
        now_ms: now_ms.max(0) as u64,
        event,
        proof,
        link: link.with_context(|| format!("the link of event {number} was changed"))?,
        feed,
    })
}

fn told((number, now_ms, feed): (i64, i64, String)) -> (u64, u64, String) {
    (number.max(0) as u64, now_ms.max(0) as u64, feed)
}

fn snapshot(row: SnapshotRow) -> Result<Snapshot> {
    let (number, link, now_ms, format, digest, bytes) = row;
    Ok(Snapshot {
        number: number.max(0) as u64,
        link: link.parse()?,
        now_ms: now_ms.max(0) as u64,
        format,
        digest: digest.parse()?,
        bytes,
    })
}

/// Where a journal is.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// In a SQLite file.
    File(PathBuf),
    /// On a PostgreSQL server, as a URL.
    Postgres(String),
}

impl Place {
    /// The file in a run's folder.
    pub fn of_run(dir: &Path) -> Place {
        Place::File(dir.join("journal.sqlite"))
    }

    /// Opens the journal of this run to lead it; nothing if another genomaster leads, which can
    /// only be waited for where several share a server.
    ///
    /// It writes to the store, so a store without room is found here.
    pub async fn lead(&self, run: Digest) -> Result<Option<Box<dyn Store>>> {
        match self {
            Place::File(path) => Ok(Some(sqlite::lead(path).await?)),
            Place::Postgres(url) => postgres::lead(url, run).await,
        }
    }

    /// Opens the journal of this run to read it.
    pub async fn read(&self, run: Digest) -> Result<Box<dyn Store>> {
        match self {
            Place::File(path) => sqlite::read(path).await,
            Place::Postgres(url) => postgres::read(url, run).await,
        }
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Place, String> {
        match text.split_once("://") {
            Some(("postgres" | "postgresql", rest)) if !rest.is_empty() => {
                Ok(Place::Postgres(text.to_owned()))
            }
            Some((scheme, _)) => Err(format!(
                "a store is a file or postgres://USER@HOST/DATABASE; {scheme}:// is neither"
            )),
            None if text.is_empty() => Err("a store is a file or a postgres:// URL".to_owned()),
            None => Ok(Place::File(text.into())),
        }
    }
}

/// Reads a [`Place`] for clap, whose own message shows the value: there may be a password in it.
#[derive(Clone, Copy, Debug)]
pub struct PlaceParser;

impl TypedValueParser for PlaceParser {
    type Value = Place;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Place, clap::Error> {
        let text = value.to_str().ok_or_else(|| "it is not UTF-8".to_owned());
        text.and_then(str::parse).map_err(|why| {
            let flag = arg.map(Arg::to_string).unwrap_or_default();
            let message = format!("the value of '{flag}' is wrong: {why}\n");
            clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(command)
        })
    }
}

/// Without the password: this is what logs show.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(path) => write!(f, "{}", path.display()),
            Place::Postgres(url) => {
                let (_, rest) = url.split_once("://").unwrap_or(("", url));
                let (address, _) = rest.split_once('?').unwrap_or((rest, ""));
                let (_, host) = address.rsplit_once('@').unwrap_or(("", address));
                write!(f, "postgres://{host}")
            }
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_show_no_password() {
        let place: Place = "postgres://ada:secret@db.example:5433/runs?password=secret"
            .parse()
            .unwrap();
        assert_eq!(format!("{place} {place:?}").matches("secret").count(), 0);
        assert_eq!(place.to_string(), "postgres://db.example:5433/runs");
        let file: Place = "runs/a/journal.sqlite".parse().unwrap();
        assert_eq!(file, Place::of_run(Path::new("runs/a")));
        let error = "mysql://x/y".parse::<Place>().unwrap_err();
        assert!(error.contains("mysql:// is neither"), "{error}");
    }
}
