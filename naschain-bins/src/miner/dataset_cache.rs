//! The data set that a miner loaded last.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use naschain_train::{DataName, Dataset};
use tokio::sync::Mutex;

use crate::dataset;

/// Caches one data set, which all workers of a miner share. One is enough, because a miner works
/// for one run at a time.
#[derive(Default)]
pub struct DatasetCache(Mutex<Option<(DataName, Arc<Dataset>)>>);

impl DatasetCache {
    /// Returns the data set of this name; loads it if it is not the cached one.
    pub async fn get(
        &self,
        name: &DataName,
        dir: Option<PathBuf>,
        keep_mib: u64,
    ) -> Result<Arc<Dataset>> {
        // Locked while loading, so that workers that start together load it once.
        let mut cached = self.0.lock().await;
        if let Some((_, dataset)) = cached.as_ref().filter(|(cached, _)| cached == name) {
            return Ok(dataset.clone());
        }
        let wanted = name.clone();
        let load = move || dataset::load(&wanted, dir.as_deref(), keep_mib);
        // In a blocking thread: reading and decoding files must not delay heartbeats.
        let dataset = Arc::new(tokio::task::spawn_blocking(load).await??);
        *cached = Some((name.clone(), dataset.clone()));
        Ok(dataset)
    }
}
