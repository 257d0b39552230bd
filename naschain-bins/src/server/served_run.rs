//! What a genomaster has of a run besides its state.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use naschain_core::Accuracy;
use naschain_train::{Dataset, Options};

use crate::artifacts::front::guessing_accuracy;
use crate::server::miner_programs::MinerPrograms;
use crate::server::recording::Recording;

/// What a genomaster has of a run besides its state.
pub(crate) struct ServedRun {
    /// What the run is called.
    pub(crate) title: String,
    /// Its folder.
    pub(crate) dir: PathBuf,
    pub(crate) dataset: Arc<Dataset>,
    /// Of trying and converting models.
    pub(crate) options: Options,
    /// What has happened in it, for all its routes.
    pub(crate) recording: Arc<Recording>,
    pub(super) programs: Arc<MinerPrograms>,
    /// The accuracy of guessing on the test images.
    pub(crate) guessing: Option<Accuracy>,
    /// The time after which the run is stopped.
    pub(crate) time_limit: Option<Duration>,
}

impl ServedRun {
    pub(crate) fn new(
        title: String,
        dir: &Path,
        dataset: Arc<Dataset>,
        options: Options,
    ) -> ServedRun {
        ServedRun {
            title,
            dir: dir.to_owned(),
            guessing: guessing_accuracy(&dataset).ok().flatten(),
            dataset,
            options,
            recording: Arc::default(),
            programs: Arc::default(),
            time_limit: None,
        }
    }

    pub(super) fn data_name(&self) -> String {
        self.dataset.name.clone()
    }

    /// The names of the classes, or their numbers.
    pub(super) fn class_names(&self) -> Vec<String> {
        let names = self.dataset.class_names();
        if names.is_empty() {
            (0..self.dataset.classes)
                .map(|class| class.to_string())
                .collect()
        } else {
            names.to_vec()
        }
    }
}
