//! Data sets that a machine does not have, downloaded from the genomaster and kept in a folder.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use naschain_core::Digest;
use naschain_run::ProblemKind;

use crate::client::{Client, ClientError};
use crate::clock;
use crate::files::{delete_oldest, sync_file};
use crate::printable::printable;

/// Pause after a failed request.
const RETRY: Duration = Duration::from_secs(2);
/// How often in a row requests may fail.
const MAX_FAILURES: u32 = 30;
/// Time between two lines about a download.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// A folder of downloaded data sets, which several programs may use at a time.
#[derive(Clone, Debug)]
pub struct DataDownloads {
    client: Client,
    dir: PathBuf,
    limit_bytes: u64,
}

impl DataDownloads {
    /// Downloads from this genomaster into `dir`; above `limit_bytes` the data sets that were not used
    /// for the longest time are deleted.
    pub fn new(client: Client, dir: PathBuf, limit_bytes: u64) -> DataDownloads {
        DataDownloads {
            client,
            dir,
            limit_bytes,
        }
    }

    /// The file of the data set with this digest, downloaded unless it is there. Nothing shows yet that
    /// its content has this digest; [`DataDownloads::forget`] deletes it if not.
    pub(crate) async fn file(&self, digest: Digest) -> Result<PathBuf> {
        let (dir, path) = (&self.dir, self.path(digest));
        std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        if !path.is_file() {
            // Other programs wait here for the one that downloads.
            let lock = dir.join(format!("{digest}.lock"));
            let locked = tokio::task::spawn_blocking(move || -> std::io::Result<File> {
                let file = File::create(&lock)?;
                file.lock()?;
                Ok(file)
            });
            let _lock = locked.await?.context("cannot lock the data set's file")?;
            if !path.is_file() {
                self.download(digest, &path).await?;
            }
        }
        // When it was used last.
        let now = SystemTime::UNIX_EPOCH + Duration::from_nanos(clock::unix_nanos());
        let used = File::options().append(true).open(&path);
        let _ = used.and_then(|file| file.set_modified(now));
        delete_oldest(dir, self.limit_bytes, &path);
        Ok(path)
    }

    /// Deletes the file of a data set.
    pub(crate) fn forget(&self, digest: Digest) {
        let _ = std::fs::remove_file(self.path(digest));
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.dir.join(format!("{digest}.data"))
    }

    /// Downloads a file, from where an earlier attempt ended.
    async fn download(&self, digest: Digest, path: &Path) -> Result<()> {
        let partial = path.with_extension("part");
        let context = || format!("cannot write {}", partial.display());
        let opened = File::options().create(true).append(true).open(&partial);
        let mut file = opened.with_context(context)?;
        let mut received = file.metadata().with_context(context)?.len();
        let from = match received {
            0 => String::new(),
            bytes => format!(", from byte {bytes} on"),
        };
        tracing::info!("downloading data set {digest} from the genomaster{from}");
        let (mut failures, mut line) = (0, clock::now());
        loop {
            let (part, size) = match self.client.data(digest, received).await {
                Ok(found) => found,
                Err(ClientError::Unavailable(reason)) if failures < MAX_FAILURES => {
                    failures += 1;
                    tracing::debug!("the download is interrupted: {}", printable(&reason));
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
                Err(ClientError::Refused(problem))
                    if problem.kind == ProblemKind::BadQuery && received > 0 =>
                {
                    // What is there is not the beginning of this data set.
                    file.set_len(0).with_context(context)?;
                    received = 0;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            failures = 0;
            let size = size.context("the genomaster's response has no Content-Range")?;
            ensure!(
                size <= self.limit_bytes,
                "the data set has {}; --data-cache-limit is {}",
                shown(size),
                shown(self.limit_bytes)
            );
            if part.is_empty() {
                bail!("the genomaster's response is empty");
            }
            file.write_all(&part).with_context(context)?;
            received += part.len() as u64;
            if received >= size {
                break;
            }
            let now = clock::now();
            if now.duration_since(line) >= LINE_INTERVAL {
                line = now;
                tracing::info!("{} of {} downloaded", shown(received), shown(size));
            }
        }
        sync_file(&partial)?;
        std::fs::rename(&partial, path).with_context(|| format!("cannot write {}", path.display()))
    }
}

fn shown(bytes: u64) -> String {
    let (count, unit) = if bytes < 1 << 20 {
        (bytes.div_ceil(1 << 10), "KiB")
    } else {
        (bytes.div_ceil(1 << 20), "MiB")
    };
    format!("{count} {unit}")
}
