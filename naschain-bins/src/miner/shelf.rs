//! The data set that a miner read last.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use naschain_train::{DataName, Dataset};
use tokio::sync::Mutex;

use crate::cli::data_args;

/// A data set in memory, shared by the jobs of a miner.
#[derive(Default)]
pub struct Shelf(Mutex<Option<(DataName, Arc<Dataset>)>>);

impl Shelf {
    /// The data set of this name, read if it is not the one that is there.
    pub async fn get(
        &self,
        name: &DataName,
        dir: Option<PathBuf>,
        keep_mib: u64,
    ) -> Result<Arc<Dataset>> {
        // Whoever comes meanwhile waits for the one that reads.
        let mut shelf = self.0.lock().await;
        if let Some((_, dataset)) = shelf.as_ref().filter(|(known, _)| known == name) {
            return Ok(dataset.clone());
        }
        let wanted = name.clone();
        let load = move || data_args::load(&wanted, dir.as_deref(), keep_mib);
        let dataset = Arc::new(tokio::task::spawn_blocking(load).await??);
        *shelf = Some((name.clone(), dataset.clone()));
        Ok(dataset)
    }
}
