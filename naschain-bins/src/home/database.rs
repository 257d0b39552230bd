//! The database of a home: a SQLite file, or a PostgreSQL server that several genomasters share.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{Any, AnyConnection, AnyPool, ConnectOptions, Executor, Transaction};

use crate::journal::store::JournalPlace;

/// The version of the tables.
const VERSION: i64 = 1;
/// Connections to a PostgreSQL server, at most.
const MAX_CONNECTIONS: u32 = 8;
/// How long a query waits for one of them.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// The tables have a schema of their own on a server, where other programs may have tables `users`.
///
/// A genomaster that hangs, or is gone, in the middle of a transaction must not hold the others up.
const ON_SERVER: [&str; 8] = [
    "SET client_min_messages = warning",
    "CREATE SCHEMA IF NOT EXISTS naschain_home",
    "SET search_path = naschain_home",
    "SET statement_timeout = '10s'",
    "SET idle_in_transaction_session_timeout = '10s'",
    "SET tcp_keepalives_idle = 5",
    "SET tcp_keepalives_interval = 2",
    "SET tcp_keepalives_count = 3",
];
/// Of `genomaster user`, a file is read while a genomaster writes it.
const IN_FILE: [&str; 3] = [
    "PRAGMA busy_timeout = 5000",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
];

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
CREATE TABLE IF NOT EXISTS sessions (
    hash TEXT PRIMARY KEY,
    data TEXT NOT NULL,
    expires_s BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS miners (
    hotkey TEXT NOT NULL,
    run TEXT NOT NULL,
    changed_s BIGINT NOT NULL,
    valid_in_a_row BIGINT NOT NULL,
    credit BIGINT NOT NULL,
    flops_per_second BIGINT NOT NULL,
    PRIMARY KEY (hotkey, run)
);
CREATE TABLE IF NOT EXISTS shares (
    hash TEXT PRIMARY KEY,
    run TEXT NOT NULL,
    created_s BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS shares_by_run ON shares (run);
CREATE TABLE IF NOT EXISTS shared_settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    created_s BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS deleted_runs (run TEXT PRIMARY KEY, data TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS miners_by_change ON miners (changed_s);
CREATE TABLE IF NOT EXISTS leads (run TEXT PRIMARY KEY, genomaster TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS genomasters (
    id TEXT PRIMARY KEY,
    address TEXT NOT NULL,
    lock BIGINT NOT NULL,
    seen_ms BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS work (
    genomaster TEXT NOT NULL,
    owner TEXT NOT NULL,
    megaflops BIGINT NOT NULL,
    PRIMARY KEY (genomaster, owner)
);
CREATE TABLE IF NOT EXISTS password_of_genomasters (id BIGINT PRIMARY KEY, password TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS run_folders (run TEXT PRIMARY KEY, spec TEXT NOT NULL, secret TEXT);
CREATE INDEX IF NOT EXISTS runs_by_owner ON runs (owner, number);
CREATE INDEX IF NOT EXISTS runs_by_state ON runs (state, number);
CREATE INDEX IF NOT EXISTS tokens_by_owner ON tokens (owner);";

/// Connections to the database of a home.
pub(super) struct HomeDatabase {
    pub(super) pool: AnyPool,
}

impl HomeDatabase {
    /// Opens `home.sqlite` in a folder, or the tables on a server, and creates those that are missing.
    pub(super) async fn open(dir: &Path, server: Option<&JournalPlace>) -> Result<HomeDatabase> {
        sqlx::any::install_default_drivers();
        let (url, shown) = match server {
            Some(place @ JournalPlace::Postgres(url)) => (url.clone(), place.to_string()),
            Some(place) => bail!(
                "--store is {place}; with --home it must be a server that genomasters share, postgres://USER@HOST/DATABASE"
            ),
            None => {
                let file = dir.join("home.sqlite");
                (file_url(&file)?, file.display().to_string())
            }
        };
        // The URL stays out of the error: it may have a password.
        let Ok(url) = url.parse() else {
            bail!("the store's URL is not postgres://USER@HOST/DATABASE");
        };
        let options = AnyConnectOptions::from_url(&url)?;
        let setup: &[&str] = if server.is_some() {
            &ON_SERVER
        } else {
            &IN_FILE
        };
        // A file has one writer at a time; a second connection would only wait for the first.
        let connections = if server.is_some() { MAX_CONNECTIONS } else { 1 };
        let pool = AnyPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    for statement in setup {
                        connection.execute(*statement).await?;
                    }
                    Ok(())
                })
            });
        let context = || format!("cannot open {shown}");
        let pool = pool.connect_with(options).await.with_context(context)?;
        create_tables(&pool, server.is_some())
            .await
            .with_context(context)?;
        Ok(HomeDatabase { pool })
    }

    /// Begins a transaction that overlaps with no other one of these, in any process.
    pub(super) async fn exclusive(&self) -> Result<Transaction<'static, Any>> {
        let mut transaction = self.pool.begin().await?;
        // Changes nothing, but locks the only row.
        sqlx::query("UPDATE home SET version = version")
            .execute(&mut *transaction)
            .await?;
        Ok(transaction)
    }
}

/// The URL of a SQLite file, which is created if it is missing.
fn file_url(file: &Path) -> Result<String> {
    let path = std::path::absolute(file)?;
    let path = path
        .to_str()
        .with_context(|| format!("{} is not UTF-8: choose another folder", path.display()))?;
    let mut url: reqwest::Url = "sqlite:///".parse()?;
    url.set_path(&path.replace('%', "%25"));
    url.set_query(Some("mode=rwc"));
    Ok(url.into())
}

async fn create_tables(pool: &AnyPool, is_server: bool) -> Result<()> {
    let mut transaction = pool.begin().await?;
    if is_server {
        // Two that create a table at the same time would fail.
        transaction
            .execute("SELECT pg_advisory_xact_lock(7957690)")
            .await?;
    }
    for statement in TABLES.split(';').filter(|text| !text.trim().is_empty()) {
        transaction.execute(statement).await?;
    }
    check_version(&mut transaction).await?;
    Ok(transaction.commit().await?)
}

async fn check_version(connection: &mut AnyConnection) -> Result<()> {
    let found: Option<i64> = sqlx::query_scalar("SELECT version FROM home")
        .fetch_optional(&mut *connection)
        .await?;
    match found {
        None => {
            sqlx::query("INSERT INTO home (version) VALUES ($1)")
                .bind(VERSION)
                .execute(connection)
                .await?;
        }
        Some(found) => ensure!(
            found == VERSION,
            "it has version {found} of its tables; this program knows version {VERSION}"
        ),
    }
    Ok(())
}
