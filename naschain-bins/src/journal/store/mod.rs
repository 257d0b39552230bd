//! Stores of a run's journal: a file, or a PostgreSQL server that several genomasters share.

mod assigned;
mod file_watch;
pub(crate) mod postgres;
mod rows;
mod sqlite;

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Result;
use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command};
use naschain_core::Digest;

use naschain_run::{Entry, JournalHead, RunSecret};

pub(crate) use crate::journal::store::assigned::AssignedJournals;
use crate::journal::store::postgres::PostgresStore;
pub(crate) use crate::journal::store::rows::Snapshot;
use crate::journal::store::sqlite::SqliteStore;

/// The journal of one run, opened for reading or by the one genomaster that leads.
pub struct Store(Database);

enum Database {
    Sqlite(SqliteStore),
    Postgres(PostgresStore),
}

impl Store {
    /// Up to `limit` entries after number `after`, in order.
    pub async fn entries(&mut self, after: u64, limit: usize) -> Result<Vec<Entry>> {
        match &mut self.0 {
            Database::Sqlite(store) => store.entries(after, limit).await,
            Database::Postgres(store) => store.entries(after, limit).await,
        }
    }

    /// The run time of the last entry, in milliseconds.
    pub async fn last_ms(&mut self) -> Result<Option<u64>> {
        match &mut self.0 {
            Database::Sqlite(store) => store.last_ms().await,
            Database::Postgres(store) => store.last_ms().await,
        }
    }

    /// Up to `limit` entries from number `first` on that have public events: number, run time in
    /// milliseconds, and the events as JSON.
    pub async fn feed(&mut self, first: u64, limit: usize) -> Result<Vec<(u64, u64, String)>> {
        match &mut self.0 {
            Database::Sqlite(store) => store.feed(first, limit).await,
            Database::Postgres(store) => store.feed(first, limit).await,
        }
    }

    /// Appends all of these entries or none, and waits until they are on disk. `before` is the last
    /// entry that must be in the store; if it is missing, or if this genomaster no longer leads,
    /// that is an error. After any error it is unknown whether they were appended.
    pub async fn append(&mut self, before: JournalHead, entries: &[Entry]) -> Result<()> {
        match &mut self.0 {
            Database::Sqlite(store) => store.append(entries).await,
            Database::Postgres(store) => store.append(before, entries).await,
        }
    }

    /// Fails if the journal's files were removed, replaced or changed by another program. Costs
    /// microseconds, and nothing where the journal is on a server.
    pub fn check_files(&self) -> Result<()> {
        match &self.0 {
            Database::Sqlite(store) => store.check_files(),
            Database::Postgres(_) => Ok(()),
        }
    }

    /// The latest stored snapshot, unverified.
    pub async fn snapshot(&mut self) -> Result<Option<Snapshot>> {
        match &mut self.0 {
            Database::Sqlite(store) => store.snapshot().await,
            Database::Postgres(store) => store.snapshot().await,
        }
    }

    /// Stores a snapshot, which replaces the previous one.
    pub async fn keep_snapshot(&mut self, snapshot: &Snapshot) -> Result<()> {
        match &mut self.0 {
            Database::Sqlite(store) => store.keep_snapshot(snapshot).await,
            Database::Postgres(store) => store.keep_snapshot(snapshot).await,
        }
    }

    /// Fails if the store is gone or another genomaster leads.
    pub async fn check(&mut self) -> Result<()> {
        match &mut self.0 {
            Database::Sqlite(store) => store.check().await,
            Database::Postgres(store) => store.check().await,
        }
    }

    /// Closes the store.
    pub async fn close(self) -> Result<()> {
        match self.0 {
            Database::Sqlite(store) => store.close().await,
            Database::Postgres(store) => store.close().await,
        }
    }
}

/// Location of a journal.
#[derive(Clone)]
pub enum JournalPlace {
    /// In a SQLite file.
    File(PathBuf),
    /// On a PostgreSQL server, as a URL.
    Postgres(String),
    /// On the PostgreSQL server of a home that several genomasters share.
    Assigned(AssignedJournals),
}

impl JournalPlace {
    /// The file in a run's folder.
    pub fn of_run(dir: &Path) -> JournalPlace {
        JournalPlace::File(dir.join("journal.sqlite"))
    }

