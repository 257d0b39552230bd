//! Journals of many runs on a PostgreSQL server: a table says which genomaster leads which run, and all
//! journals of a genomaster share a few connections.

use anyhow::{Context, Result};
use naschain_core::Digest;
use sqlx::postgres::PgPool;

use crate::journal::store::postgres::{self, PostgresStore};

/// Connections for all journals, at most. A write has one for about a millisecond.
const MAX_CONNECTIONS: u32 = 8;

/// The journals of the runs that this genomaster leads.
#[derive(Clone)]
pub struct AssignedJournals {
    pool: PgPool,
    genomaster: String,
}

impl AssignedJournals {
    /// Connects to a server, and creates the tables that are missing. `genomaster` is how the table
    /// `naschain_home.leads` names this one.
    pub(crate) async fn connect(url: &str, genomaster: String) -> Result<AssignedJournals> {
        let pool = postgres::pool(url, MAX_CONNECTIONS)?;
        let mut connection = pool
            .acquire()
            .await
            .context("cannot connect to PostgreSQL")?;
        postgres::make_tables(&mut connection)
            .await
            .context("cannot create the journal's tables in PostgreSQL")?;
        drop(connection);
        Ok(AssignedJournals { pool, genomaster })
    }

    /// The connections.
    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Deletes the journal of a run that nobody leads any more.
    pub(crate) async fn delete(&self, run: Digest) -> Result<()> {
        postgres::delete(&self.pool, run).await
    }

    pub(super) async fn lead(&self, run: Digest) -> Result<Option<PostgresStore>> {
        postgres::lead_assigned(&self.pool, run, &self.genomaster).await
    }

    pub(super) async fn read(&self, run: Digest) -> Result<PostgresStore> {
        postgres::read(self.pool.clone(), run).await
    }
}
