//! The database of a home, a SQLite file.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sqlx::Executor;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

/// The version of the tables.
const VERSION: i64 = 1;

/// The tables. There are only integers and texts, in SQL that PostgreSQL understands as well.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS home (version BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS users (
    name TEXT PRIMARY KEY,
    password TEXT,
    is_admin BIGINT NOT NULL,
    weight BIGINT NOT NULL,
    max_bytes BIGINT NOT NULL,
    max_runs BIGINT NOT NULL,
    max_hours BIGINT NOT NULL,
    used_ms BIGINT NOT NULL,
    created_s BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS tokens (
    hash TEXT PRIMARY KEY,
    owner TEXT NOT NULL REFERENCES users (name),
    label TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_s BIGINT NOT NULL,
    expires_s BIGINT
);
CREATE TABLE IF NOT EXISTS invitations (
    hash TEXT PRIMARY KEY,
    created_s BIGINT NOT NULL,
    expires_s BIGINT NOT NULL,
    used_by TEXT
);
CREATE TABLE IF NOT EXISTS data_sets (
    digest TEXT NOT NULL,
    owner TEXT NOT NULL REFERENCES users (name),
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    licence TEXT NOT NULL,
    is_public BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    train_images BIGINT NOT NULL,
    test_images BIGINT NOT NULL,
    classes BIGINT NOT NULL,
    created_s BIGINT NOT NULL,
    PRIMARY KEY (digest, owner)
);
CREATE TABLE IF NOT EXISTS runs (
    number BIGINT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL REFERENCES users (name),
    name TEXT NOT NULL,
    data TEXT NOT NULL,
    settings TEXT NOT NULL,
    miners TEXT NOT NULL,
    is_public BIGINT NOT NULL,
    state TEXT NOT NULL,
    created_s BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS runs_by_owner ON runs (owner, number);
CREATE INDEX IF NOT EXISTS runs_by_state ON runs (state, number);
CREATE INDEX IF NOT EXISTS tokens_by_owner ON tokens (owner);";

/// Connections to the database of a home.
pub(super) struct HomeDatabase {
    pub(super) pool: SqlitePool,
}

impl HomeDatabase {
    /// Opens `home.sqlite` in a folder, and creates the tables that are missing.
    pub(super) async fn open(dir: &Path) -> Result<HomeDatabase> {
        let file = dir.join("home.sqlite");
        let options = SqliteConnectOptions::new()
            .filename(&file)
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // Of `genomaster user`, while a genomaster runs.
            .busy_timeout(Duration::from_secs(5));
        // One writer at a time; a second connection would only wait for the first.
        let pool = SqlitePoolOptions::new().max_connections(1);
        let pool = pool.connect_with(options).await;
        let context = || format!("cannot open {}", file.display());
        let pool = pool.with_context(context)?;
        create_tables(&pool).await.with_context(context)?;
        Ok(HomeDatabase { pool })
    }
}

async fn create_tables(pool: &SqlitePool) -> Result<()> {
    for statement in TABLES.split(';').filter(|text| !text.trim().is_empty()) {
        pool.execute(statement).await?;
    }
    let found: Option<i64> = sqlx::query_scalar("SELECT version FROM home")
        .fetch_optional(pool)
        .await?;
    match found {
        None => {
            sqlx::query("INSERT INTO home (version) VALUES ($1)")
                .bind(VERSION)
                .execute(pool)
                .await?;
        }
        Some(found) => ensure!(
            found == VERSION,
            "it has version {found} of its tables; this program knows version {VERSION}"
        ),
    }
    Ok(())
}
