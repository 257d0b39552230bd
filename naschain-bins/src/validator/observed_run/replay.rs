//! What a validator needs to repeat rulings of the referee.

use std::path::PathBuf;
use std::sync::Arc;

use naschain_train::Options;

use crate::miner::dataset_cache::DatasetCache;

/// What rulings are repeated with.
pub(crate) struct Replay {
    pub(super) options: Options,
    pub(super) data_dir: Option<PathBuf>,
    pub(super) datasets: Arc<DatasetCache>,
}

impl Replay {
    /// Repeats rulings on the CPU, whose bits are those of every machine.
    pub(crate) fn new(
        options: Options,
        data_dir: Option<PathBuf>,
        datasets: Arc<DatasetCache>,
    ) -> Replay {
        Replay {
            options,
            data_dir,
            datasets,
        }
    }
}
