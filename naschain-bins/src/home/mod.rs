//! The home of a genomaster with many runs: its users, data sets and runs.
//!
//! A folder with a database and, in `runs/`, a folder for each run, which is a run like any other: it
//! can be audited, moved and deleted alone. The database knows who owns what; what happened in a run is
//! in the run's own journal.

pub(crate) mod data_sets;
mod database;
pub(crate) mod files;
pub(crate) mod folders;
mod invitations;
pub(crate) mod leads;
pub(crate) mod miners;
mod moving;
mod run_files;
pub(crate) mod runs;
mod secrets;
pub(crate) mod sessions;
pub(crate) mod shares;
pub(crate) mod tokens;
pub(crate) mod uploads;
pub(crate) mod users;
pub(crate) mod work;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use naschain_core::Digest;
use tokio::sync::Semaphore;

use crate::clock;
use crate::files::create_folder;
use crate::home::database::HomeDatabase;
use crate::home::files::Files;
use crate::journal::store::JournalPlace;

/// What a genomaster with many runs stores, apart from the journals of the runs.
pub(crate) struct Home {
    pub(crate) dir: PathBuf,
    database: HomeDatabase,
    pub(crate) files: Arc<Files>,
    /// Passwords that are hashed at a time: each takes 19 MiB and a core.
    hashing: Semaphore,
}

/// What genomasters with the same runs share; nothing, where there is one.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedPlaces {
    /// The server with the tables and the journals.
    pub(crate) store: Option<JournalPlace>,
    /// The folder or bucket with the files.
    pub(crate) files: Option<String>,
}

/// The ending of the names of folders of runs that are being deleted.
pub(crate) const DELETED: &str = ".deleted";

/// Passwords that are hashed at a time, at most.
const MAX_HASHING: usize = 2;

impl Home {
    /// Opens the home in this folder, or creates it.
    ///
    /// # Errors
    /// If the folder cannot be written, or its database is of a later version.
    pub(crate) async fn open(dir: &Path, shared: &SharedPlaces) -> Result<Home> {
        ensure!(
            shared.store.is_none() || !dir.join("home.sqlite").exists(),
            "{} is the home of a genomaster without --store, whose runs and users are in its home.sqlite; give another folder",
            dir.display()
        );
        create_folder(dir)?;
        only_for_owner(dir)?;
        for part in ["runs", "data", "uploads"] {
            create_folder(&dir.join(part))?;
        }
        let database = HomeDatabase::open(dir, shared.store.as_ref()).await?;
        let files = Arc::new(Files::open(dir, shared.files.as_deref())?);
        Ok(Home {
            files,
            dir: dir.to_owned(),
            database,
            hashing: Semaphore::new(MAX_HASHING),
        })
    }

    /// Deletes the folders of runs that were being deleted and, where files are shared, copies of runs'
    /// folders, which are made again when they are needed. A folder with a journal stays.
    pub(crate) fn remove_leftovers(&self) -> Result<()> {
        let runs = self.dir.join("runs");
        let context = || format!("cannot read {}", runs.display());
        for entry in std::fs::read_dir(&runs).with_context(context)? {
            let entry = entry.with_context(context)?;
            let (name, path) = (entry.file_name(), entry.path());
            let name = name.to_str().unwrap_or_default();
            let is_run = |name: &str| name.parse::<Digest>().is_ok();
            let was_deleted = name.strip_suffix(DELETED).is_some_and(is_run);
            let is_copy =
                self.files.are_shared() && is_run(name) && !path.join("journal.sqlite").exists();
            if was_deleted || is_copy {
                let removed = std::fs::remove_dir_all(&path);
                removed.with_context(|| format!("cannot delete {}", path.display()))?;
            }
        }
        Ok(())
    }

    /// The folder of a run.
    pub(crate) fn run_dir(&self, run: Digest) -> PathBuf {
        self.files.local(&run_path(run))
    }

    /// The file of a data set, as [`naschain_train::PackedDataset`] describes it.
    pub(crate) fn data_file(&self, data: Digest) -> PathBuf {
        self.files.local(&data_path(data))
    }

    /// The file of the names of a data set's classes.
    pub(crate) fn class_names_file(&self, data: Digest) -> PathBuf {
        self.files.local(&class_names_path(data))
    }
}

/// Where a data set is among the files of a home.
pub(crate) fn data_path(data: Digest) -> String {
    format!("data/{data}.data")
}

/// Where the names of its classes are.
pub(crate) fn class_names_path(data: Digest) -> String {
    format!("data/{data}.classes.json")
}

/// Where the files of a run are.
pub(crate) fn run_path(run: Digest) -> String {
    format!("runs/{run}")
}

/// Other users of this machine have no business here: there are hashes of passwords, and data.
fn only_for_owner(dir: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(0o700);
        let context = || format!("cannot change {}", dir.display());
        std::fs::set_permissions(dir, mode).with_context(context)?;
    }
    Ok(())
}

/// Seconds since 1970.
pub(crate) fn now_s() -> i64 {
    (clock::unix_nanos() / 1_000_000_000) as i64
}
