//! What is the same for all runs of a genomaster with many.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use anyhow::Result;
use naschain_train::{Dataset, Options};
use tokio::sync::watch;

use crate::coordinator::Coordinator;
use crate::coordinator::shared::Settings;
use crate::server::access::Access;

/// The name of the data set that every genomaster has.
pub(crate) const DIGITS: &str = "digits";

/// Who may register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Registration {
    /// Everybody.
    Open,
    /// People with an invitation from the administrator.
    Invited,
    /// Nobody: the administrator adds users.
    Closed,
}

/// What is the same for all runs of a genomaster.
#[derive(Clone)]
pub(crate) struct HostSettings {
    pub(crate) access: Access,
    pub(crate) registration: Registration,
    /// Whether everybody sees the public runs on the front page.
    pub(crate) is_public: bool,
    /// Whether clients use https.
    pub(crate) has_tls: bool,
    /// Of each run's coordinator, without the run's secret.
    pub(crate) coordinator: Settings,
    /// Whether new hotkeys are examined.
    pub(crate) has_exams: bool,
    /// Of the referee, of examinations, and of models that no miner delivers.
    pub(crate) options: Options,
    /// Maximum size of a part of a data set that is kept decoded in memory, in MiB.
    pub(crate) keep_mib: u64,
    /// Follows a run to its end, and writes its history and its front's models.
    pub(crate) follow: Follow,
}

/// A run that is followed to its end.
pub(crate) struct Followed {
    pub(crate) coordinator: Arc<Coordinator>,
    pub(crate) dir: PathBuf,
    pub(crate) dataset: Arc<Dataset>,
    pub(crate) options: Options,
    /// Becomes true when its owner stops it.
    pub(crate) stop: watch::Receiver<bool>,
}

/// Follows a run to its end, or until it is stopped.
pub(crate) type Follow = fn(Followed) -> Pin<Box<dyn Future<Output = Result<()>> + Send>>;