    /// Opens the journal of this run to lead it; `None` if another genomaster leads, which can
    /// happen only on a shared server: a file that another genomaster has open is an error.
    ///
    /// Opening writes to the store, so a full disk is detected here. A file is created if it is
    /// missing, unless `must_exist`.
    pub async fn lead(&self, run: Digest, must_exist: bool) -> Result<Option<Store>> {
        Ok(match self {
            JournalPlace::File(path) => {
                let store = sqlite::lead(path, must_exist).await?;
                Some(Store(Database::Sqlite(store)))
            }
            JournalPlace::Postgres(url) => {
                let store = postgres::lead(url, run).await?;
                store.map(|store| Store(Database::Postgres(store)))
            }
            JournalPlace::Assigned(journals) => {
                let store = journals.lead(run).await?;
                store.map(|store| Store(Database::Postgres(store)))
            }
        })
    }

    /// The secret that genomasters on this store use for a run with these settings: the one that was
    /// drawn first. A file has one genomaster, which uses what it has drawn.
    pub async fn share_secret(&self, settings: Digest, drawn: RunSecret) -> Result<RunSecret> {
        match self {
            JournalPlace::File(_) | JournalPlace::Assigned(_) => Ok(drawn),
            JournalPlace::Postgres(url) => postgres::share_secret(url, settings, drawn).await,
        }
    }

    /// Opens the journal of this run to read it.
    pub async fn read(&self, run: Digest) -> Result<Store> {
        Ok(Store(match self {
            JournalPlace::File(path) => Database::Sqlite(sqlite::read(path).await?),
            JournalPlace::Postgres(url) => {
                Database::Postgres(postgres::read(postgres::pool(url, 1)?, run).await?)
            }
            JournalPlace::Assigned(journals) => Database::Postgres(journals.read(run).await?),
        }))
    }
}

impl FromStr for JournalPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<JournalPlace, String> {
        match text.split_once("://") {
            Some(("postgres" | "postgresql", rest)) if !rest.is_empty() => {
                Ok(JournalPlace::Postgres(text.to_owned()))
            }
            Some((scheme, _)) => Err(format!(
                "a store is a file or postgres://USER@HOST/DATABASE; {scheme}:// is neither"
            )),
            None if text.is_empty() => Err("a store is a file or a postgres:// URL".to_owned()),
            None => Ok(JournalPlace::File(text.into())),
        }
    }
}

/// Parses a [`JournalPlace`] for clap. An ordinary value parser would not do: clap's error message quotes
/// the value, which may contain a password.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlaceParser;

impl TypedValueParser for PlaceParser {
    type Value = JournalPlace;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<JournalPlace, clap::Error> {
        let text = value.to_str().ok_or_else(|| "it is not UTF-8".to_owned());
        text.and_then(str::parse).map_err(|reason| {
            let flag = arg.map(Arg::to_string).unwrap_or_default();
            let message = format!("invalid value for '{flag}': {reason}\n");
            clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(command)
        })
    }
}

/// Without user and password, because logs show this.
impl fmt::Display for JournalPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JournalPlace::File(path) => write!(f, "{}", path.display()),
            JournalPlace::Postgres(url) => {
                let (_, rest) = url.split_once("://").unwrap_or(("", url));
                // A password may be in the query, or before the last `@`, and may itself contain an
                // `@`.
                let (address, _) = rest.split_once('?').unwrap_or((rest, ""));
                let (_, host) = address.rsplit_once('@').unwrap_or(("", address));
                write!(f, "postgres://{host}")
            }
            JournalPlace::Assigned(_) => f.write_str("the genomasters' database"),
        }
    }
}

impl fmt::Debug for JournalPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_show_no_password() {
        let place: JournalPlace = "postgres://ada:secret@db.example:5433/runs?password=secret"
            .parse()
            .unwrap();
        assert_eq!(format!("{place} {place:?}").matches("secret").count(), 0);
        assert_eq!(place.to_string(), "postgres://db.example:5433/runs");
        let file: JournalPlace = "runs/a/journal.sqlite".parse().unwrap();
        let of_run = JournalPlace::of_run(Path::new("runs/a"));
        assert_eq!(file.to_string(), of_run.to_string());
        let error = "mysql://x/y".parse::<JournalPlace>().unwrap_err();
        assert!(error.contains("mysql:// is neither"), "{error}");
    }
}
