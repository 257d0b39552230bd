//! The data sets of the runs that are open.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use anyhow::{Result, ensure};
use naschain_core::Digest;
use naschain_train::{DataName, Dataset};

use crate::dataset::in_memory;
use crate::home::{class_names_path, data_path};
use crate::hosting::host::Host;

impl Host {
    /// The data set with this digest, which the genomaster has stored or which is the digits'.
    pub(crate) async fn dataset(&self, digest: Digest, kind: &str) -> Result<Arc<Dataset>> {
        // Locked while loading, so that runs that start together load it once.
        let mut datasets = self.datasets.lock().await;
        if let Some(dataset) = datasets.get(&digest).and_then(Weak::upgrade) {
            return Ok(dataset);
        }
        let (loaded, unused): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut *datasets)
            .into_iter()
            .partition(|(_, dataset)| dataset.strong_count() > 0);
        *datasets = loaded;
        for digest in unused.into_keys() {
            self.home.files.drop_copy(&data_path(digest));
            self.home.files.drop_copy(&class_names_path(digest));
        }
        let name: DataName = kind.parse()?;
        if name != DataName::Digits {
            self.home.files.fetch(&class_names_path(digest)).await?;
            let is_there = self.home.files.fetch(&data_path(digest)).await?;
            ensure!(is_there, "the data set {digest} is not stored any more");
        }
        let (file, keep_mib) = (self.home.data_file(digest), self.settings.keep_mib);
        let names = std::fs::read(self.home.class_names_file(digest)).unwrap_or_default();
        let load = move || -> Result<Dataset> {
            if name == DataName::Digits {
                return Ok(Dataset::digits());
            }
            let dataset = in_memory(Dataset::load_packed(name.to_string(), &file)?, keep_mib)?;
            let names: Vec<String> = serde_json::from_slice(&names).unwrap_or_default();
            if names.is_empty() {
                return Ok(dataset);
            }
            Ok(dataset.with_class_names(names)?)
        };
        let dataset = Arc::new(tokio::task::spawn_blocking(load).await??);
        let found = dataset.digest();
        if found != digest {
            // The next attempt fetches it again.
            self.home.files.drop_copy(&data_path(digest));
        }
        ensure!(
            found == digest,
            "the stored data set {digest} was changed: its digest is {found}; upload it again"
        );
        datasets.insert(digest, Arc::downgrade(&dataset));
        Ok(dataset)
    }

    /// Forgets a data set of a user, and deletes its file if nobody needs it any more.
    /// False if the user has none, or a run on it.
    pub(crate) async fn delete_data(&self, digest: Digest, user: &str) -> Result<bool> {
        let deleted = self.home.delete_data(digest, user).await?;
        self.home.drop_unused_data(digest).await?;
        Ok(deleted)
    }
}
