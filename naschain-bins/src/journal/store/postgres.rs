//! A journal on a PostgreSQL server, which several genomasters share and one of them leads.
//!
//! The leader holds a session-level advisory lock, and writes by the session that holds it: the
//! server gives the lock to another session only after this one and its last transaction have
//! ended. A pooler between them could break that, so every append also names the leader's term,
//! which the next leader moves on.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use naschain_core::Digest;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};

use crate::journal::store::rows::{self, Snapshot};
use naschain_run::{Entry, JournalHead};

const TABLES: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS naschain_journal (
        run TEXT NOT NULL,
        number BIGINT NOT NULL,
        now_ms BIGINT NOT NULL,
        event TEXT NOT NULL,
        link TEXT NOT NULL,
        proof TEXT,
        feed TEXT,
        PRIMARY KEY (run, number)
    )",
    "CREATE TABLE IF NOT EXISTS naschain_leader (run TEXT PRIMARY KEY, term BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS naschain_snapshot (
        run TEXT PRIMARY KEY,
        number BIGINT NOT NULL,
        link TEXT NOT NULL,
        now_ms BIGINT NOT NULL,
        format TEXT NOT NULL,
        digest TEXT NOT NULL,
        bytes BYTEA NOT NULL
    )",
];

/// The server does not make the same table twice at the same time without an error, so makers
/// wait for each other at this lock.
const TABLES_LOCK: i64 = 0x6e61_7363_6861_696e;

/// Timeout of a statement.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout for storing a snapshot, which has many megabytes.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(120);

pub(super) struct PostgresStore {
    connection: PgConnection,
    run: String,
    term: i64,
    /// The last entry that this genomaster wrote, which must stay the last.
    written: Option<JournalHead>,
}

pub(super) async fn lead(url: &str, run: Digest) -> Result<Option<PostgresStore>> {
    let mut connection = connect(url).await?;
    // The first eight bytes of the run's digest stand for it.
    let lock = i64::from_le_bytes(run.0[..8].try_into()?);
    let free: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
        .bind(lock)
        .fetch_one(&mut connection)
        .await
        .context("cannot ask PostgreSQL for the lead")?;
    if !free {
        let _ = connection.close().await;
        return Ok(None);
    }
    make_tables(&mut connection)
        .await
        .context("cannot make the journal's tables in PostgreSQL")?;
    let run = run.to_string();
    let next_term = "INSERT INTO naschain_leader (run, term) VALUES ($1, 1)
        ON CONFLICT (run) DO UPDATE SET term = naschain_leader.term + 1 RETURNING term";
    let term = sqlx::query_scalar(next_term)
        .bind(&run)
        .fetch_one(&mut connection)
        .await
        .context("cannot write to the journal in PostgreSQL")?;
    Ok(Some(PostgresStore {
        connection,
        run,
        term,
        written: None,
    }))
}

pub(super) async fn read(url: &str, run: Digest) -> Result<PostgresStore> {
    let connection = connect(url).await?;
    Ok(PostgresStore {
        connection,
        run: run.to_string(),
        // No leader has this one, so nothing can be written.
        term: 0,
        written: None,
    })
}

async fn connect(url: &str) -> Result<PgConnection> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| anyhow::anyhow!("the store's URL is not postgres://USER@HOST/DATABASE"))?
        // The server notices a leader whose machine is gone, and frees the lock, in 11 seconds.
        .options([
            ("tcp_keepalives_idle", "5"),
            ("tcp_keepalives_interval", "2"),
            ("tcp_keepalives_count", "3"),
            ("idle_in_transaction_session_timeout", "10000"),
            ("client_min_messages", "warning"),
        ]);
    let connected = tokio::time::timeout(STATEMENT_TIMEOUT, options.connect()).await;
    connected
        .context("PostgreSQL does not answer")?
        .context("cannot connect to PostgreSQL")
}

async fn make_tables(connection: &mut PgConnection) -> Result<()> {
    let mut transaction = connection.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(TABLES_LOCK)
        .execute(&mut *transaction)
        .await?;
    for table in TABLES {
        sqlx::query(table).execute(&mut *transaction).await?;
    }
    Ok(transaction.commit().await?)
}

fn lost(number: u64) -> String {
    format!(
        "another program removed or changed event {number} in the table naschain_journal: restore it from a backup"
    )
}

/// A column of the entries, as one array.
fn column<'a, T>(entries: &'a [Entry], of: impl Fn(&'a Entry) -> T) -> Vec<T> {
    entries.iter().map(of).collect()
}

impl PostgresStore {
    /// Appends if this genomaster leads and the entry before is there; says how many entries that
    /// were.
    async fn insert(&mut self, before: JournalHead, entries: &[Entry]) -> Result<u64> {
        let insert = "WITH leader AS (
                SELECT 1 FROM naschain_leader WHERE run = $1 AND term = $2 FOR SHARE
            ), before AS (
                SELECT 1 WHERE $9 = 0 OR EXISTS (
                    SELECT 1 FROM naschain_journal WHERE run = $1 AND number = $9 AND link = $10
                )
            )
            INSERT INTO naschain_journal (run, number, now_ms, event, link, proof, feed)
            SELECT $1, entry.* FROM leader, before, UNNEST(
                $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[]
            ) AS entry";
        let insert = sqlx::query(insert)
            .bind(&self.run)
            .bind(self.term)
            .bind(column(entries, |entry| entry.number as i64))
            .bind(column(entries, |entry| entry.now_ms as i64))
            .bind(column(entries, |entry| entry.event.as_str()))
            .bind(column(entries, |entry| entry.hash.to_string()))
            .bind(column(entries, |entry| entry.proof.as_deref()))
            .bind(column(entries, |entry| entry.feed.as_deref()))
            .bind(before.number as i64)
            .bind(before.hash.to_string());
        let inserted =
            tokio::time::timeout(STATEMENT_TIMEOUT, insert.execute(&mut self.connection)).await;
        Ok(inserted
            .context("PostgreSQL does not answer")??
            .rows_affected())
    }
}

