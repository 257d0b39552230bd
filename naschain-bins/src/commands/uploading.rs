//! Uploading a file to a genomaster with many runs.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use naschain_core::Digest;

use crate::client::users::UserClient;
use crate::hosting::upload_routes::{NewUpload, UploadInfo, UploadState};
use crate::printable::printable;

/// How often the genomaster is asked whether it has read an upload.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// Uploads a file, going on with an upload of the same `file_name` that was interrupted, and waits until
/// the genomaster has read it. Returns the digest of the data set.
pub(super) async fn send(client: &UserClient, new: &NewUpload, file: &Path) -> Result<Digest> {
    let known: Vec<UploadInfo> = client.get("/v1/uploads").await?;
    let is_same =
        |one: &UploadInfo| one.state == UploadState::Receiving && one.file_name == new.file_name;
    let begun = match known.into_iter().find(is_same) {
        Some(begun) => begun,
        None => client.post("/v1/uploads", new).await?,
    };
    tracing::info!("uploading {} MiB", new.bytes.div_ceil(1 << 20));
    let mut told = 0;
    let shown = |arrived: u64| {
        let tenth = arrived * 10 / new.bytes.max(1);
        if tenth > told {
            told = tenth;
            tracing::info!("{tenth}0 % uploaded");
        }
    };
    client.upload(&begun.id, file, shown).await?;
    loop {
        let info: UploadInfo = client.get(&format!("/v1/uploads/{}", begun.id)).await?;
        match info.state {
            UploadState::Stored => return info.data.context("the genomaster gave no digest"),
            UploadState::Refused => {
                let problem = info.problem.unwrap_or_default();
                bail!("the genomaster refused the data: {}", printable(&problem));
            }
            UploadState::Receiving | UploadState::Checking => {}
        }
        tokio::time::sleep(CHECK_INTERVAL).await;
    }
}

/// A name of a file that another one does not have, nor the same one with other settings.
pub(super) fn named_by_content(
    file: &Path,
    image_size: &Option<String>,
    skip_bad: bool,
    licence: &str,
) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    let opened = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    hasher.update_reader(opened)?;
    hasher.update(format!("{image_size:?} {skip_bad} {licence}").as_bytes());
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    // `.tar.gz` is one ending.
    let ending = if name.ends_with(".tar.gz") {
        "tar.gz"
    } else {
        name.rsplit('.').next().unwrap_or_default()
    };
    Ok(format!("{}.{ending}", hasher.finalize().to_hex()))
}
