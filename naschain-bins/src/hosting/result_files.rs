//! The files that pages show of a run that has ended, where genomasters share their files.

use anyhow::Result;
use naschain_core::Genome;

use crate::artifacts::front_model::FRONT_FILE;
use crate::artifacts::models::{MODEL_FILE, folder};
use crate::home::run_path;
use crate::home::runs::StoredRun;
use crate::hosting::host::Host;

impl Host {
    /// Copies what a request for `rest`, below the run's path, needs into the run's folder.
    pub(super) async fn fetch_result(&self, run: &StoredRun, rest: &str) -> Result<()> {
        let first = rest.split('/').next().unwrap_or_default();
        let needs_files = ["result", "front", "models", "candidates", "record"].contains(&first);
        if !needs_files || !self.home.are_files_published(run.status.is_open()) {
            return Ok(());
        }
        let mut wanted = vec![FRONT_FILE.to_owned()];
        let genome = rest
            .strip_prefix("models/")
            .and_then(|rest| rest.split('/').next());
        if let Some(genome) = genome.and_then(|text| text.parse::<Genome>().ok()) {
            let model = folder(&genome).join(MODEL_FILE);
            for file in [model.with_extension("json"), model] {
                wanted.push(file.display().to_string());
            }
        }
        let dir = run_path(run.id);
        for path in wanted {
            self.home.files.fetch(&format!("{dir}/{path}")).await?;
        }
        Ok(())
    }
}
