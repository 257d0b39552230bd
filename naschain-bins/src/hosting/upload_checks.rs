//! Checking complete uploads, each in a process of its own that is killed when it takes too much.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use naschain_core::Digest;
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::home::data_sets::StoredData;
use crate::home::uploads::{Upload, UploadResult};
use crate::hosting::host::Host;
use crate::printable::printable_lines;

/// Processor time of a check, at most.
const MAX_SECONDS: u64 = 600;
/// Time of a check, at most, after which it is killed.
const MAX_TIME: Duration = Duration::from_secs(1_200);
/// Pause before an upload that could not be checked or stored is checked again.
const RETRY: Duration = Duration::from_secs(10);
/// Memory of a check, at most.
const MAX_MEMORY_BYTES: u64 = 8 << 30;
/// Bytes of what it says that are read, at most.
const MAX_OUTPUT_BYTES: usize = 1 << 20;

/// What a check finds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CheckedData {
    pub(crate) digest: Digest,
    pub(crate) kind: String,
    pub(crate) bytes: u64,
    pub(crate) train_images: u64,
    pub(crate) test_images: u64,
    pub(crate) classes: u64,
    pub(crate) class_names: Vec<String>,
}

/// An upload that cannot be used, for this reason.
fn refused(upload: &Upload, reason: &str) -> UploadResult {
    let reason = printable_lines(reason).into_owned();
    tracing::warn!("the upload {} of {}: {reason}", upload.name, upload.owner);
    UploadResult::Refused(reason)
}

impl Host {
    /// Checks the uploads that were complete, and not checked, when the genomaster ended.
    pub(crate) fn resume_checks(self: &Arc<Host>) {
        for upload in self.home.all_uploads() {
            let is_checked = self.home.upload_result(&upload).is_some();
            if !is_checked && self.home.upload_offset(&upload) == upload.bytes {
                self.check(upload);
            }
        }
    }

    /// Begins to check a complete upload, unless that has begun.
    pub(crate) fn check(self: &Arc<Host>, upload: Upload) {
        if !self.checks.running().insert(upload.id.clone()) {
            return;
        }
        let host = self.clone();
        tokio::spawn(async move {
            let ended = match host.checked(&upload).await {
                Ok(result) => host.home.end_upload(&upload, &result).await,
                // Nothing is wrong with the upload: it is checked again when somebody asks for it.
                Err(error) => Err(error),
            };
            if let Err(error) = ended {
                tracing::error!("the upload {} of {}: {error:#}", upload.name, upload.owner);
                tokio::time::sleep(RETRY).await;
            }
            host.checks.running().remove(&upload.id);
        });
    }

    async fn checked(&self, upload: &Upload) -> Result<UploadResult> {
        let turn = self.checks.turn.acquire().await;
        let _turn = turn.context("the genomaster is stopping")?;
        let user = self.home.user(&upload.owner).await?;
        let user = user.with_context(|| format!("there is no user {}", upload.owner))?;
        let used = self.home.stored_bytes(&user.name).await?;
        let free = user.quota.max_bytes.saturating_sub(used);
        let work = self.home.upload_work_dir(upload);
        let _ = std::fs::remove_dir_all(&work);
        std::fs::create_dir_all(&work)?;
        let checked = match self.run_check(upload, free).await {
            Ok(checked) => checked,
            Err(error) => return Ok(refused(upload, &format!("{error:#}"))),
        };
        let data = StoredData {
            digest: checked.digest,
            owner: upload.owner.clone(),
            name: upload.name.clone(),
            kind: checked.kind,
            licence: upload.licence.clone(),
            is_public: upload.is_public,
            bytes: checked.bytes,
            train_images: checked.train_images,
            test_images: checked.test_images,
            classes: checked.classes,
            created_s: 0,
        };
        let (packed, names) = (work.join("packed"), &checked.class_names);
        let quota = user.quota.max_bytes;
        let stored = self.home.store_data(&data, &packed, names, quota).await?;
        if let Some(reason) = stored {
            return Ok(refused(upload, &reason));
        }
        tracing::info!(
            "{} has data set {} ({})",
            data.owner,
            data.name,
            data.digest
        );
        Ok(UploadResult::Stored(data.digest))
    }

    /// Runs `genomaster check-upload`.
    async fn run_check(&self, upload: &Upload, max_bytes: u64) -> Result<CheckedData> {
        let program = std::env::current_exe()?.display().to_string();
        // Of a program that was replaced by an update.
        let program = program.trim_end_matches(" (deleted)");
        let mut command = Command::new(program);
        command
            .arg("check-upload")
            .arg("--file")
            .arg(self.home.upload_content(upload))
            .arg("--work")
            .arg(self.home.upload_work_dir(upload))
            .args(["--max-bytes", &max_bytes.to_string()])
            .args(["--max-memory", &MAX_MEMORY_BYTES.to_string()])
            .args(["--max-seconds", &MAX_SECONDS.to_string()])
            // Nothing of the genomaster's environment, which may hold secrets.
            .env_clear()
            // Closed when this process ends, however it ends; the check ends then too.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if upload.skip_bad {
            command.arg("--skip-bad");
        }
        if let Some(size) = &upload.image_size {
            command.args(["--image-size", size]);
        }
        let mut child = command.spawn().context("the check cannot be started")?;
        let _open = child.stdin.take();
        let ended = tokio::time::timeout(MAX_TIME, child.wait_with_output()).await;
        let Ok(ended) = ended else {
            bail!("reading it took longer than {MAX_TIME:?}");
        };
        let ended = ended?;
        let text = |bytes: &[u8]| {
            let bytes = &bytes[..bytes.len().min(MAX_OUTPUT_BYTES)];
            String::from_utf8_lossy(bytes).trim().to_owned()
        };
        if !ended.status.success() {
            // Where it was unpacked is nobody's business.
            let work = self.home.upload_work_dir(upload).display().to_string();
            let said = text(&ended.stderr).replace(&format!("{work}/files"), "the archive");
            let said = said.replace(&work, "the upload");
            let said = said.trim_start_matches("error: ");
            if ended.status.code().is_none() || said.is_empty() {
                bail!(
                    "reading it takes more than {MAX_MEMORY_BYTES} bytes of memory, {MAX_SECONDS} s of processor time, or {max_bytes} bytes on disk, which is what the quota leaves"
                );
            }
            bail!("{said}");
        }
        Ok(serde_json::from_str(&text(&ended.stdout))?)
    }
}
