//! The hotkeys of miners that have passed an entrance examination.

use anyhow::Result;
use naschain_consensus::MinerId;

use crate::home::{Home, now_s};

impl Home {
    /// Remembers hotkeys that have passed an examination.
    pub(crate) async fn admit(&self, miners: &[MinerId]) -> Result<()> {
        for miner in miners {
            sqlx::query(
                "INSERT INTO admitted (hotkey, since_s) VALUES ($1, $2)
                 ON CONFLICT (hotkey) DO NOTHING",
            )
            .bind(miner.as_str())
            .bind(now_s())
            .execute(&self.database.pool)
            .await?;
        }
        Ok(())
    }

    /// The hotkeys that have passed an examination since then, in seconds since 1970, the earliest
    /// first; at most the last `limit`.
    pub(crate) async fn admitted(&self, since_s: i64, limit: u32) -> Result<Vec<MinerId>> {
        let hotkeys: Vec<String> = sqlx::query_scalar(
            "SELECT hotkey FROM admitted WHERE since_s >= $1
             ORDER BY since_s DESC, hotkey DESC LIMIT $2",
        )
        .bind(since_s)
        .bind(i64::from(limit))
        .fetch_all(&self.database.pool)
        .await?;
        let hotkeys = hotkeys.into_iter().rev();
        Ok(hotkeys.filter_map(|hotkey| hotkey.parse().ok()).collect())
    }
}
