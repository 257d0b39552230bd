//! The data sets of a home, each stored once by its digest, however many users have it.

use std::path::Path;

use anyhow::Result;
use naschain_core::Digest;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::files::write_whole;
use crate::home::{Home, class_names_path, data_path, now_s};

/// A data set of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredData {
    pub(crate) digest: Digest,
    pub(crate) owner: String,
    /// What its owner calls it.
    pub(crate) name: String,
    /// The name of its format, as runs have it, such as `folder-3x32x32`.
    pub(crate) kind: String,
    /// Under what terms others may use it, in its owner's words.
    pub(crate) licence: String,
    /// Whether everybody may use it.
    pub(crate) is_public: bool,
    pub(crate) bytes: u64,
    pub(crate) train_images: u64,
    pub(crate) test_images: u64,
    pub(crate) classes: u64,
    pub(crate) created_s: i64,
}

impl StoredData {
    fn from_row(row: &AnyRow) -> Result<StoredData> {
        let text = |column: &str| -> Result<String> { Ok(row.try_get(column)?) };
        let number =
            |column: &str| -> Result<u64> { Ok(u64::try_from(row.try_get::<i64, _>(column)?)?) };
        Ok(StoredData {
            digest: text("digest")?.parse()?,
            owner: text("owner")?,
            name: text("name")?,
            kind: text("kind")?,
            licence: text("licence")?,
            is_public: number("is_public")? != 0,
            bytes: number("bytes")?,
            train_images: number("train_images")?,
            test_images: number("test_images")?,
            classes: number("classes")?,
            created_s: row.try_get("created_s")?,
        })
    }
}

impl Home {
    /// Stores a data set of a user whose file is `packed`, or changes its name, licence and visibility.
    /// The file is moved. Returns why not, if the user would then have more than `max_bytes` bytes.
    pub(crate) async fn store_data(
        &self,
        data: &StoredData,
        packed: &Path,
        class_names: &[String],
        max_bytes: u64,
    ) -> Result<Option<String>> {
        let (path, names_path) = (data_path(data.digest), class_names_path(data.digest));
        write_whole(
            &self.files.local(&names_path),
            &serde_json::to_vec(class_names)?,
        )?;
        loop {
            // Before the transaction, because it may take minutes.
            self.files.publish(packed, &path).await?;
            let names = self.files.local(&names_path);
            self.files.publish(&names, &names_path).await?;
            let mut transaction = self.database.exclusive().await?;
            // Its last user may have deleted it meanwhile.
            if !self.files.is_published(&path).await? {
                continue;
            }
            if let Some(reason) = over_quota(&mut transaction, data, max_bytes).await? {
                drop(transaction);
                self.drop_unused_data(data.digest).await?;
                return Ok(Some(reason));
            }
            // Also over one that is there, which may be damaged.
            std::fs::rename(packed, self.files.local(&path))?;
            crate::files::sync_folder(&self.files.local(&path))?;
            add_data(&mut transaction, data).await?;
            transaction.commit().await?;
            return Ok(None);
        }
    }

    /// The data set with this digest that this user may use: the user's own, or a public one.
    pub(crate) async fn data_for(&self, digest: Digest, user: &str) -> Result<Option<StoredData>> {
        let row = sqlx::query(
            "SELECT * FROM data_sets WHERE digest = $1 AND (owner = $2 OR is_public = 1)
             ORDER BY CASE WHEN owner = $2 THEN 0 ELSE 1 END, created_s LIMIT 1",
        )
        .bind(digest.to_string())
        .bind(user)
        .fetch_optional(&self.database.pool)
        .await?;
        row.as_ref().map(StoredData::from_row).transpose()
    }

    /// The data sets that a user may use, by name.
    pub(crate) async fn data_sets(&self, user: &str) -> Result<Vec<StoredData>> {
        let rows = sqlx::query(
            "SELECT * FROM data_sets WHERE owner = $1 OR is_public = 1 ORDER BY name, digest LIMIT 10000",
        )
        .bind(user)
        .fetch_all(&self.database.pool)
        .await?;
        rows.iter().map(StoredData::from_row).collect()
    }

