//! Which genomaster leads which run, where several share the home's database.

use std::collections::BTreeSet;

use anyhow::Result;
use naschain_core::Digest;
use sqlx::AnyConnection;

use crate::home::Home;

impl Home {
    /// Makes this genomaster the leader of a run if it is, or if none of `alive` is; false if another
    /// is.
    pub(crate) async fn claim(
        &self,
        run: Digest,
        genomaster: &str,
        alive: &BTreeSet<String>,
    ) -> Result<bool> {
        let mut transaction = self.database.exclusive().await?;
        let leader: Option<String> =
            sqlx::query_scalar("SELECT genomaster FROM leads WHERE run = $1")
                .bind(run.to_string())
                .fetch_optional(&mut *transaction)
                .await?;
        if leader.is_some_and(|leader| leader != genomaster && alive.contains(&leader)) {
            return Ok(false);
        }
        set_leader(&mut transaction, run, genomaster).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Lets others lead a run that this genomaster led.
    pub(crate) async fn release(&self, run: Digest, genomaster: &str) -> Result<()> {
        sqlx::query("DELETE FROM leads WHERE run = $1 AND genomaster = $2")
            .bind(run.to_string())
            .bind(genomaster)
            .execute(&self.database.pool)
            .await?;
        Ok(())
    }
}

/// Makes a genomaster the leader of a run.
pub(super) async fn set_leader(
    connection: &mut AnyConnection,
    run: Digest,
    genomaster: &str,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO leads (run, genomaster) VALUES ($1, $2)
         ON CONFLICT (run) DO UPDATE SET genomaster = excluded.genomaster",
    )
    .bind(run.to_string())
    .bind(genomaster)
    .execute(connection)
    .await?;
    Ok(())
}
