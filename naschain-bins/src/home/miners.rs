//! The miners that have passed an entrance examination, and what their answers say of them.

use anyhow::Result;
use naschain_consensus::{MinerId, TrackRecord};
use sqlx::Row;

use crate::home::{Home, now_s};

impl Home {
    /// Stores what is known of miners.
    pub(crate) async fn store_miners(&self, miners: &[(MinerId, TrackRecord)]) -> Result<()> {
        if miners.is_empty() {
            return Ok(());
        }
        let mut transaction = self.database.pool.begin().await?;
        for (miner, record) in miners {
            sqlx::query(
                "INSERT INTO miners (hotkey, changed_s, valid_in_a_row, credit, flops_per_second)
                 VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (hotkey) DO UPDATE
                 SET changed_s = excluded.changed_s, valid_in_a_row = excluded.valid_in_a_row,
                     credit = excluded.credit, flops_per_second = excluded.flops_per_second",
            )
            .bind(miner.as_str())
            .bind(now_s())
            .bind(i64::from(record.valid_in_a_row))
            .bind(i64::from(record.credit))
            .bind(i64::try_from(record.flops_per_second).unwrap_or(i64::MAX))
            .execute(&mut *transaction)
            .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// What has changed since then, in seconds since 1970, the earliest first; at most the last `limit`.
    pub(crate) async fn miners(
        &self,
        since_s: i64,
        limit: u32,
    ) -> Result<Vec<(MinerId, TrackRecord)>> {
        let rows = sqlx::query(
            "SELECT * FROM miners WHERE changed_s >= $1 ORDER BY changed_s DESC, hotkey LIMIT $2",
        )
        .bind(since_s)
        .bind(i64::from(limit))
        .fetch_all(&self.database.pool)
        .await?;
        let mut found = Vec::new();
        for row in rows.iter().rev() {
            let number = |column: &str| -> Result<i64> { Ok(row.try_get(column)?) };
            let record = TrackRecord {
                valid_in_a_row: u32::try_from(number("valid_in_a_row")?)?,
                credit: u32::try_from(number("credit")?)?,
                flops_per_second: u64::try_from(number("flops_per_second")?)?,
            };
            let hotkey: String = row.try_get("hotkey")?;
            found.push((hotkey.parse()?, record));
        }
        Ok(found)
    }
}
