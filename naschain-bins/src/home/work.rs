//! How much work users have got at each of the genomasters that share a database.

use std::collections::BTreeMap;

use anyhow::Result;
use sqlx::Row;

use crate::home::Home;

/// A genomaster and a user.
pub(crate) type WorkKey = (String, String);

impl Home {
    /// Adds to the work that a user has got at this genomaster.
    pub(crate) async fn add_work(
        &self,
        genomaster: &str,
        user: &str,
        megaflops: u64,
    ) -> Result<()> {
        sqlx::query(
            "INSERT INTO work (genomaster, owner, megaflops) VALUES ($1, $2, $3)
             ON CONFLICT (genomaster, owner) DO UPDATE
             SET megaflops = work.megaflops + excluded.megaflops",
        )
        .bind(genomaster)
        .bind(user)
        .bind(i64::try_from(megaflops)?)
        .execute(&self.database.pool)
        .await?;
        Ok(())
    }

    /// The work that users have got at other genomasters, in MFLOPs.
    pub(crate) async fn work_elsewhere(&self, genomaster: &str) -> Result<BTreeMap<WorkKey, u64>> {
        let rows = sqlx::query("SELECT * FROM work WHERE genomaster <> $1")
            .bind(genomaster)
            .fetch_all(&self.database.pool)
            .await?;
        let mut found = BTreeMap::new();
        for row in rows {
            let key = (row.try_get("genomaster")?, row.try_get("owner")?);
            let megaflops: i64 = row.try_get("megaflops")?;
            found.insert(key, u64::try_from(megaflops)?);
        }
        Ok(found)
    }
}
