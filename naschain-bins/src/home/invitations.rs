//! Invitations, each for one new user: shown once, stored hashed.

use anyhow::Result;
use sqlx::AnyConnection;

use crate::home::secrets::hash;
use crate::home::{Home, now_s};
use crate::random::random_bytes;

impl Home {
    /// Makes an invitation that one new user may use until then, and returns it.
    pub(crate) async fn invite(&self, expires_s: i64) -> Result<String> {
        let invitation = hex::encode(random_bytes()?);
        sqlx::query("INSERT INTO invitations (hash, created_s, expires_s) VALUES ($1, $2, $3)")
            .bind(hash(&invitation))
            .bind(now_s())
            .bind(expires_s)
            .execute(&self.database.pool)
            .await?;
        Ok(invitation)
    }
}

/// Uses an invitation for this new user; false if it was never made, used, or has expired.
pub(super) async fn use_invitation(
    database: &mut AnyConnection,
    invitation: &str,
    user: &str,
) -> Result<bool> {
    let used = sqlx::query(
        "UPDATE invitations SET used_by = $2 WHERE hash = $1 AND used_by IS NULL AND expires_s > $3",
    )
    .bind(hash(invitation))
    .bind(user)
    .bind(now_s())
    .execute(database)
    .await?;
    Ok(used.rows_affected() == 1)
}
