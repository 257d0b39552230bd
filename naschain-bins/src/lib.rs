//! The NASChain programs `genomaster`, `miner` and `validator`: the
//! NASChain libraries with clock, network, disk and terminal.
//!
//! This crate is not published. To embed NASChain, use the libraries: `examples/embed.rs` runs a
//! genomaster, three miners and a validator in one program of fewer than 100 lines.
//!
//! In reading order:
//! - `commands`: one file per command;
//! - `cli`: flags, defaults, configuration files;
//! - `coordinator`: an active run: its state, its journal, and the task that writes both;
//! - `journal`: stores the events of a run in a file or a database; the run's folder;
//! - `server`: the HTTP interface; `client`: calls it;
//! - `home`, `hosting`: a genomaster with many runs, and what it stores of users, data sets and runs;
//! - `miner`: a miner, in the genomaster's process or over the network;
//! - `validator`: checks a genomaster from outside, and sets weights;
//! - `artifacts`: the files of a run other than its journal.
//!
//! All of these are private. What follows is the whole public face: [`programs`] for the three
//! binaries, and the parts from which the tests and examples assemble a genomaster and its callers.

mod alive;
mod archive;
mod artifacts;
mod cli;
mod client;
mod clock;
mod commands;
mod coordinator;
mod counts;
mod dataset;
mod files;
mod home;
mod hosting;
mod journal;
mod line_file;
mod miner;
mod printable;
mod random;
mod server;
mod shutdown;
#[cfg(test)]
mod test_folder;
#[cfg(test)]
mod test_spec;
mod tls;
mod validator;
mod web;

pub use artifacts::history::History;
pub use client::transport::Transport;
pub use client::{Client, ClientError, Credentials, Joined};
pub use clock::{now, unix_nanos};
pub use coordinator::Coordinator;
pub use coordinator::call_error::{CallError, Unavailable};
pub use journal::Journal;
pub use journal::run_folder::{create_or_check, read_spec};
pub use journal::store::JournalPlace;
pub use journal::versions::versions;
pub use miner::Miner;
pub use miner::checkpoint_folder::CheckpointFolder;
pub use miner::exam::train_exam;
pub use miner::outbox::Answer;
pub use miner::trainer::Trainer;
pub use server::access::Access;
pub use server::allow_list::AllowList;
pub use server::auth::Authenticator;
pub use server::exams::Exams;
pub use server::legacy::Legacy;
pub use server::legacy::credentials::LegacyCredentials;
pub use server::listen::{Listening, serve};
pub use server::router;

/// What the binaries parse and call: the flags of each command, and the command.
pub mod programs {
    pub use crate::cli::config::{ProgramArgs, parse};
    pub use crate::cli::data_args::DataArgs;
    pub use crate::cli::presets::{SEARCH_EXAMPLES, SEARCH_LOG, SERVE_EXAMPLES};
    pub use crate::cli::program::{print, run};
    pub use crate::cli::run_args::{DeviceArgs, help};
    pub use crate::cli::shell::{CompletionsArgs, ManArgs, completions, man};
    pub use crate::cli::wallet_args::{WalletArgs, keygen};
    pub use crate::commands::audit::{AuditArgs, run_audit};
    pub use crate::commands::compare::{CompareArgs, compare};
    pub use crate::commands::data_check::{DataCommand, check, list};
    pub use crate::commands::export::{ExportArgs, export};
    pub use crate::commands::inspect::{InspectArgs, inspect};
    pub use crate::commands::latency::{LatencyArgs, latency};
    pub use crate::commands::mine::{MineArgs, mine};
    pub use crate::commands::predict::{PredictArgs, predict};
    pub use crate::commands::remote::{RemoteCommand, run_remote};
    pub use crate::commands::retrain::{RetrainArgs, retrain};
    pub use crate::commands::runs::{RunsArgs, runs};
    pub use crate::commands::search::{SearchArgs, search};
    pub use crate::commands::selftest::{SelftestArgs, selftest};
    pub use crate::commands::serve::{ServeArgs, serve};
    pub use crate::commands::show::{ShowArgs, show};
    pub use crate::commands::speed::{SpeedArgs, speed};
    pub use crate::commands::update::{UpdateArgs, update};
    pub use crate::commands::validate::{ValidateArgs, validate};
}
