//! A journal on a PostgreSQL server, which several genomasters share and one of them leads.
//!
//! Each leader has a term, one more than that of the leader before, and every append names it: from the
//! moment at which another genomaster has begun its term, the former leader writes nothing. Who may
//! begin one is decided by a session-level advisory lock or, for a genomaster with many runs, by the
//! table of leaders in its home's database: a lock for each run would need a connection for each.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use naschain_core::Digest;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};

use crate::journal::store::rows::{self, Snapshot};
use naschain_run::{Entry, JournalHead, RunSecret};

const TABLES: [&str; 4] = [
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
    "CREATE TABLE IF NOT EXISTS naschain_secret (settings TEXT PRIMARY KEY, secret TEXT NOT NULL)",
];

/// Two simultaneous `CREATE TABLE IF NOT EXISTS` of one table can fail, so genomasters take this
/// advisory lock first. The number is `naschain` in ASCII.
const TABLES_LOCK: i64 = 0x6e61_7363_6861_696e;

/// Timeout of a statement. A server that does not answer must not block the writing task forever.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout for storing a snapshot, which has many megabytes.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(120);

pub(super) struct PostgresStore {
    pool: PgPool,
    /// Its session has the leader's lock, if there is one.
    lock: Option<PgConnection>,
    run: String,
    term: i64,
    /// The last entry that this genomaster wrote, which must stay the last.
    written: Option<JournalHead>,
}

pub(super) async fn lead(url: &str, run: Digest) -> Result<Option<PostgresStore>> {
    let mut connection = connect(url).await?;
    // An advisory lock is identified by 64 bits, so the first eight bytes of the digest name the
    // run.
    let lock = i64::from_le_bytes(run.0[..8].try_into()?);
    // Does not wait for the lock: a standby has to answer requests, and tries again later.
    let free: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
        .bind(lock)
        .fetch_one(&mut connection)
        .await
        .context("cannot request the leader's lock from PostgreSQL")?;
    if !free {
        let _ = connection.close().await;
        return Ok(None);
    }
    make_tables(&mut connection)
        .await
        .context("cannot create the journal's tables in PostgreSQL")?;
    let run = run.to_string();
    // Only the holder of the lock gets here. From now on writes in an earlier term fail.
    let next_term = "INSERT INTO naschain_leader (run, term) VALUES ($1, 1)
        ON CONFLICT (run) DO UPDATE SET term = naschain_leader.term + 1 RETURNING term";
    let term = sqlx::query_scalar(next_term)
        .bind(&run)
        .fetch_one(&mut connection)
        .await
        .context("cannot write to the journal in PostgreSQL")?;
    Ok(Some(PostgresStore {
        pool: pool(url, 1)?,
        lock: Some(connection),
        run,
        term,
        written: None,
    }))
}

/// Leads a run with connections of this pool if the home's database says that this genomaster does.
pub(super) async fn lead_assigned(
    pool: &PgPool,
    run: Digest,
    genomaster: &str,
) -> Result<Option<PostgresStore>> {
    let run = run.to_string();
    let next_term = "INSERT INTO naschain_leader (run, term)
        SELECT $1, 1 FROM naschain_home.leads WHERE run = $1 AND genomaster = $2
        ON CONFLICT (run) DO UPDATE SET term = naschain_leader.term + 1 RETURNING term";
    let term = sqlx::query_scalar(next_term)
        .bind(&run)
        .bind(genomaster)
        .fetch_optional(pool);
    let term: Option<i64> = tokio::time::timeout(STATEMENT_TIMEOUT, term)
        .await
        .context("PostgreSQL did not answer in time")?
        .context("cannot write to the journal in PostgreSQL")?;
    Ok(term.map(|term| PostgresStore {
        pool: pool.clone(),
        lock: None,
        run,
        term,
        written: None,
    }))
}

/// Deletes the journal of a run.
pub(super) async fn delete(pool: &PgPool, run: Digest) -> Result<()> {
    for table in ["naschain_journal", "naschain_snapshot", "naschain_leader"] {
        sqlx::query(&format!("DELETE FROM {table} WHERE run = $1"))
            .bind(run.to_string())
            .execute(pool)
            .await?;
    }
    Ok(())
}

/// Stores a secret unless there is one for these settings, and returns the stored one.
pub(super) async fn share_secret(
    url: &str,
    settings: Digest,
    drawn: RunSecret,
) -> Result<RunSecret> {
    let mut connection = connect(url).await?;
    make_tables(&mut connection)
        .await
        .context("cannot make the tables in PostgreSQL")?;
    // The update changes nothing; it makes the statement return the row that exists.
    let share = "INSERT INTO naschain_secret (settings, secret) VALUES ($1, $2)
        ON CONFLICT (settings) DO UPDATE SET secret = naschain_secret.secret RETURNING secret";
    let secret: String = sqlx::query_scalar(share)
        .bind(settings.to_string())
        .bind(Digest(drawn.0).to_string())
        .fetch_one(&mut connection)
        .await
        .context("cannot share the run's secret in PostgreSQL")?;
    let _ = connection.close().await;
    let secret: Digest = secret
        .parse()
        .context("the run's secret in PostgreSQL is damaged")?;
    Ok(RunSecret(secret.0))
}

