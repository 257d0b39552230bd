//! Sessions of people who have signed in with a browser: stored under the hash of their id.

use async_trait::async_trait;
use sqlx::{AnyPool, Row};
use tower_sessions::SessionStore;
use tower_sessions::cookie::time::OffsetDateTime;
use tower_sessions::session::{Id, Record};
use tower_sessions::session_store::{Error, Result};

use crate::home::secrets::hash;
use crate::home::{Home, now_s};

/// The name under which a session has its user.
pub(crate) const SESSION_USER: &str = "user";

/// The sessions in the database of a home.
#[derive(Clone, Debug)]
pub(crate) struct HomeSessions {
    pool: AnyPool,
}

impl Home {
    /// Where sessions are stored.
    pub(crate) fn sessions(&self) -> HomeSessions {
        HomeSessions {
            pool: self.database.pool.clone(),
        }
    }

    /// Forgets sessions that have expired.
    pub(crate) async fn delete_expired_sessions(&self) -> anyhow::Result<()> {
        sqlx::query("DELETE FROM sessions WHERE expires_s <= $1")
            .bind(now_s())
            .execute(&self.database.pool)
            .await?;
        Ok(())
    }
}

fn backend(error: sqlx::Error) -> Error {
    Error::Backend(error.to_string())
}

impl HomeSessions {
    /// Stores a session; false if there is one with its id and it may not be replaced.
    async fn store(&self, record: &Record, replace: bool) -> Result<bool> {
        let data = serde_json::to_string(&record.data);
        let data = data.map_err(|error| Error::Encode(error.to_string()))?;
        let done = sqlx::query(
            "INSERT INTO sessions (hash, data, expires_s) VALUES ($1, $2, $3)
             ON CONFLICT (hash) DO UPDATE
             SET data = excluded.data, expires_s = excluded.expires_s WHERE $4 = 1",
        )
        .bind(hash(&record.id.to_string()))
        .bind(data)
        .bind(record.expiry_date.unix_timestamp())
        .bind(i64::from(replace))
        .execute(&self.pool)
        .await
        .map_err(backend)?;
        Ok(done.rows_affected() == 1)
    }
}

#[async_trait]
impl SessionStore for HomeSessions {
    async fn create(&self, record: &mut Record) -> Result<()> {
        while !self.store(record, false).await? {
            record.id = Id::default();
        }
        Ok(())
    }

    async fn save(&self, record: &Record) -> Result<()> {
        self.store(record, true).await.map(drop)
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let row =
            sqlx::query("SELECT data, expires_s FROM sessions WHERE hash = $1 AND expires_s > $2")
                .bind(hash(&id.to_string()))
                .bind(now_s())
                .fetch_optional(&self.pool)
                .await
                .map_err(backend)?;
        let Some(row) = row else { return Ok(None) };
        let data: String = row.try_get("data").map_err(backend)?;
        let expires_s: i64 = row.try_get("expires_s").map_err(backend)?;
        let decode = |error: String| Error::Decode(error);
        Ok(Some(Record {
            id: *id,
            data: serde_json::from_str(&data).map_err(|error| decode(error.to_string()))?,
            expiry_date: OffsetDateTime::from_unix_timestamp(expires_s)
                .map_err(|error| decode(error.to_string()))?,
        }))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        sqlx::query("DELETE FROM sessions WHERE hash = $1")
            .bind(hash(&id.to_string()))
            .execute(&self.pool)
            .await
            .map_err(backend)?;
        Ok(())
    }
}
