//! Where weights go besides the chain: files and `btcli`.

use anyhow::{Result, bail};
use naschain_core::Digest;
use naschain_run::EpochWeights;

use crate::validator::btcli::Btcli;
use crate::validator::weight_files::WeightFiles;

/// Destinations of weights.
pub(crate) struct Outlets {
    files: Option<WeightFiles>,
    btcli: Option<Btcli>,
    /// The run whose weights were set last.
    run: Option<Digest>,
    /// The latest epoch of that run whose weights were set.
    set: usize,
}

impl Outlets {
    /// Destinations for which nothing was set yet.
    pub(crate) fn new(files: Option<WeightFiles>, btcli: Option<Btcli>) -> Outlets {
        Outlets {
            files,
            btcli,
            run: None,
            set: 0,
        }
    }

    /// Sets the weights of epochs that are not set yet. On the chain only the latest epoch is set:
    /// it would overwrite earlier ones, and the chain limits how often weights can be set.
    /// `refusal` says why nothing may be set, if so.
    pub(crate) async fn set(
        &mut self,
        epochs: &[EpochWeights],
        refusal: Option<&str>,
    ) -> Result<()> {
        if self.files.is_none() && self.btcli.is_none() {
            return Ok(());
        }
        if let Some(refusal) = refusal {
            bail!("{refusal}");
        }
        let Some(run) = epochs.first().map(|epoch| epoch.run) else {
            return Ok(());
        };
        // Epochs of each run are numbered from 1.
        if self.run.is_some_and(|before| before != run) {
            let files = self.files.as_ref().map(|files| files.of_run(run));
            self.files = files.transpose()?;
            self.set = 0;
        }
        self.run = Some(run);
        for epoch in epochs.iter().skip(self.set) {
            // Set by this validator before a restart: setting them again would use up the chain's
            // rate limit.
            let done = self.files.as_ref().map(|files| files.has(epoch));
            if !done.transpose()?.unwrap_or(false) {
                if let Some(btcli) = self.btcli.as_ref().filter(|_| epoch.epoch == epochs.len()) {
                    btcli.set(epoch).await?;
                }
                if let Some(files) = &self.files {
                    files.set(epoch).await?;
                }
            }
            self.set = epoch.epoch;
        }
        Ok(())
    }
}
