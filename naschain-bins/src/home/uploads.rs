//! Uploads in progress: files that arrive in parts and survive a restart.
//!
//! An upload is a folder with what was announced, and with as much of the content as has arrived: the
//! length of that file is the offset from which the upload goes on.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use naschain_core::Digest;
use serde::{Deserialize, Serialize};

use crate::files::{create_folder, write_whole};
use crate::home::{Home, now_s};
use crate::random::random_bytes;

/// Hexadecimal digits of an upload's id.
const ID_DIGITS: usize = 32;
const META_FILE: &str = "upload.json";
const CONTENT_FILE: &str = "content";
const RESULT_FILE: &str = "result.json";
/// Uploads of a user that have not ended, at most.
const MAX_UPLOADS: i64 = 10;
/// An upload that was begun as long ago is deleted.
const MAX_AGE_S: i64 = 7 * 86_400;

/// What was announced of an upload.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upload {
    pub(crate) id: String,
    pub(crate) owner: String,
    /// What the data set is to be called.
    pub(crate) name: String,
    /// The name of the file, whose ending says what it is.
    pub(crate) file_name: String,
    pub(crate) bytes: u64,
    pub(crate) licence: String,
    pub(crate) is_public: bool,
    /// Size to which pictures are scaled, as `--image-size` has it.
    pub(crate) image_size: Option<String>,
    /// Whether pictures that cannot be read are left out.
    pub(crate) skip_bad: bool,
    pub(crate) created_s: i64,
}

/// What became of an upload that was to begin.
#[derive(Debug)]
pub(crate) enum BegunUpload {
    Begun(Box<Upload>),
    /// Its owner has as many that have not ended.
    TooMany(i64),
    /// It is larger than the rest of its owner's quota, which is `left` bytes.
    TooLarge {
        left: u64,
    },
}

/// What became of a complete upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UploadResult {
    /// It is the data set with this digest.
    Stored(Digest),
    /// It is no data set that can be used, for this reason.
    Refused(String),
}

impl Home {
    /// By owner, so that nobody's requests take longer for what others have uploaded.
    fn upload_dir(&self, owner: &str, id: &str) -> PathBuf {
        self.dir.join("uploads").join(owner).join(id)
    }

    /// The file that holds what has arrived.
    pub(crate) fn upload_content(&self, upload: &Upload) -> PathBuf {
        self.upload_dir(&upload.owner, &upload.id)
            .join(CONTENT_FILE)
    }

    /// The folder in which an upload is unpacked.
    pub(crate) fn upload_work_dir(&self, upload: &Upload) -> PathBuf {
        self.upload_dir(&upload.owner, &upload.id).join("work")
    }

    /// Begins an upload, unless its owner has too many, or less than its size is left of `max_bytes`;
    /// `created_s` and the rest of `id`, which says how it begins, are set here.
    pub(crate) async fn begin_upload(
        &self,
        mut upload: Upload,
        max_bytes: u64,
    ) -> Result<BegunUpload> {
        let drawn = hex::encode(random_bytes()?);
        upload.id.push_str(&drawn);
        upload.id.truncate(ID_DIGITS);
        upload.created_s = now_s();
        // So that several together, also at several genomasters, cannot exceed a limit.
        let mut transaction = self.database.exclusive().await?;
        sqlx::query("DELETE FROM uploads WHERE created_s < $1")
            .bind(now_s() - MAX_AGE_S)
            .execute(&mut *transaction)
            .await?;
        let (count, announced, stored): (i64, i64, i64) = sqlx::query_as(
            "SELECT COUNT(*), CAST(COALESCE(SUM(bytes), 0) AS BIGINT),
               (SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM data_sets WHERE owner = $1)
             FROM uploads WHERE owner = $1",
        )
        .bind(&upload.owner)
        .fetch_one(&mut *transaction)
        .await?;
        if count >= MAX_UPLOADS {
            return Ok(BegunUpload::TooMany(count));
        }
        let left = max_bytes.saturating_sub(u64::try_from(announced + stored)?);
        if upload.bytes > left {
            return Ok(BegunUpload::TooLarge { left });
        }
        sqlx::query("INSERT INTO uploads (id, owner, bytes, created_s) VALUES ($1, $2, $3, $4)")
            .bind(&upload.id)
            .bind(&upload.owner)
            .bind(i64::try_from(upload.bytes)?)
            .bind(upload.created_s)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        let dir = self.upload_dir(&upload.owner, &upload.id);
        create_folder(&dir)?;
        File::create(dir.join(CONTENT_FILE))?;
        // Last: a folder without it is no upload.
        write_whole(&dir.join(META_FILE), &serde_json::to_vec(&upload)?)?;
        Ok(BegunUpload::Begun(Box::new(upload)))
    }