    /// The bytes of all data sets of a user.
    pub(crate) async fn stored_bytes(&self, user: &str) -> Result<u64> {
        let bytes: i64 = sqlx::query_scalar(
            "SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM data_sets WHERE owner = $1",
        )
        .bind(user)
        .fetch_one(&self.database.pool)
        .await?;
        Ok(u64::try_from(bytes)?)
    }

    /// Whether a run of this user is on a data set.
    pub(crate) async fn is_data_used(&self, digest: Digest, user: &str) -> Result<bool> {
        let runs: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM runs WHERE data = $1 AND owner = $2")
                .bind(digest.to_string())
                .bind(user)
                .fetch_one(&self.database.pool)
                .await?;
        Ok(runs > 0)
    }

    /// Forgets a data set of a user; false if there is none, or a run of the user is on it.
    pub(crate) async fn delete_data(&self, digest: Digest, user: &str) -> Result<bool> {
        let deleted = sqlx::query(
            "DELETE FROM data_sets WHERE digest = $1 AND owner = $2
             AND NOT EXISTS (SELECT 1 FROM runs WHERE data = $1 AND owner = $2)",
        )
        .bind(digest.to_string())
        .bind(user)
        .execute(&self.database.pool)
        .await?;
        Ok(deleted.rows_affected() == 1)
    }

    /// Deletes the file of a data set that no user and no run needs any more.
    pub(crate) async fn drop_unused_data(&self, digest: Digest) -> Result<()> {
        // Nobody adds it meanwhile.
        let mut transaction = self.database.exclusive().await?;
        let needed: i64 = sqlx::query_scalar(
            "SELECT (SELECT COUNT(*) FROM data_sets WHERE digest = $1)
                  + (SELECT COUNT(*) FROM runs WHERE data = $1)",
        )
        .bind(digest.to_string())
        .fetch_one(&mut *transaction)
        .await?;
        if needed == 0 {
            self.files.delete(&data_path(digest)).await?;
            self.files.delete(&class_names_path(digest)).await?;
        }
        Ok(transaction.commit().await?)
    }
}

/// Why its owner's quota has no room for a data set, if it has none.
async fn over_quota(
    connection: &mut AnyConnection,
    data: &StoredData,
    max_bytes: u64,
) -> Result<Option<String>> {
    let others: i64 = sqlx::query_scalar(
        "SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM data_sets
         WHERE owner = $1 AND digest <> $2",
    )
    .bind(&data.owner)
    .bind(data.digest.to_string())
    .fetch_one(connection)
    .await?;
    let left = max_bytes.saturating_sub(u64::try_from(others)?);
    Ok((data.bytes > left).then(|| {
        let bytes = data.bytes;
        format!("it takes {bytes} bytes, and {left} of the quota of {max_bytes} are left")
    }))
}

/// Adds a data set of a user, or changes its name, licence and visibility.
async fn add_data(connection: &mut AnyConnection, data: &StoredData) -> Result<()> {
    sqlx::query(
        "INSERT INTO data_sets
           (digest, owner, name, kind, licence, is_public, bytes, train_images, test_images, classes, created_s)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         ON CONFLICT (digest, owner) DO UPDATE
         SET name = excluded.name, licence = excluded.licence, is_public = excluded.is_public",
    )
    .bind(data.digest.to_string())
    .bind(&data.owner)
    .bind(&data.name)
    .bind(&data.kind)
    .bind(&data.licence)
    .bind(i64::from(data.is_public))
    .bind(i64::try_from(data.bytes)?)
    .bind(i64::try_from(data.train_images)?)
    .bind(i64::try_from(data.test_images)?)
    .bind(i64::try_from(data.classes)?)
    .bind(now_s())
    .execute(connection)
    .await?;
    Ok(())
}
