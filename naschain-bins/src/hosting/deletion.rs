//! Deleting runs.

use std::sync::Arc;

use anyhow::{Context, Result};
use naschain_core::Digest;

use crate::home::runs::StoredRun;
use crate::home::{DELETED, run_path};
use crate::hosting::host::Host;

impl Host {
    /// Deletes a run with its folder. What cannot be deleted now is deleted later.
    pub(crate) async fn delete(&self, stored: &StoredRun) -> Result<()> {
        // Nobody opens it meanwhile.
        let _opening = self.opening.lock().await;
        self.home.delete_run(stored.id).await?;
        if let Err(error) = self.close(stored.id).await {
            tracing::warn!("{error:#}");
        }
        self.finish_deletion(stored.id, stored.data).await
    }

    /// Deletes what is left of runs that were deleted when the database or the bucket could not be
    /// reached, or the process ended.
    pub(super) async fn finish_deletions(self: &Arc<Host>) -> Result<()> {
        for (run, data) in self.home.deleted_runs().await? {
            if !self.is_open(run) {
                self.finish_deletion(run, data).await?;
            }
        }
        Ok(())
    }

    async fn finish_deletion(&self, run: Digest, data: Digest) -> Result<()> {
        if let Some(cluster) = &self.cluster {
            cluster.journals.delete(run).await?;
            self.home.files.delete_published(&run_path(run)).await?;
        }
        let dir = self.home.run_dir(run);
        let remove = move || -> Result<()> {
            // Aside first: a thread that still writes files of the run must find no folder.
            let aside = dir.with_extension(DELETED.trim_start_matches('.'));
            match std::fs::rename(&dir, &aside) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
                renamed => renamed.with_context(|| format!("cannot delete {}", dir.display()))?,
            }
            if let Err(error) = std::fs::remove_dir_all(&aside) {
                tracing::warn!("cannot delete {}: {error}", aside.display());
            }
            Ok(())
        };
        tokio::task::spawn_blocking(remove).await??;
        self.home.drop_unused_data(data).await?;
        self.home.forget_deleted(run).await
    }
}