impl PostgresStore {
    pub(super) async fn entries(&mut self, after: u64, limit: usize) -> Result<Vec<Entry>> {
        let select = "SELECT number, now_ms, event, link, proof, feed FROM naschain_journal
                WHERE run = $1 AND number > $2 ORDER BY number LIMIT $3";
        let rows = sqlx::query_as(select)
            .bind(&self.run)
            .bind(after as i64)
            .bind(limit as i64)
            .fetch_all(&mut self.connection)
            .await
            .context("cannot read the journal in PostgreSQL")?;
        rows.into_iter().map(rows::entry).collect()
    }

    pub(super) async fn feed(
        &mut self,
        first: u64,
        limit: usize,
    ) -> Result<Vec<(u64, u64, String)>> {
        let select = "SELECT number, now_ms, feed FROM naschain_journal
                WHERE run = $1 AND number >= $2 AND feed IS NOT NULL ORDER BY number LIMIT $3";
        let rows = sqlx::query_as(select)
            .bind(&self.run)
            .bind(first as i64)
            .bind(limit as i64)
            .fetch_all(&mut self.connection);
        let rows = tokio::time::timeout(STATEMENT_TIMEOUT, rows).await;
        let rows = rows.context("PostgreSQL does not answer")??;
        Ok(rows.into_iter().map(rows::published).collect())
    }

    pub(super) async fn append(&mut self, before: JournalHead, entries: &[Entry]) -> Result<()> {
        let inserted = self.insert(before, entries).await;
        let inserted = inserted.context("cannot write to the journal in PostgreSQL")?;
        if inserted != entries.len() as u64 {
            self.check().await?;
            bail!("{}", lost(before.number));
        }
        self.written = entries.last().map(|entry| JournalHead {
            number: entry.number,
            hash: entry.hash,
        });
        Ok(())
    }

    pub(super) async fn snapshot(&mut self) -> Result<Option<Snapshot>> {
        let select = "SELECT number, link, now_ms, format, digest, bytes
                FROM naschain_snapshot WHERE run = $1";
        let row = sqlx::query_as(select)
            .bind(&self.run)
            .fetch_optional(&mut self.connection)
            .await?;
        row.map(rows::snapshot).transpose()
    }

    pub(super) async fn keep_snapshot(&mut self, snapshot: &Snapshot) -> Result<()> {
        let replace = "INSERT INTO naschain_snapshot
                (run, number, link, now_ms, format, digest, bytes)
                SELECT $1, $3, $4, $5, $6, $7, $8
                FROM naschain_leader WHERE run = $1 AND term = $2
                ON CONFLICT (run) DO UPDATE SET number = EXCLUDED.number, link = EXCLUDED.link,
                    now_ms = EXCLUDED.now_ms, format = EXCLUDED.format,
                    digest = EXCLUDED.digest, bytes = EXCLUDED.bytes";
        let replace = sqlx::query(replace)
            .bind(&self.run)
            .bind(self.term)
            .bind(snapshot.number as i64)
            .bind(snapshot.hash.to_string())
            .bind(snapshot.now_ms as i64)
            .bind(&snapshot.format)
            .bind(snapshot.digest.to_string())
            .bind(&snapshot.bytes)
            .execute(&mut self.connection);
        let replaced = tokio::time::timeout(SNAPSHOT_TIMEOUT, replace).await;
        replaced
            .context("PostgreSQL does not answer")?
            .context("cannot keep a snapshot")?;
        Ok(())
    }

    pub(super) async fn check(&mut self) -> Result<()> {
        let written = self.written;
        let select = "SELECT term, (
                SELECT link FROM naschain_journal WHERE run = $1 AND number = $2
            ) FROM naschain_leader WHERE run = $1";
        let select = sqlx::query_as(select)
            .bind(&self.run)
            .bind(written.map_or(0, |written| written.number as i64))
            .fetch_optional(&mut self.connection);
        let row: Option<(i64, Option<String>)> =
            tokio::time::timeout(STATEMENT_TIMEOUT / 2, select)
                .await
                .context("PostgreSQL does not answer")?
                .context("the connection to PostgreSQL is lost")?;
        let (term, link) = row.context("another program removed this run from naschain_leader")?;
        ensure!(
            term == self.term,
            "another genomaster leads this run now, in term {term}; the term of this one, {}, has ended",
            self.term
        );
        if let Some(written) = written {
            ensure!(
                link == Some(written.hash.to_string()),
                "{}",
                lost(written.number)
            );
        }
        Ok(())
    }

    pub(super) async fn close(self) -> Result<()> {
        Ok(self.connection.close().await?)
    }
}
