//! The data set that a miner or validator loaded last.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use naschain_core::Digest;
use naschain_run::RunSpec;
use naschain_train::Dataset;
use tokio::sync::Mutex;

use crate::client::data_downloads::DataDownloads;
use crate::dataset::{in_memory, load};
use crate::journal::run_folder::check_data;

/// Loads data sets of runs, and keeps the last one, which all workers of a miner share. One is enough,
/// because a miner works for one run at a time.
#[derive(Default)]
pub struct DatasetCache {
    last: Mutex<Option<(Digest, Arc<Dataset>)>>,
    /// Where a data set that this machine does not have is downloaded.
    downloads: Option<DataDownloads>,
}

impl DatasetCache {
    /// Loads data sets from the files of this machine, or else downloads them.
    pub fn with_downloads(downloads: Option<DataDownloads>) -> DatasetCache {
        DatasetCache {
            last: Mutex::default(),
            downloads,
        }
    }

    /// The data set of a run: the one that was loaded last, from files of this machine, or downloaded.
    /// A part (train, test) of it is kept decoded in memory if it takes at most `keep_mib` MiB.
    ///
    /// # Errors
    /// If neither this machine nor the genomaster has it.
    pub async fn get(
        &self,
        spec: &RunSpec,
        dir: Option<PathBuf>,
        keep_mib: u64,
    ) -> Result<Arc<Dataset>> {
        let digest = spec.data.digest;
        // Locked while loading, so that workers that start together load it once.
        let mut last = self.last.lock().await;
        if let Some((_, dataset)) = last.as_ref().filter(|(found, _)| *found == digest) {
            return Ok(dataset.clone());
        }
        let name = spec.data.name.parse()?;
        // In a blocking thread: reading and decoding files must not delay heartbeats.
        let own = move || load(&name, dir.as_deref(), keep_mib);
        let own = tokio::task::spawn_blocking(own).await?;
        let own = own.and_then(|dataset| check_data(spec, &dataset).map(|()| dataset));
        if let (Err(error), Some(_)) = (&own, &self.downloads) {
            tracing::info!("{error:#}");
        }
        let dataset = match (own, &self.downloads) {
            (Ok(dataset), _) => dataset,
            (Err(error), None) => return Err(error),
            (Err(error), Some(downloads)) => {
                let downloaded = self.download(downloads, spec, keep_mib).await;
                downloaded.with_context(|| format!("{error:#}; it cannot be downloaded either"))?
            }
        };
        let dataset = Arc::new(dataset);
        *last = Some((digest, dataset.clone()));
        Ok(dataset)
    }

    async fn download(
        &self,
        downloads: &DataDownloads,
        spec: &RunSpec,
        keep_mib: u64,
    ) -> Result<Dataset> {
        let mut result = self.load_downloaded(downloads, spec, keep_mib).await;
        if result.is_err() {
            // Once more: what an earlier download left may be damaged.
            downloads.forget(spec.data.digest);
            result = self.load_downloaded(downloads, spec, keep_mib).await;
        }
        result
    }

    async fn load_downloaded(
        &self,
        downloads: &DataDownloads,
        spec: &RunSpec,
        keep_mib: u64,
    ) -> Result<Dataset> {
        let path = downloads.file(spec.data.digest).await?;
        let name = spec.data.name.clone();
        let load = move || in_memory(Dataset::load_packed(name, &path)?, keep_mib);
        let loaded = tokio::task::spawn_blocking(load).await?;
        let checked = loaded.and_then(|dataset| check_data(spec, &dataset).map(|()| dataset));
        checked.context("what was downloaded is not the data set of the run")
    }
}