pub(super) async fn read(pool: PgPool, run: Digest) -> Result<PostgresStore> {
    Ok(PostgresStore {
        pool,
        lock: None,
        run: run.to_string(),
        // Terms start at 1, so nothing can be written with this one.
        term: 0,
        written: None,
    })
}

/// Up to this many connections, opened when they are needed.
pub(super) fn pool(url: &str, connections: u32) -> Result<PgPool> {
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(STATEMENT_TIMEOUT);
    Ok(pool.connect_lazy_with(options(url)?))
}

/// A connection of its own, for locks.
pub(crate) async fn connect(url: &str) -> Result<PgConnection> {
    let connected = tokio::time::timeout(STATEMENT_TIMEOUT, options(url)?.connect()).await;
    connected
        .context("PostgreSQL did not answer in time")?
        .context("cannot connect to PostgreSQL")
}

fn options(url: &str) -> Result<PgConnectOptions> {
    let options = PgConnectOptions::from_str(url)
        // The error is dropped, because it could quote the URL, which may contain a password.
        .map_err(|_| anyhow::anyhow!("the store's URL is not postgres://USER@HOST/DATABASE"))?
        // With these keep-alives the server notices within 11 seconds that the leader's machine is
        // gone, and releases the lock. The last option hides the notices of existing tables.
        .options([
            ("tcp_keepalives_idle", "5"),
            ("tcp_keepalives_interval", "2"),
            ("tcp_keepalives_count", "3"),
            ("idle_in_transaction_session_timeout", "10000"),
            ("client_min_messages", "warning"),
        ]);
    Ok(options)
}

pub(super) async fn make_tables(connection: &mut PgConnection) -> Result<()> {
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

/// One column of all entries, to be passed as an array.
fn column<'a, T>(entries: &'a [Entry], of: impl Fn(&'a Entry) -> T) -> Vec<T> {
    entries.iter().map(of).collect()
}

impl PostgresStore {
    /// Appends the entries if this genomaster leads and the entry before is there; returns the
    /// number of appended entries.
    async fn insert(&mut self, before: JournalHead, entries: &[Entry]) -> Result<u64> {
        // The row of the term is locked until the insert has ended, so the next leader cannot
        // increment it in between. Arrays keep the text of the statement the same for any number of
        // entries.
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
        let inserted = tokio::time::timeout(STATEMENT_TIMEOUT, insert.execute(&self.pool)).await;
        Ok(inserted
            .context("PostgreSQL did not answer in time")??
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
            .fetch_all(&self.pool)
            .await
            .context("cannot read the journal in PostgreSQL")?;
        rows.into_iter().map(rows::entry).collect()
    }

    pub(super) async fn last_ms(&mut self) -> Result<Option<u64>> {
        let select = "SELECT now_ms FROM naschain_journal WHERE run = $1
                ORDER BY number DESC LIMIT 1";
        let last: Option<i64> = sqlx::query_scalar(select)
            .bind(&self.run)
            .fetch_optional(&self.pool)
            .await
            .context("cannot read the journal in PostgreSQL")?;
        Ok(last.map(|ms| ms as u64))
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
            .fetch_all(&self.pool);
        let rows = tokio::time::timeout(STATEMENT_TIMEOUT, rows).await;
        let rows = rows.context("PostgreSQL did not answer in time")??;
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
            .fetch_optional(&self.pool)
            .await?;
        row.map(rows::snapshot).transpose()
    }

    pub(super) async fn keep_snapshot(&mut self, snapshot: &Snapshot) -> Result<()> {
        // Names the term too: a former leader must not replace the snapshot of the current one.
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
            .execute(&self.pool);
        let replaced = tokio::time::timeout(SNAPSHOT_TIMEOUT, replace).await;
        replaced
            .context("PostgreSQL did not answer in time")?
            .context("cannot store a snapshot")?;
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
            .fetch_optional(&self.pool);
        let row: Option<(i64, Option<String>)> =
            tokio::time::timeout(STATEMENT_TIMEOUT / 2, select)
                .await
                .context("PostgreSQL did not answer in time")?
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
        match self.lock {
            Some(lock) => {
                // The lock last: the next leader begins after the last write.
                self.pool.close().await;
                Ok(lock.close().await?)
            }
            None => Ok(()),
        }
    }
}
