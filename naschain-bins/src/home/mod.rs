//! The home of a genomaster with many runs: its users, data sets and runs.
//!
//! A folder with a database and, in `runs/`, a folder for each run, which is a run like any other: it
//! can be audited, moved and deleted alone. The database knows who owns what; what happened in a run is
//! in the run's own journal.

pub(crate) mod data_sets;
mod database;
pub(crate) mod runs;
pub(crate) mod tokens;
pub(crate) mod uploads;
pub(crate) mod users;

use std::path::{Path, PathBuf};

use anyhow::Result;
use naschain_core::Digest;

use crate::clock;
use crate::files::create_folder;
use crate::home::database::HomeDatabase;

/// What a genomaster with many runs stores, apart from the journals of the runs.
pub(crate) struct Home {
    dir: PathBuf,
    database: HomeDatabase,
}

impl Home {
    /// Opens the home in this folder, or creates it.
    ///
    /// # Errors
    /// If the folder cannot be written, or its database is of a later version.
    pub(crate) async fn open(dir: &Path) -> Result<Home> {
        create_folder(dir)?;
        for part in ["runs", "data", "uploads"] {
            create_folder(&dir.join(part))?;
        }
        let database = HomeDatabase::open(dir).await?;
        Ok(Home {
            dir: dir.to_owned(),
            database,
        })
    }

    /// The folder of a run.
    pub(crate) fn run_dir(&self, run: Digest) -> PathBuf {
        self.dir.join("runs").join(run.to_string())
    }

    /// The file of a data set, as [`naschain_train::PackedDataset`] describes it.
    pub(crate) fn data_file(&self, data: Digest) -> PathBuf {
        self.dir.join("data").join(format!("{data}.data"))
    }

    /// The file of the names of a data set's classes.
    pub(crate) fn class_names_file(&self, data: Digest) -> PathBuf {
        self.dir.join("data").join(format!("{data}.classes.json"))
    }
}

/// Seconds since 1970.
fn now_s() -> i64 {
    (clock::unix_nanos() / 1_000_000_000) as i64
}
