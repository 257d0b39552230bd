//! Links by which anybody may read a private run: shown once, stored hashed.

use std::collections::BTreeSet;

use anyhow::Result;
use naschain_core::Digest;
use serde::{Deserialize, Serialize};
use sqlx::Row;

use crate::home::secrets::hash;
use crate::home::{Home, now_s};
use crate::random::random_bytes;

/// The name under which a session has the links that were opened in it.
pub(crate) const SESSION_SHARES: &str = "shares";
/// Hexadecimal digits of the id of a link, which are the first of its hash.
const ID_DIGITS: usize = 16;

/// A link to a run.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct ShareInfo {
    /// Its id, by which it is revoked.
    pub(crate) id: String,
    /// When it was made, in seconds since 1970.
    pub(crate) created_s: i64,
}

impl Home {
    /// Makes a link to a run, and returns its id and its secret.
    pub(crate) async fn add_share(&self, run: Digest) -> Result<(String, String)> {
        let secret = hex::encode(random_bytes()?);
        let hash = hash(&secret);
        sqlx::query("INSERT INTO shares (hash, run, created_s) VALUES ($1, $2, $3)")
            .bind(&hash)
            .bind(run.to_string())
            .bind(now_s())
            .execute(&self.database.pool)
            .await?;
        Ok((hash[..ID_DIGITS].to_owned(), secret))
    }

    /// The links to a run, the oldest first.
    pub(crate) async fn shares(&self, run: Digest) -> Result<Vec<ShareInfo>> {
        let rows = sqlx::query(
            "SELECT hash, created_s FROM shares WHERE run = $1 ORDER BY created_s, hash",
        )
        .bind(run.to_string())
        .fetch_all(&self.database.pool)
        .await?;
        let info = |row: &sqlx::any::AnyRow| {
            let hash: String = row.try_get("hash")?;
            Ok(ShareInfo {
                id: hash[..ID_DIGITS].to_owned(),
                created_s: row.try_get("created_s")?,
            })
        };
        rows.iter().map(info).collect()
    }

    /// Revokes a link; false if there is none with this id.
    pub(crate) async fn revoke_share(&self, run: Digest, id: &str) -> Result<bool> {
        let revoked = sqlx::query("DELETE FROM shares WHERE run = $1 AND substr(hash, 1, 16) = $2")
            .bind(run.to_string())
            .bind(id)
            .execute(&self.database.pool)
            .await?;
        Ok(revoked.rows_affected() > 0)
    }

    /// The hash of the secret of a link, under which sessions remember it, and its run.
    pub(crate) async fn share(&self, secret: &str) -> Result<Option<(String, Digest)>> {
        let hash = hash(secret);
        let runs = self.shared_runs(std::slice::from_ref(&hash)).await?;
        Ok(runs.into_iter().next().map(|run| (hash, run)))
    }

    /// The runs of the links with these hashes that were not revoked.
    pub(crate) async fn shared_runs(&self, hashes: &[String]) -> Result<BTreeSet<Digest>> {
        let mut runs = BTreeSet::new();
        for hash in hashes {
            let found: Option<String> =
                sqlx::query_scalar("SELECT run FROM shares WHERE hash = $1")
                    .bind(hash)
                    .fetch_optional(&self.database.pool)
                    .await?;
            if let Some(run) = found {
                runs.insert(run.parse()?);
            }
        }
        Ok(runs)
    }
}