    /// An upload takes no room any more.
    async fn release_upload(&self, upload: &Upload) -> Result<()> {
        sqlx::query("DELETE FROM uploads WHERE id = $1")
            .bind(&upload.id)
            .execute(&self.database.pool)
            .await?;
        Ok(())
    }

    /// The upload of this user with this id.
    pub(crate) fn upload(&self, owner: &str, id: &str) -> Option<Upload> {
        // No other text is part of a path.
        let is_id = id.len() == ID_DIGITS && id.chars().all(|c| c.is_ascii_hexdigit());
        let meta = is_id.then(|| self.upload_dir(owner, id).join(META_FILE))?;
        serde_json::from_slice(&std::fs::read(meta).ok()?).ok()
    }

    /// How many bytes of an upload have arrived.
    pub(crate) fn upload_offset(&self, upload: &Upload) -> u64 {
        let content = std::fs::metadata(self.upload_content(upload));
        content.map_or(upload.bytes, |content| content.len())
    }

    /// Appends to what has arrived.
    pub(crate) fn append_upload(&self, upload: &Upload, bytes: &[u8]) -> Result<()> {
        let path = self.upload_content(upload);
        let context = || format!("cannot write {}", path.display());
        let mut file = File::options()
            .append(true)
            .open(&path)
            .with_context(context)?;
        let arrived = file.metadata().with_context(context)?.len();
        ensure!(
            arrived + bytes.len() as u64 <= upload.bytes,
            "more bytes were sent than the {} that were announced",
            upload.bytes
        );
        file.write_all(bytes).with_context(context)
    }

    /// Waits until what has arrived is on disk.
    pub(crate) fn sync_upload(&self, upload: &Upload) -> Result<()> {
        crate::files::sync_file(&self.upload_content(upload))
    }

    /// What became of a complete upload, once it was checked.
    pub(crate) fn upload_result(&self, upload: &Upload) -> Option<UploadResult> {
        let result =
            std::fs::read(self.upload_dir(&upload.owner, &upload.id).join(RESULT_FILE)).ok()?;
        serde_json::from_slice(&result).ok()
    }

    /// Stores what became of an upload, whose content is not needed any more.
    pub(crate) async fn end_upload(&self, upload: &Upload, result: &UploadResult) -> Result<()> {
        let dir = self.upload_dir(&upload.owner, &upload.id);
        write_whole(&dir.join(RESULT_FILE), &serde_json::to_vec(result)?)?;
        let _ = std::fs::remove_file(dir.join(CONTENT_FILE));
        let _ = std::fs::remove_dir_all(self.upload_work_dir(upload));
        self.release_upload(upload).await
    }

    /// Deletes an upload.
    pub(crate) async fn delete_upload(&self, upload: &Upload) -> Result<()> {
        self.delete_upload_folder(upload)?;
        self.release_upload(upload).await
    }

    fn delete_upload_folder(&self, upload: &Upload) -> Result<()> {
        let dir = self.upload_dir(&upload.owner, &upload.id);
        std::fs::remove_dir_all(&dir).with_context(|| format!("cannot delete {}", dir.display()))
    }

    /// The uploads of all users.
    pub(crate) fn all_uploads(&self) -> Vec<Upload> {
        let owners = std::fs::read_dir(self.dir.join("uploads"));
        let owners = owners.into_iter().flatten().flatten();
        let names = owners.filter_map(|entry| entry.file_name().into_string().ok());
        names.flat_map(|owner| self.uploads(&owner)).collect()
    }

    /// The uploads of a user; those that were begun long ago are deleted.
    pub(crate) fn uploads(&self, owner: &str) -> Vec<Upload> {
        let folders = std::fs::read_dir(self.dir.join("uploads").join(owner));
        let ids = folders.into_iter().flatten().filter_map(|entry| {
            let name = entry.ok()?.file_name();
            name.into_string().ok()
        });
        let mut found = Vec::new();
        for upload in ids.filter_map(|id| self.upload(owner, &id)) {
            if now_s() - upload.created_s > MAX_AGE_S {
                let _ = self.delete_upload_folder(&upload);
            } else {
                found.push(upload);
            }
        }
        found
    }
}
