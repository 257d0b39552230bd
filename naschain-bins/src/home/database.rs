//! The database of a home: a SQLite file, or a PostgreSQL server that several genomasters share.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use sqlx::any::{AnyPoolOptions, install_default_drivers};
use sqlx::{AnyPool, Executor};

use crate::journal::store::JournalPlace;

/// The version of the tables.
const VERSION: i64 = 1;

/// The tables, in the SQL that both databases understand: there are only integers and texts.
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

/// Where the database of a home is.
#[derive(Clone, Debug)]
pub(crate) enum HomePlace {
    /// In `home.sqlite` of this folder.
    Folder(PathBuf),
    /// On a PostgreSQL server.
    Postgres(String),
}

impl HomePlace {
    /// That of `--store`, or else in the folder of the home.
    ///
    /// # Errors
    /// If the store is another file.
    pub(crate) fn new(home: &Path, store: Option<&JournalPlace>) -> Result<HomePlace> {
        Ok(match store {
            None => HomePlace::Folder(home.to_owned()),
            Some(JournalPlace::Postgres(url)) => HomePlace::Postgres(url.clone()),
            Some(JournalPlace::File(file)) => anyhow::bail!(
                "--store {} is a file; a genomaster with --home keeps the journals of its runs in their folders, or in postgres://USER@HOST/DATABASE",
                file.display()
            ),
        })
    }
}

/// Connections to the database of a home.
pub(super) struct Database {
    pub(super) pool: AnyPool,
}

impl Database {
    /// Connects, and creates the tables that are missing.
    pub(super) async fn open(place: &HomePlace) -> Result<Database> {
        install_default_drivers();
        let (url, connections, shown) = match place {
            HomePlace::Folder(dir) => {
                let file = dir.join("home.sqlite");
                let shown = file.display().to_string();
                let text = file.to_str();
                let text = text.with_context(|| format!("{shown} is not UTF-8"))?;
                // One writer at a time; a second connection would only wait for the first.
                (sqlite_url(text), 1, shown)
            }
            HomePlace::Postgres(url) => {
                let shown = JournalPlace::Postgres(url.clone()).to_string();
                (url.clone(), 8, shown)
            }
        };
        let options = AnyPoolOptions::new().max_connections(connections);
        let pool = options.connect(&url).await;
        // The error of the driver may quote the URL, which may contain a password.
        let pool = pool.with_context(|| format!("cannot open {shown}"))?;
        if matches!(place, HomePlace::Folder(_)) {
            pool.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000")
                .await?;
        }
        create_tables(&pool).await.with_context(|| shown.clone())?;
        Ok(Database { pool })
    }
}

async fn create_tables(pool: &AnyPool) -> Result<()> {
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

/// The URL of a SQLite file that is created if it is missing.
fn sqlite_url(path: &str) -> String {
    let mut url = "sqlite://".to_owned();
    for part in path.chars() {
        match part {
            '%' => url += "%25",
            '?' => url += "%3F",
            '#' => url += "%23",
            _ => url.push(part),
        }
    }
    url + "?mode=rwc"
}
