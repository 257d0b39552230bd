//! A journal in a SQLite file, which one genomaster holds open at a time.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteLockingMode, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, QueryBuilder, Sqlite};

use crate::files::sync_folder;
use crate::journal::store::file_watch::{FileWatch, MAX_WAL_BYTES};
use crate::journal::store::rows::{self, Snapshot};
use naschain_run::Entry;

/// The column `link` holds the entry hash; stored names are never changed.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS journal (
    number INTEGER PRIMARY KEY,
    now_ms INTEGER NOT NULL,
    event TEXT NOT NULL,
    link TEXT NOT NULL,
    proof TEXT,
    feed TEXT
);
CREATE TABLE IF NOT EXISTS leader (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    term INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS snapshot (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    number INTEGER NOT NULL,
    link TEXT NOT NULL,
    now_ms INTEGER NOT NULL,
    format TEXT NOT NULL,
    digest TEXT NOT NULL,
    bytes BLOB NOT NULL
);";

/// Maximum number of rows per statement: SQLite allows 32,766 values, and a row has 6.
const MAX_ROWS: usize = 4_000;

pub(super) struct SqliteStore {
    path: PathBuf,
    connection: SqliteConnection,
    /// Of the leader; readers do not keep the file open for long.
    watch: Option<FileWatch>,
}

/// Opens the file to lead; `must_exist` if the run has begun, so that a lost journal is not
/// followed by an empty one.
pub(super) async fn lead(path: &Path, must_exist: bool) -> Result<SqliteStore> {
    // A file without a byte is what is left of a truncated one.
    let exists = std::fs::metadata(path).is_ok_and(|file| file.len() > 0);
    ensure!(
        exists || !must_exist,
        "the journal {} is missing or empty, and its run has begun: restore it from a backup, or start a new run in another folder",
        path.display()
    );
    let context = || {
        let path = path.display();
        format!("cannot open the journal {path}; is another genomaster using it?")
    };
    // Full: a commit waits for the disk, so that no acknowledged event is lost in a power failure.
    // Exclusive keeps the file locked while it is open, so that two genomasters cannot share a run;
    // the timeout is short, because waiting for such a lock does not help. The size limit truncates
    // the write-ahead log, which would otherwise keep its largest size.
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(!must_exist)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .locking_mode(SqliteLockingMode::Exclusive)
        .pragma("journal_size_limit", MAX_WAL_BYTES.to_string())
        .busy_timeout(Duration::from_millis(200))
        .connect()
        .await
        .with_context(context)?;
    for table in TABLES.split_inclusive(';') {
        let made = sqlx::query(table).execute(&mut connection).await;
        made.with_context(context)?;
    }
    for column in ["proof", "feed"] {
        add_column(&mut connection, column)
            .await
            .with_context(context)?;
    }
    // Writing here detects a full disk or a read-only file when the journal is opened.
    let term = "INSERT INTO leader (id, term) VALUES (1, 1)
        ON CONFLICT (id) DO UPDATE SET term = term + 1";
    let written = sqlx::query(term).execute(&mut connection).await;
    written.with_context(|| format!("cannot write to the journal {}", path.display()))?;
    sync_folder(path)?;
    Ok(SqliteStore {
        path: path.to_owned(),
        connection,
        watch: Some(FileWatch::start(path)?),
    })
}

/// Journals of earlier versions have fewer columns.
async fn add_column(connection: &mut SqliteConnection, column: &str) -> Result<()> {
    let existing = sqlx::query("SELECT 1 FROM pragma_table_info('journal') WHERE name = ?")
        .bind(column)
        .fetch_optional(&mut *connection)
        .await?;
    if existing.is_none() {
        let add = format!("ALTER TABLE journal ADD COLUMN {column} TEXT");
        sqlx::query(&add).execute(connection).await?;
    }
    Ok(())
}

pub(super) async fn read(path: &Path) -> Result<SqliteStore> {
    ensure!(path.is_file(), "there is no journal {}", path.display());
    let context = || {
        let path = path.display();
        format!("cannot read the journal {path}; if a genomaster is using it, stop that first")
    };
    // Not read-only: SQLite has to recover a journal that was not closed, and the journal of an
    // earlier version gets the missing columns.
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(Duration::from_millis(200))
        .connect()
        .await
        .with_context(context)?;
    for column in ["proof", "feed"] {
        add_column(&mut connection, column)
            .await
            .with_context(context)?;
    }
    Ok(SqliteStore {
        path: path.to_owned(),
        connection,
        watch: None,
    })
}

impl SqliteStore {
    /// Fails if another program touched the files since the last write.
    pub(super) fn check_files(&self) -> Result<()> {
        self.watch
            .as_ref()
            .map_or(Ok(()), FileWatch::check_unchanged)
    }

    fn accept_write(&mut self) -> Result<()> {
        self.watch.as_mut().map_or(Ok(()), FileWatch::accept_write)
    }

    pub(super) async fn entries(&mut self, after: u64, limit: usize) -> Result<Vec<Entry>> {
        let select = "SELECT number, now_ms, event, link, proof, feed FROM journal
                WHERE number > ? ORDER BY number LIMIT ?";
        let rows = sqlx::query_as(select)
            .bind(after as i64)
            .bind(limit as i64)
            .fetch_all(&mut self.connection)
            .await
            .with_context(|| format!("cannot read the journal {}", self.path.display()))?;
        rows.into_iter().map(rows::entry).collect()
    }

    pub(super) async fn last_ms(&mut self) -> Result<Option<u64>> {
        let select = "SELECT now_ms FROM journal ORDER BY number DESC LIMIT 1";
        let last: Option<i64> = sqlx::query_scalar(select)
            .fetch_optional(&mut self.connection)
            .await
            .with_context(|| format!("cannot read the journal {}", self.path.display()))?;
        Ok(last.map(|ms| ms as u64))
    }

    pub(super) async fn feed(
        &mut self,
        first: u64,
        limit: usize,
    ) -> Result<Vec<(u64, u64, String)>> {
        // One row with a line for each entry: the library hands over rows one by one, which takes longer
        // than reading them.
        let select = "SELECT group_concat(number || ' ' || now_ms || ' ' || replace(feed, char(10), ' '), char(10))
                FROM (SELECT number, now_ms, feed FROM journal
                    WHERE number >= ? AND feed IS NOT NULL ORDER BY number LIMIT ?)";
        let lines: Option<String> = sqlx::query_scalar(select)
            .bind(first as i64)
            .bind(limit as i64)
            .fetch_one(&mut self.connection)
            .await?;
        lines
            .iter()
            .flat_map(|lines| lines.lines())
            .map(rows::published_line)
            .collect()
    }

    pub(super) async fn append(&mut self, entries: &[Entry]) -> Result<()> {
        self.check_files()?;
        // One statement is one transaction.
        ensure!(
            entries.len() <= MAX_ROWS,
            "{} events in one group; the maximum is {MAX_ROWS}",
            entries.len()
        );
        let mut insert = QueryBuilder::<Sqlite>::new(
            "INSERT INTO journal (number, now_ms, event, link, proof, feed) ",
        );
        insert.push_values(entries, |mut row, entry| {
            row.push_bind(entry.number as i64)
                .push_bind(entry.now_ms as i64)
                .push_bind(&entry.event)
                .push_bind(entry.hash.to_string())
                .push_bind(&entry.proof)
                .push_bind(&entry.feed);
        });
        // The text depends on the number of rows, so only the most frequent one is worth caching.
        let insert = insert.build().persistent(entries.len() == 1);
        let written = insert.execute(&mut self.connection).await;
        written.with_context(|| format!("cannot write to the journal {}", self.path.display()))?;
        self.accept_write()
    }

    pub(super) async fn snapshot(&mut self) -> Result<Option<Snapshot>> {
        let select = "SELECT number, link, now_ms, format, digest, bytes FROM snapshot";
        let row = sqlx::query_as(select)
            .fetch_optional(&mut self.connection)
            .await?;
        row.map(rows::snapshot).transpose()
    }

    pub(super) async fn keep_snapshot(&mut self, snapshot: &Snapshot) -> Result<()> {
        let replace = "INSERT OR REPLACE INTO snapshot
                (id, number, link, now_ms, format, digest, bytes) VALUES (1, ?, ?, ?, ?, ?, ?)";
        self.check_files()?;
        let kept = sqlx::query(replace)
            .bind(snapshot.number as i64)
            .bind(snapshot.hash.to_string())
            .bind(snapshot.now_ms as i64)
            .bind(&snapshot.format)
            .bind(snapshot.digest.to_string())
            .bind(&snapshot.bytes)
            .execute(&mut self.connection)
            .await;
        // Also after a failure, which may have written a part.
        self.accept_write()?;
        kept.context("cannot store a snapshot")?;
        Ok(())
    }

    pub(super) async fn check(&mut self) -> Result<()> {
        // The exclusive lock cannot be lost while the file is open.
        self.check_files()
    }

    pub(super) async fn close(self) -> Result<()> {
        Ok(self.connection.close().await?)
    }
}
