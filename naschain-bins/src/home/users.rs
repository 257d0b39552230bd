//! Users: who may use a genomaster, and how much of it.

use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};
use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::home::invitations::use_invitation;
use crate::home::sessions::SESSION_USER;
use crate::home::{Home, now_s};
use crate::random::random_bytes;

/// Least number of characters of a password.
pub(crate) const MIN_PASSWORD: usize = 10;
/// Most bytes of a password, so that hashing it takes a bounded time.
const MAX_PASSWORD_BYTES: usize = 1024;
const MAX_NAME: usize = 64;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    /// Whether the user may see and change everything.
    pub(crate) is_admin: bool,
    /// The user's share of the miners is proportional to this.
    pub(crate) weight: u32,
    pub(crate) quota: Quota,
    /// Processor time of miners in all runs so far, in milliseconds.
    pub(crate) used_ms: u64,
}

/// What became of a user that was to be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddedUser {
    Added,
    NameTaken,
    /// The invitation was never made, was used, or has expired.
    NotInvited,
}

/// What a user may use at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quota {
    /// Bytes of data sets stored.
    pub(crate) max_bytes: u64,
    /// Runs that have not ended.
    pub(crate) max_runs: u32,
    /// Hours of miners' processors in all runs.
    pub(crate) max_hours: u32,
}

impl Default for Quota {
    fn default() -> Quota {
        Quota {
            max_bytes: 10 << 30,
            max_runs: 10,
            max_hours: 10_000,
        }
    }
}

impl User {
    /// A user with the usual limits.
    pub(crate) fn new(name: String, is_admin: bool) -> User {
        User {
            name,
            is_admin,
            weight: 1,
            quota: Quota::default(),
            used_ms: 0,
        }
    }

    /// Whether the user's runs have used all the processor time that they may.
    pub(crate) fn has_used_up_hours(&self) -> bool {
        self.used_ms >= u64::from(self.quota.max_hours) * 3_600_000
    }

    fn from_row(row: &AnyRow) -> Result<User> {
        let number = |column: &str| -> Result<i64> { Ok(row.try_get(column)?) };
        Ok(User {
            name: row.try_get("name")?,
            is_admin: number("is_admin")? != 0,
            weight: u32::try_from(number("weight")?)?,
            used_ms: u64::try_from(number("used_ms")?)?,
            quota: Quota {
                max_bytes: u64::try_from(number("max_bytes")?)?,
                max_runs: u32::try_from(number("max_runs")?)?,
                max_hours: u32::try_from(number("max_hours")?)?,
            },
        })
    }
}

/// Refuses a name that is not 1 to 64 characters of a-z 0-9 . _ -, the first a letter or digit: two
/// names must not look alike.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_right = (1..=MAX_NAME).contains(&name.len())
        && name.starts_with(plain)
        && name
            .chars()
            .all(|c| plain(c) || matches!(c, '.' | '_' | '-'));
    ensure!(
        is_right,
        "the name is {name:?}; it must be 1 to {MAX_NAME} characters of a-z 0-9 . _ -, beginning with a letter or digit"
    );
    Ok(())
}

impl Home {
    /// Adds a user; one without a password uses tokens only.
    ///
    /// # Errors
    /// If the name is taken or has a wrong form, or the password is too short.
    pub(crate) async fn add_user(&self, user: &User, password: Option<String>) -> Result<()> {
        let added = self.add_invited(user, password, None).await?;
        ensure!(
            added == AddedUser::Added,
            "there is a user {} already; choose another name",
            user.name
        );
        Ok(())
    }

    /// Adds a user who has this invitation, if one is needed. It is used up only if the user is added.
    ///
    /// # Errors
    /// If the name has a wrong form, or the password is too short.
    pub(crate) async fn add_invited(
        &self,
        user: &User,
        password: Option<String>,
        invitation: Option<&str>,
    ) -> Result<AddedUser> {
        check_name(&user.name)?;
        let _turn = self.hashing.acquire().await?;
        let password = match password {
            Some(password) => Some(hashed(password).await?),
            None => None,
        };
        let mut both = self.database.pool.begin().await?;
        if let Some(invitation) = invitation
            && !use_invitation(&mut both, invitation, &user.name).await?
        {
            return Ok(AddedUser::NotInvited);
        }
        let added = sqlx::query(
            "INSERT INTO users (name, password, is_admin, weight, max_bytes, max_runs, max_hours, used_ms, created_s)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8) ON CONFLICT (name) DO NOTHING",
        )
        .bind(&user.name)
        .bind(password)
        .bind(i64::from(user.is_admin))
        .bind(i64::from(user.weight))
        .bind(i64::try_from(user.quota.max_bytes)?)
        .bind(i64::from(user.quota.max_runs))
        .bind(i64::from(user.quota.max_hours))
        .bind(now_s())
        .execute(&mut *both)
        .await?;
        if added.rows_affected() == 0 {
            return Ok(AddedUser::NameTaken);
        }
        both.commit().await?;
        Ok(AddedUser::Added)
    }

