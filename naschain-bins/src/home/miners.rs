//! What the answers of miners in each run say of them.

use anyhow::Result;
use naschain_consensus::{MinerId, TrackRecord};
use naschain_core::Digest;
use sqlx::Row;

use crate::home::{Home, now_s};

/// Runs of which the records of a miner are kept: the last ones.
const MAX_RUNS: i64 = 8;

/// What the answers of a miner in one run say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredRecord {
    pub(crate) miner: MinerId,
    pub(crate) run: Digest,
    pub(crate) record: TrackRecord,
}

impl Home {
    /// Stores what is known of miners.
    pub(crate) async fn store_miners(&self, records: &[StoredRecord]) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let mut transaction = self.database.pool.begin().await?;
        for StoredRecord { miner, run, record } in records {
            sqlx::query(
                "INSERT INTO miners (hotkey, run, changed_s, valid_in_a_row, credit, flops_per_second)
                 VALUES ($1, $2, $3, $4, $5, $6)
                 ON CONFLICT (hotkey, run) DO UPDATE
                 SET changed_s = excluded.changed_s, valid_in_a_row = excluded.valid_in_a_row,
                     credit = excluded.credit, flops_per_second = excluded.flops_per_second",
            )
            .bind(miner.as_str())
            .bind(run.to_string())
            .bind(now_s())
            .bind(i64::from(record.valid_in_a_row))
            .bind(i64::from(record.credit))
            .bind(i64::try_from(record.flops_per_second).unwrap_or(i64::MAX))
            .execute(&mut *transaction)
            .await?;
            sqlx::query(
                "DELETE FROM miners WHERE hotkey = $1 AND run NOT IN
                 (SELECT run FROM miners WHERE hotkey = $1 ORDER BY changed_s DESC, run LIMIT $2)",
            )
            .bind(miner.as_str())
            .bind(MAX_RUNS)
            .execute(&mut *transaction)
            .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// What has changed since then, in seconds since 1970, the earliest first; at most the last `limit`.
    pub(crate) async fn miners(&self, since_s: i64, limit: u32) -> Result<Vec<StoredRecord>> {
        let rows = sqlx::query(
            "SELECT * FROM miners WHERE changed_s >= $1
             ORDER BY changed_s DESC, hotkey, run LIMIT $2",
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
            let (hotkey, run): (String, String) = (row.try_get("hotkey")?, row.try_get("run")?);
            let (miner, run) = (hotkey.parse()?, run.parse()?);
            found.push(StoredRecord { miner, run, record });
        }
        Ok(found)
    }
}
