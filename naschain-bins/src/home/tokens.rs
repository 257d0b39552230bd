//! API tokens: shown once, stored hashed.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use sqlx::Row;

use crate::home::secrets::hash;
use crate::home::users::User;
use crate::home::{Home, now_s};
use crate::random::random_bytes;

/// Starts every token, so that scanners of leaked secrets can recognise one.
const PREFIX: &str = "naschain_";

/// What a token allows.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scope {
    /// Read the user's runs, data sets and models.
    Read,
    /// Create, change and delete runs.
    Runs,
    /// Upload and delete data sets.
    Data,
    /// List and revoke tokens.
    Account,
}

impl Scope {
    pub(crate) const ALL: [Scope; 4] = [Scope::Read, Scope::Runs, Scope::Data, Scope::Account];

    fn name(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Runs => "runs",
            Scope::Data => "data",
            Scope::Account => "account",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scope {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Scope> {
        let found = Scope::ALL.into_iter().find(|scope| scope.name() == text);
        match found {
            Some(scope) => Ok(scope),
            None => bail!("{text:?} is no scope of a token; use read, runs, data or account"),
        }
    }
}

/// A token as it is listed, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct TokenInfo {
    /// The start of the token's hash, by which it is revoked.
    pub(crate) id: String,
    /// What it is for.
    pub(crate) label: String,
    /// What it allows.
    pub(crate) scopes: Vec<Scope>,
    /// When it was made, in seconds since 1970.
    pub(crate) created_s: i64,
    /// When it ends, in seconds since 1970; never, if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_s: Option<i64>,
}

/// Hexadecimal digits of a token's hash that name it.
const ID_DIGITS: usize = 16;

fn scopes_of(text: &str) -> BTreeSet<Scope> {
    let parts = text.split(',').filter_map(|part| part.parse().ok());
    parts.collect()
}

impl Home {
    /// Makes a token for a user and returns it. It is stored only hashed, so nobody can show it again.
    pub(crate) async fn add_token(
        &self,
        user: &str,
        label: &str,
        scopes: &BTreeSet<Scope>,
        expires_s: Option<i64>,
    ) -> Result<String> {
        let token = format!("{PREFIX}{}", hex::encode(random_bytes()?));
        let scopes: Vec<&str> = scopes.iter().map(|scope| scope.name()).collect();
        sqlx::query(
            "INSERT INTO tokens (hash, owner, label, scopes, created_s, expires_s)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(hash(&token))
        .bind(user)
        .bind(label)
        .bind(scopes.join(","))
        .bind(now_s())
        .bind(expires_s)
        .execute(&self.database.pool)
        .await?;
        Ok(token)
    }

    /// The user of a token and what it allows; `None` if it was never made, revoked, or has expired.
    pub(crate) async fn token(&self, token: &str) -> Result<Option<(User, BTreeSet<Scope>)>> {
        let row = sqlx::query(
            "SELECT owner, scopes FROM tokens
             WHERE hash = $1 AND (expires_s IS NULL OR expires_s > $2)",
        )
        .bind(hash(token))
        .bind(now_s())
        .fetch_optional(&self.database.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let (owner, scopes): (String, String) = (row.try_get("owner")?, row.try_get("scopes")?);
        let user = self.user(&owner).await?;
        Ok(user.map(|user| (user, scopes_of(&scopes))))
    }

    /// The tokens of a user, the newest first.
    pub(crate) async fn tokens(&self, user: &str) -> Result<Vec<TokenInfo>> {
        let rows =
            sqlx::query("SELECT * FROM tokens WHERE owner = $1 ORDER BY created_s DESC, hash")
                .bind(user)
                .fetch_all(&self.database.pool)
                .await?;
        let info = |row: &sqlx::any::AnyRow| -> Result<TokenInfo> {
            let (hash, scopes): (String, String) = (row.try_get("hash")?, row.try_get("scopes")?);
            Ok(TokenInfo {
                id: hash.chars().take(ID_DIGITS).collect(),
                label: row.try_get("label")?,
                scopes: scopes_of(&scopes).into_iter().collect(),
                created_s: row.try_get("created_s")?,
                expires_s: row.try_get("expires_s")?,
            })
        };
        rows.iter().map(info).collect()
    }

    /// Revokes a token of a user; false if there is none with this id.
    pub(crate) async fn revoke_token(&self, user: &str, id: &str) -> Result<bool> {
        let revoked =
            sqlx::query("DELETE FROM tokens WHERE owner = $1 AND substr(hash, 1, 16) = $2")
                .bind(user)
                .bind(id)
                .execute(&self.database.pool)
                .await?;
        Ok(revoked.rows_affected() > 0)
    }
}