    /// The user with this name.
    pub(crate) async fn user(&self, name: &str) -> Result<Option<User>> {
        let row = sqlx::query("SELECT * FROM users WHERE name = $1")
            .bind(name)
            .fetch_optional(&self.database.pool)
            .await?;
        row.as_ref().map(User::from_row).transpose()
    }

    /// All users by name.
    pub(crate) async fn users(&self) -> Result<Vec<User>> {
        let rows = sqlx::query("SELECT * FROM users ORDER BY name")
            .fetch_all(&self.database.pool)
            .await?;
        rows.iter().map(User::from_row).collect()
    }

    /// Changes what a user may do and use; false if there is no such user.
    pub(crate) async fn change_user(&self, user: &User) -> Result<bool> {
        let changed = sqlx::query(
            "UPDATE users SET is_admin = $2, weight = $3, max_bytes = $4, max_runs = $5, max_hours = $6
             WHERE name = $1",
        )
        .bind(&user.name)
        .bind(i64::from(user.is_admin))
        .bind(i64::from(user.weight))
        .bind(i64::try_from(user.quota.max_bytes)?)
        .bind(i64::from(user.quota.max_runs))
        .bind(i64::from(user.quota.max_hours))
        .execute(&self.database.pool)
        .await?;
        Ok(changed.rows_affected() == 1)
    }

    /// Gives a user another password, which ends the user's sessions; false if there is no such user.
    ///
    /// # Errors
    /// If the password is too short.
    pub(crate) async fn set_password(&self, user: &str, password: String) -> Result<bool> {
        let password = hashed(password).await?;
        let mut both = self.database.pool.begin().await?;
        let changed = sqlx::query("UPDATE users SET password = $2 WHERE name = $1")
            .bind(user)
            .bind(password)
            .execute(&mut *both)
            .await?;
        // Of the characters of names, only `_` has a meaning in patterns.
        let named = format!("%\"{SESSION_USER}\":\"{}\"%", user.replace('_', "!_"));
        sqlx::query("DELETE FROM sessions WHERE data LIKE $1 ESCAPE '!'")
            .bind(named)
            .execute(&mut *both)
            .await?;
        both.commit().await?;
        Ok(changed.rows_affected() == 1)
    }

    /// Adds to the processor time that a user's runs have used.
    pub(crate) async fn add_used(&self, user: &str, ms: u64) -> Result<()> {
        sqlx::query("UPDATE users SET used_ms = used_ms + $2 WHERE name = $1")
            .bind(user)
            .bind(i64::try_from(ms)?)
            .execute(&self.database.pool)
            .await?;
        Ok(())
    }

    /// Whether this is the password of this user. Takes as long for a user that does not exist, so that
    /// nobody learns the names.
    pub(crate) async fn is_password(&self, name: &str, password: String) -> Result<bool> {
        let stored: Option<Option<String>> =
            sqlx::query_scalar("SELECT password FROM users WHERE name = $1")
                .bind(name)
                .fetch_optional(&self.database.pool)
                .await?;
        let stored = stored.flatten();
        let is_known = stored.is_some();
        let _turn = self.hashing.acquire().await?;
        let verify = move || -> Result<bool> {
            let stored = match stored {
                Some(stored) => stored,
                None => of_nobody()?.to_owned(),
            };
            let stored = PasswordHash::new(&stored);
            let stored = stored.map_err(|error| anyhow::anyhow!("a stored password: {error}"))?;
            let is_right = Argon2::default().verify_password(password.as_bytes(), &stored);
            Ok(is_known && is_right.is_ok())
        };
        tokio::task::spawn_blocking(verify).await?
    }
}

/// A hash that is compared with the passwords of unknown users.
fn of_nobody() -> Result<&'static str> {
    static HASH: OnceLock<String> = OnceLock::new();
    if HASH.get().is_none() {
        let _ = HASH.set(hash(b"the password of nobody")?);
    }
    Ok(HASH.get().map_or("", String::as_str))
}

async fn hashed(password: String) -> Result<String> {
    let (length, bytes) = (password.chars().count(), password.len());
    ensure!(
        length >= MIN_PASSWORD && bytes <= MAX_PASSWORD_BYTES,
        "the password has {length} characters; it must have at least {MIN_PASSWORD}, and at most {MAX_PASSWORD_BYTES} bytes"
    );
    tokio::task::spawn_blocking(move || hash(password.as_bytes())).await?
}

/// By Argon2id with the parameters of its crate, which are those that OWASP recommends.
fn hash(password: &[u8]) -> Result<String> {
    let salt = SaltString::encode_b64(&random_bytes()?[..16])
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    let hash = Argon2::default().hash_password(password, &salt);
    let hash = hash.map_err(|error| anyhow::anyhow!("{error}"));
    Ok(hash.context("the password cannot be hashed")?.to_string())
}
